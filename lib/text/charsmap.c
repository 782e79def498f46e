/*
 * Reads and searches the normalisation rules. See charsmap.h.
 *
 * A unit of the array has the byte that leads to it in its lowest 8 bits, in bit 8 whether a rule
 * ends here, and above it the offset to its children, to which their byte is added by exclusive or.
 * Where a rule ends, the child of byte 0 holds the place of the replacement.
 */
#include "text/charsmap.h"

#include "base/reader.h"
#include "base/status.h"

#include <string.h>

#define WHAT "the compiled normalisation rules"

static bool ends_rule(uint32_t unit)
{
    return (unit >> 8 & 1) != 0;
}

static uint32_t label_of(uint32_t unit)
{
    return unit & (1u << 31 | 0xFF);
}

static uint32_t offset_of(uint32_t unit)
{
    return unit >> 10 << ((unit & 1u << 9) >> 6);
}

static lckv_status check_replacements(struct text replacements)
{
    if (replacements.length == 0 || replacements.bytes[replacements.length - 1] != '\0')
        return fail(LCKV_BAD_FORMAT, WHAT ": expected a NUL at the end");
    for (size_t at = 0; at < replacements.length;) {
        size_t length = strlen(replacements.bytes + at);
        if (length > CHARSMAP_MAX_REPLACEMENT)
            return fail(LCKV_UNSUPPORTED, WHAT ": a replacement of %zu bytes, expected at most %d",
                        length, CHARSMAP_MAX_REPLACEMENT);
        at += length + 1;
    }
    return LCKV_OK;
}

lckv_status charsmap_init(struct charsmap *charsmap, struct text bytes, struct arena *arena)
{
    *charsmap = (struct charsmap){.bytes.length = 0};
    if (bytes.length == 0)
        return LCKV_OK;
    lckv_status status = arena_copy(arena, bytes.bytes, bytes.length, &charsmap->bytes.bytes);
    if (status != LCKV_OK)
        return status;
    struct reader reader;
    reader_init(&reader, charsmap->bytes.bytes, bytes.length, WHAT);
    uint32_t size = reader_u32(&reader, "the size of the array");
    if (!reader_has(&reader, size, "the array"))
        return reader_status(&reader);
    if (size == 0 || size % sizeof charsmap->units[0] != 0)
        return fail(LCKV_BAD_FORMAT, WHAT ": an array of %u bytes, expected a multiple of 4",
                    (unsigned)size);
    charsmap->n_units = size / sizeof charsmap->units[0];
    status =
        arena_alloc(arena, charsmap->n_units, sizeof charsmap->units[0], WHAT, &charsmap->units);
    for (size_t i = 0; status == LCKV_OK && i < charsmap->n_units; i++)
        charsmap->units[i] = reader_u32(&reader, "the array");
    charsmap->replacements.length = reader_left(&reader);
    charsmap->replacements.bytes =
        (const char *)reader_bytes(&reader, charsmap->replacements.length, "the replacements");
    if (status == LCKV_OK)
        status = reader_status(&reader);
    if (status == LCKV_OK)
        status = check_replacements(charsmap->replacements);
    charsmap->bytes.length = bytes.length;
    return status;
}

/* The value of a character of base64, or -1. */
static int base64_value(char character)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *found = character != '\0' ? strchr(alphabet, character) : NULL;
    return found != NULL ? (int)(found - alphabet) : -1;
}

lckv_status charsmap_init_base64(struct charsmap *charsmap, struct text encoded,
                                 struct arena *arena)
{
    char *bytes;
    size_t n_bytes = 0, n_bits = 0;
    uint32_t bits = 0;
    lckv_status status = arena_alloc(arena, encoded.length + 1, 1, WHAT, &bytes);
    if (status != LCKV_OK)
        return status;
    while (encoded.length > 0 && encoded.bytes[encoded.length - 1] == '=')
        encoded.length--;
    for (size_t i = 0; i < encoded.length; i++) {
        int value = base64_value(encoded.bytes[i]);
        if (value < 0)
            return fail(LCKV_BAD_FORMAT, "byte %zu: expected base64", i);
        bits = bits << 6 | (uint32_t)value;
        n_bits += 6;
        if (n_bits >= 8) {
            n_bits -= 8;
            bytes[n_bytes++] = (char)(bits >> n_bits & 0xFF);
        }
    }
    return charsmap_init(charsmap, (struct text){bytes, n_bytes}, arena);
}

size_t charsmap_find(const struct charsmap *charsmap, const char *text, size_t length,
                     struct text *replacement)
{
    size_t found = 0, end = length < CHARSMAP_MAX_KEY ? length : CHARSMAP_MAX_KEY;
    if (charsmap->n_units == 0)
        return 0;
    uint32_t at = offset_of(charsmap->units[0]);
    for (size_t i = 0; i < end && text[i] != '\0'; i++) {
        uint8_t byte = (uint8_t)text[i];
        at ^= byte;
        if (at >= charsmap->n_units || label_of(charsmap->units[at]) != byte)
            break;
        uint32_t unit = charsmap->units[at];
        at ^= offset_of(unit);
        if (!ends_rule(unit) || at >= charsmap->n_units)
            continue;
        uint32_t place = charsmap->units[at] & ~(1u << 31);
        if (place >= charsmap->replacements.length)
            continue;
        const char *bytes = charsmap->replacements.bytes + place;
        *replacement = (struct text){bytes, strlen(bytes)};
        found = i + 1;
    }
    return found;
}
