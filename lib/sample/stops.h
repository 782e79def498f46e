/*
 * Stop strings: generated text passes through here on its way to the caller. What may be the
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
    char *buffer; /* the text that was given last, then the text that waits */
    size_t capacity;
    size_t given, waiting;
};

void stops_init(struct stops *stops, const lckv_string *strings, size_t n_strings,
                const lckv_allocator *allocator);
void stops_release(struct stops *stops);

/*
 * Takes the next piece of text, and gives in `ready` what can go out now, which is all of it if
 * this is the last piece. `ready` is valid until the next call. If a stop string is complete,
 * *found is true, `ready` ends before it and nothing waits any more. If pieces are whole UTF-8
 * characters, `ready` is, too.
 */
CHECKED lckv_status stops_push(struct stops *stops, struct text piece, bool is_last,
                               struct text *ready, bool *found);

#endif
