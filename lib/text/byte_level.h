/*
 * The byte-level alphabet of GPT-2: tokenizer files spell each byte as one printable character, so
 * that " a" is written "Ġa". Everywhere else the tokenizer works with bytes.
 */
#ifndef LCKV_TEXT_BYTE_LEVEL_H
#define LCKV_TEXT_BYTE_LEVEL_H

#include "base/checked.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BYTE_LEVEL_MAX 2 /* the most UTF-8 bytes that spell a byte */

/* Spells a byte; returns the length. */
size_t byte_level_spell(uint8_t byte, char spelling[BYTE_LEVEL_MAX]);

/*
 * Gives the bytes that a spelling stands for, at most `length` of them. False if some character is
 * outside the alphabet.
 */
CHECKED bool byte_level_bytes(const char *spelling, size_t length, char *bytes, size_t *n_bytes);

#endif
