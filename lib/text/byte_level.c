/*
 * The byte-level alphabet. See byte_level.h. A byte that is printable in Latin-1 is spelled as that
 * character; the others, in order, are spelled as U+0100 onwards.
 */
#include "text/byte_level.h"

#include "base/utf8.h"

#define SHIFTED 0x100   /* the spelling of the first of the others */
#define N_LOW 33        /* 0x00 to 0x20 */
#define N_MIDDLE 34     /* 0x7F to 0xA0 */
#define SOFT_HYPHEN 173 /* the last of the others */

size_t byte_level_spell(uint8_t byte, char spelling[BYTE_LEVEL_MAX])
{
    uint32_t character = byte;
    if (byte < N_LOW)
        character = SHIFTED + byte;
    else if (byte >= 0x7F && byte <= 0xA0)
        character = SHIFTED + N_LOW + (byte - 0x7Fu);
    else if (byte == SOFT_HYPHEN)
        character = SHIFTED + N_LOW + N_MIDDLE;
    if (character < 0x80) {
        spelling[0] = (char)character;
        return 1;
    }
    spelling[0] = (char)(0xC0 | character >> 6);
    spelling[1] = (char)(0x80 | (character & 0x3F));
    return 2;
}

/* The byte that a character stands for, or -1. */
static int byte_of(uint32_t character)
{
    if (character >= SHIFTED) {
        uint32_t index = character - SHIFTED;
        if (index < N_LOW)
            return (int)index;
        if (index < N_LOW + N_MIDDLE)
            return (int)(0x7F + index - N_LOW);
        return index == N_LOW + N_MIDDLE ? SOFT_HYPHEN : -1;
    }
    bool other =
        character < N_LOW || (character >= 0x7F && character <= 0xA0) || character == SOFT_HYPHEN;
    return other ? -1 : (int)character;
}

bool byte_level_bytes(const char *spelling, size_t length, char *bytes, size_t *n_bytes)
{
    size_t count = 0;
    for (size_t at = 0; at < length;) {
        size_t n = utf8_character(spelling + at, length - at);
        if (n != 1 && n != 2)
            return false;
        uint32_t character = (uint8_t)spelling[at];
        if (n == 2)
            character = (character & 0x1F) << 6 | ((uint8_t)spelling[at + 1] & 0x3F);
        int byte = byte_of(character);
        if (byte < 0)
            return false;
        bytes[count++] = (char)byte;
        at += n;
    }
    *n_bytes = count;
    return true;
}
