/*
 * The progress of a long call that copies bytes of sessions, and its end if it is cancelled.
 */
#ifndef LCKV_CACHE_TRANSFER_H
#define LCKV_CACHE_TRANSFER_H

#include "cache/cache.h"

struct transfer {
    const struct lckv_cache *cache;  /* lckv_cache_cancel stops the transfer */
    lckv_progress_callback progress; /* may be NULL */
    void *progress_user;
    uint64_t done, total; /* bytes of keys and values */
    uint64_t told;        /* `done` when the callback was called last */
};

/* `n_bytes` more are done. LCKV_CANCELLED if the call is to stop. */
CHECKED lckv_status transfer_step(struct transfer *transfer, uint64_t n_bytes);

#endif
