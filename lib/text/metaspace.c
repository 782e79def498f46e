/*
 * The spelling of SentencePiece. See metaspace.h.
 */
#include "text/metaspace.h"

#include <string.h>

static const char digits[] = "0123456789ABCDEF";

bool metaspace_begins(const char *bytes, size_t length)
{
    return length >= METASPACE_LENGTH && memcmp(bytes, METASPACE, METASPACE_LENGTH) == 0;
}

size_t metaspace_text(struct text spelling, char *bytes)
{
    size_t count = 0;
    for (size_t at = 0; at < spelling.length;) {
        bool space = metaspace_begins(spelling.bytes + at, spelling.length - at);
        bytes[count++] = space ? ' ' : spelling.bytes[at];
        at += space ? METASPACE_LENGTH : 1;
    }
    return count;
}

void metaspace_spell_byte(uint8_t byte, char spelling[METASPACE_BYTE_LENGTH])
{
    memcpy(spelling, "<0x00>", METASPACE_BYTE_LENGTH);
    spelling[3] = digits[byte >> 4];
    spelling[4] = digits[byte & 15];
}

int metaspace_byte(struct text spelling)
{
    if (spelling.length != METASPACE_BYTE_LENGTH || spelling.bytes[3] == '\0' ||
        spelling.bytes[4] == '\0')
        return -1;
    const char *high = strchr(digits, spelling.bytes[3]), *low = strchr(digits, spelling.bytes[4]);
    if (high == NULL || low == NULL)
        return -1;
    uint8_t byte = (uint8_t)((high - digits) << 4 | (low - digits));
    char expected[METASPACE_BYTE_LENGTH];
    metaspace_spell_byte(byte, expected);
    return memcmp(spelling.bytes, expected, METASPACE_BYTE_LENGTH) == 0 ? byte : -1;
}
