/*
 * UTF-8: see utf8.h.
 */
#include "base/utf8.h"

#include <stdbool.h>

/* What must follow a first byte: `following` bytes, the first of them from `low` to `high`. */
struct lead {
    uint8_t following, low, high;
};

/* False for a byte that begins no character. */
static bool lead_of(uint8_t byte, struct lead *lead)
{
    *lead = (struct lead){0, 0x80, 0xBF};
    if (byte < 0x80)
        return true;
    if (byte < 0xC2 || byte > 0xF4)
        return false;
    lead->following = byte < 0xE0 ? 1 : byte < 0xF0 ? 2 : 3;
    if (byte == 0xE0)
        lead->low = 0xA0;
    else if (byte == 0xED)
        lead->high = 0x9F;
    else if (byte == 0xF0)
        lead->low = 0x90;
    else if (byte == 0xF4)
        lead->high = 0x8F;
    return true;
}

/* How many bytes at the start belong to one character, which has *needed bytes; 0 if none do. */
static size_t matching(const char *text, size_t length, size_t *needed)
{
    struct lead lead;
    if (length == 0 || !lead_of((uint8_t)text[0], &lead))
        return 0;
    *needed = 1u + lead.following;
    for (size_t i = 1; i < *needed && i < length; i++) {
        uint8_t byte = (uint8_t)text[i];
        uint8_t low = i == 1 ? lead.low : 0x80;
        uint8_t high = i == 1 ? lead.high : 0xBF;
        if (byte < low || byte > high)
            return 0;
    }
    return *needed < length ? *needed : length;
}

size_t utf8_character(const char *text, size_t length)
{
    size_t needed = 0;
    size_t found = matching(text, length, &needed);
    return found == needed ? found : 0;
}

size_t utf8_valid_run(const char *text, size_t length)
{
    size_t at = 0;
    for (size_t n = 1; n > 0; at += n)
        n = utf8_character(text + at, length - at);
    return at;
}

size_t utf8_invalid_run(const char *text, size_t length)
{
    size_t at = 0;
    while (at < length && utf8_character(text + at, length - at) == 0)
        at++;
    return at;
}

size_t utf8_unfinished(const char *text, size_t length)
{
    for (size_t tail = 1; tail <= 3 && tail <= length; tail++) {
        size_t needed = 0;
        if (matching(text + length - tail, tail, &needed) == tail && needed > tail)
            return tail;
    }
    return 0;
}

size_t utf8_encode(uint32_t code, char bytes[4])
{
    static const uint8_t leads[] = {0, 0x00, 0xC0, 0xE0, 0xF0};
    size_t length = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = length - 1; i > 0; i--, code >>= 6)
        bytes[i] = (char)(0x80 | (code & 0x3F));
    bytes[0] = (char)(leads[length] | code);
    return length;
}
