/*
 * Stop strings: generated text goes through here on its way to the caller, and what may be the
 * beginning of a stop string waits until it is known not to be one.
 *
 * The first stop string is the one that is complete first, so the outcome does not depend on how
 * the text is cut into pieces.
 */
#ifndef LCKV_SAMPLE_STOPS_H
#define LCKV_SAMPLE_STOPS_H

#include "base/checked.h"
#include "base/memory.h"
#include "format/metadata.h"

struct stops {
    const lckv_string *strings; /* the caller's; none is empty */
    size_t n_strings;
    lckv_allocator allocator;
    char *buffer; /* what was given last, then what waits */
    size_t capacity;
    size_t given, waiting;
};

void stops_init(struct stops *stops, const lckv_string *strings, size_t n_strings,
                const lckv_allocator *allocator);
void stops_release(struct stops *stops);

/*
 * Takes the next piece of text, and gives in `ready` what can go out now, until the next call; all
 * of it if this is the last piece. If a stop string is complete, *found is true, `ready` ends
 * before it and nothing waits any more. Pieces of whole UTF-8 characters give whole characters,
 * too.
 */
CHECKED lckv_status stops_push(struct stops *stops, struct text piece, bool is_last,
                               struct text *ready, bool *found);

#endif
