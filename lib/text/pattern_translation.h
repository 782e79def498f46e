/*
 * Translates patterns from the syntax of Oniguruma, for which tokenizer files write them, to that
 * of PCRE2.
 */
#ifndef LCKV_TEXT_PATTERN_TRANSLATION_H
#define LCKV_TEXT_PATTERN_TRANSLATION_H

#include "base/checked.h"
#include "text/text_buffer.h"

/*
 * Appends the translation. *largest_count becomes the largest number in {n}, {n,} and {n,m}, or 0
 * if there are none. LCKV_UNSUPPORTED for what cannot be said in PCRE2.
 */
CHECKED lckv_status pattern_translate(struct text pattern, struct text_buffer *translated,
                                      uint32_t *largest_count);

#endif
