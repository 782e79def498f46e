/*
 * Patterns are the regular expressions of tokenizer files. They are written for Oniguruma, and
 * become PCRE2 patterns that match the same text. What would mean something else in PCRE2 is
 * refused, and so are recursion, callouts and back references.
 */
#ifndef LCKV_TEXT_PATTERN_H
#define LCKV_TEXT_PATTERN_H

#include "base/arena.h"
#include "base/checked.h"
#include "base/text.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#define PATTERN_MAX_LENGTH 8192
#define PATTERN_MAX_COUNT 1000 /* in {n}, {n,} and {n,m} */

struct pattern {
    struct text text; /* as in the file */
    pcre2_code *code;
    uint32_t largest_count; /* the largest number in {n}, {n,} and {n,m}, or 0 */
};

/* PCRE2 allocates as the arena does, by this context; NULL if there is no memory. */
pcre2_general_context *pattern_memory_create(struct arena *arena);

/* The compiled pattern calls out before each of its items. Its text is copied. */
CHECKED lckv_status pattern_init(struct pattern *pattern, struct text text, struct arena *arena,
                                 pcre2_general_context *memory);
void pattern_release(struct pattern *pattern);

#endif
