/*
 * A restore in its steps: read, then publish unless that failed, then end.
 */
#ifndef LCKV_CACHE_RESTORATION_H
#define LCKV_CACHE_RESTORATION_H

#include "base/frames.h"
#include "cache/placing.h"
#include "cache/transfer.h"

struct restoration {
    struct lckv_cache *cache;
    struct frame_reader reader;
    struct placing placing;
    struct transfer transfer;
    bool is_exact;                  /* what was saved has the bits that this cache would compute */
    struct lckv_session **sessions; /* [n_sessions]; NULL: not made yet, or published */
    size_t n_sessions;
    size_t n_saved; /* as the description says */
    uint8_t *plain; /* [saved_plain_bytes] */
};

void restoration_begin(struct restoration *restoration, struct lckv_cache *cache);

/*
 * Makes all sessions, which nobody can see yet. `n_saved` is set if the description could be read.
 */
CHECKED lckv_status restoration_read(struct restoration *restoration, frame_read_function read,
                                     void *user, const lckv_restore_options *options,
                                     size_t capacity);

/* Hands the sessions out. */
void restoration_publish(struct restoration *restoration, struct lckv_session **sessions);

/* Undoes whatever was not handed out. */
void restoration_end(struct restoration *restoration);

#endif
