/*
 * What saved sessions begin with: the model, the cache and the kernels that they belong to. A cache
 * that restores them compares all this with its own. docs/saved-sessions.md has the format.
 */
#ifndef LCKV_CACHE_SAVED_DESCRIPTION_H
#define LCKV_CACHE_SAVED_DESCRIPTION_H

#include "base/frames.h"
#include "cache/cache.h"

extern const struct frame_kind saved_sessions;

/* How much follows the description. */
struct saved_counts {
    uint32_t n_sessions;
    uint64_t note_bytes;
};

CHECKED lckv_status saved_description_put(struct frame_writer *writer,
                                          const struct lckv_cache *cache,
                                          struct saved_counts counts);

/*
 * LCKV_MISMATCH if the sessions do not belong into this cache; the message says why. `is_exact`
 * tells whether the same kernels of the same version computed them; if not, and `any_kernels` is
 * false, that is a mismatch, too.
 */
CHECKED lckv_status saved_description_check(struct frame_reader *reader,
                                            const struct lckv_cache *cache, bool any_kernels,
                                            struct saved_counts *counts, bool *is_exact);

#endif
