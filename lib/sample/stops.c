/*
 * Stop strings in streamed text. See stops.h.
 */
#include "sample/stops.h"

#include "base/status.h"

#include <string.h>

void stops_init(struct stops *stops, const lckv_string *strings, size_t n_strings,
                const lckv_allocator *allocator)
{
    *stops = (struct stops){.strings = strings, .n_strings = n_strings, .allocator = *allocator};
}

void stops_release(struct stops *stops)
{
    memory_free(&stops->allocator, stops->buffer, stops->capacity, 1);
    stops->buffer = NULL;
    stops->capacity = 0;
}

/*
 * Where the stop string begins that is complete first: the longest of those that end there. It is
 * -1 if none is complete. No stop string ends within the first `searched` bytes.
 */
static ptrdiff_t find_complete(const struct stops *stops, size_t searched, size_t length)
{
    for (size_t end = searched + 1; end <= length; end++) {
        size_t longest = 0;
        for (size_t i = 0; i < stops->n_strings; i++) {
            const lckv_string *stop = &stops->strings[i];
            if (stop->length > longest && stop->length <= end &&
                memcmp(stops->buffer + end - stop->length, stop->text, stop->length) == 0)
                longest = stop->length;
        }
        if (longest > 0)
            return (ptrdiff_t)(end - longest);
    }
    return -1;
}

/* Whether the text from `begin` on may be the beginning of a longer stop string. */
static bool may_begin_stop(const struct stops *stops, size_t begin, size_t length)
{
    for (size_t i = 0; i < stops->n_strings; i++) {
        const lckv_string *stop = &stops->strings[i];
        if (length - begin < stop->length &&
            memcmp(stops->buffer + begin, stop->text, length - begin) == 0)
            return true;
    }
    return false;
}

/* How much text no stop string can take back. A stop string may begin inside a character. */
static size_t find_settled(const struct stops *stops, size_t length)
{
    size_t longest = 0;
    for (size_t i = 0; i < stops->n_strings; i++)
        longest = stops->strings[i].length > longest ? stops->strings[i].length : longest;
    size_t settled = length > longest ? length - longest : 0;
    while (settled < length && !may_begin_stop(stops, settled, length))
        settled++;
    while (settled > 0 && settled < length && ((uint8_t)stops->buffer[settled] & 0xc0) == 0x80)
        settled--;
    return settled;
}

lckv_status stops_push(struct stops *stops, struct text piece, bool is_last, struct text *ready,
                       bool *found)
{
    size_t needed;
    if (!checked_add(stops->waiting, piece.length, &needed))
        return fail(LCKV_OUT_OF_MEMORY, "text of %zu bytes", piece.length);
    if (stops->given > 0) {
        memmove(stops->buffer, stops->buffer + stops->given, stops->waiting);
        stops->given = 0;
    }
    lckv_status status = memory_grow(&stops->allocator, &stops->buffer, &stops->capacity, needed, 1,
                                     "text that may begin a stop string");
    if (status != LCKV_OK)
        return status;
    size_t searched = stops->waiting;
    if (piece.length > 0)
        memcpy(stops->buffer + searched, piece.bytes, piece.length);

    ptrdiff_t begin = find_complete(stops, searched, needed);
    *found = begin >= 0;
    if (begin >= 0) {
        stops->given = (size_t)begin;
        stops->waiting = 0;
    } else {
        stops->given = is_last ? needed : find_settled(stops, needed);
        stops->waiting = needed - stops->given;
    }
    *ready = (struct text){stops->buffer != NULL ? stops->buffer : "", stops->given};
    return LCKV_OK;
}
