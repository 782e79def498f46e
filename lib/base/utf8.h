/*
 * UTF-8: which bytes are whole characters, and the bytes of a character. Strict (no surrogates, no
 * overlong forms, nothing above U+10FFFF), so that what passes here may go to PCRE2 and utf8proc
 * unchecked.
 */
#ifndef LCKV_BASE_UTF8_H
#define LCKV_BASE_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* The number of bytes of the character at the start of the text, 0 if there is none. */
size_t utf8_character(const char *text, size_t length);

/* How many bytes at the start are whole characters; how many come before the first of them. */
size_t utf8_valid_run(const char *text, size_t length);
size_t utf8_invalid_run(const char *text, size_t length);

/* The number of bytes at the end (0 to 3) that may become a character when more bytes come. */
size_t utf8_unfinished(const char *text, size_t length);

/* Encodes a code point, no surrogate and not above U+10FFFF; returns the number of bytes. */
size_t utf8_encode(uint32_t code, char bytes[4]);

#endif
