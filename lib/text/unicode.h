/*
 * What the tokenizers need to know of Unicode's characters, taken from utf8proc.
 */
#ifndef LCKV_TEXT_UNICODE_H
#define LCKV_TEXT_UNICODE_H

#include "base/checked.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The number of bytes of white space at the start and at the end of the text. */
size_t unicode_space_at_start(const char *text, size_t length);
size_t unicode_space_at_end(const char *text, size_t length);

/*
 * Whether the text starts or ends with a word character: a letter, letter number, mark, decimal
 * digit, connecting punctuation or joiner.
 */
CHECKED bool unicode_word_at_start(const char *text, size_t length);
CHECKED bool unicode_word_at_end(const char *text, size_t length);

/* The character at the start and its length; U+FFFD for an invalid byte. */
int32_t unicode_character(const char *text, size_t length, size_t *n_bytes);

CHECKED bool unicode_is_mark(int32_t character);

/* Encodes the lower case of a character; returns the number of bytes. */
#define UNICODE_MAX_LOWER 5
size_t unicode_lower(int32_t character, char bytes[UNICODE_MAX_LOWER]);

#endif
