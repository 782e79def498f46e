/*
 * The hash mixes words of eight bytes one after another. See hash.h.
 */
#include "base/hash.h"

#include <string.h>

static uint64_t mix(uint64_t value)
{
    value ^= value >> 32;
    value *= UINT64_C(0xD6E8FEB86659FD93);
    value ^= value >> 32;
    value *= UINT64_C(0xD6E8FEB86659FD93);
    return value ^ value >> 32;
}

uint64_t hash_bytes(const void *bytes, size_t length)
{
    const unsigned char *key = bytes;
    uint64_t state = UINT64_C(0x9E3779B97F4A7C15) ^ length;
    uint64_t word = 0;
    for (; length >= sizeof word; key += sizeof word, length -= sizeof word) {
        memcpy(&word, key, sizeof word);
        state = mix(state ^ word);
    }
    word = 0;
    memcpy(&word, key, length);
    return mix(state ^ word);
}
