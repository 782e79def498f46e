/*
 * Patterns are the regular expressions of tokenizer files. They are written for Oniguruma, and
 * become PCRE2 patterns that match the same text. What would mean something else in PCRE2 is
 * refused, and so are recursion, callouts and back references.
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
 * The compiled pattern calls out before each of its items. *largest_count becomes the largest
 * number in {n}, {n,} and {n,m}, or 0 if there are none.
 */
CHECKED lckv_status pattern_compile(struct text pattern, const lckv_allocator *allocator,
                                    pcre2_general_context *memory, pcre2_code **code,
                                    uint32_t *largest_count);

#endif
