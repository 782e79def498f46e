/*
 * Decodes UTF-8, one character at a time, and tells which characters may not go to a terminal.
 */
#ifndef TOOLS_UTF8_H
#define TOOLS_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The length in bytes of the character that `text` begins with, and its code point. 0 if there is
 * none: an overlong form, a surrogate, a character that is cut off, no bytes at all.
 */
size_t utf8_decode(const char *text, size_t length, uint32_t *code);

/*
 * Whether a character controls a terminal or changes the order of a line instead of being shown:
 * the control characters, the line and paragraph separators, and the bidirectional overrides and
 * isolates.
 */
bool utf8_is_control(uint32_t code);

#endif
