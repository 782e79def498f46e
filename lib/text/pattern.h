/*
 * Patterns: the regular expressions of tokenizer files, which are written for Oniguruma, as PCRE2
 * patterns that match the same text. What means something else there is refused, so a file can ask
 * for no recursion, callout or back reference either.
 */
#ifndef LCKV_TEXT_PATTERN_H
#define LCKV_TEXT_PATTERN_H

#include "base/checked.h"
#include "format/metadata.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#define PATTERN_MAX_LENGTH 8192
#define PATTERN_MAX_COUNT 1000 /* in {n}, {n,} and {n,m} */

/*
 * The compiled pattern calls out before each of its items. *largest_count: the largest number of
 * its counted repeats, 0 without any.
 */
CHECKED lckv_status pattern_compile(struct text pattern, const lckv_allocator *allocator,
                                    pcre2_general_context *memory, pcre2_code **code,
                                    uint32_t *largest_count);

#endif
