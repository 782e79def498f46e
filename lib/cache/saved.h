/*
 * Saved sessions: bytes from which a cache of the same model makes the same sessions again.
 * docs/saved-sessions.md has the format.
 *
 * Keys and values are saved in parts of SAVED_PART positions of one slot, the step of all page
 * sizes, so that the size of a page does not show. A page that several sessions hold is saved once:
 * parts have numbers, in the order in which they are first named, and each session names its own.
 */
#ifndef LCKV_CACHE_SAVED_H
#define LCKV_CACHE_SAVED_H

#include "base/frames.h"
#include "cache/session.h"

#define SAVED_PART KV_SUBTILE

/* The first position that a slot keeps, in a session with this window_begin. */
static inline uint64_t saved_slot_begin(const struct lckv_plan *plan, uint32_t slot,
                                        uint64_t window_begin)
{
    return plan->slots[slot].windowed ? window_begin : 0;
}

/* The first position that windowed slots of a session keep. */
static inline uint64_t saved_window_begin(const struct lckv_session *session)
{
    const uint32_t window = session->cache->paging.windows.sliding;
    return session->min_length > 0 ? session->min_length - window : 0;
}

/*
 * LCKV_UNSUPPORTED for a cache with a context window: the format has no place for what its sessions
 * have dropped.
 */
CHECKED lckv_status saved_check_cache(const struct lckv_cache *cache);

/* How many parts a page of a slot holds, and the most that any page does. */
static inline size_t saved_parts_of_page(const struct lckv_cache *cache, uint32_t slot)
{
    return cache_layout(cache, slot)->page_positions / SAVED_PART;
}

static inline size_t saved_most_parts(const struct lckv_cache *cache)
{
    return cache_most_positions(cache) / SAVED_PART;
}

/* The first position of part `index` of a slot, in its page. */
static inline uint32_t saved_first_position(const struct lckv_cache *cache, uint32_t slot,
                                            uint64_t index)
{
    return (uint32_t)(index % saved_parts_of_page(cache, slot)) * SAVED_PART;
}

/* Room for the key and the value of a head of any slot, as plain bytes. */
size_t saved_plain_bytes(const struct lckv_cache *cache);

/* Positions [begin, end) of a part. */
struct saved_span {
    uint8_t begin, end;
};

/* What a session needs of part `index` of a slot that keeps positions [begin, length). */
static inline struct saved_span saved_span(uint64_t begin, uint64_t length, uint64_t index)
{
    const uint64_t first = index * SAVED_PART;
    return (struct saved_span){
        (uint8_t)(begin > first ? begin - first : 0),
        (uint8_t)(length - first < SAVED_PART ? length - first : SAVED_PART)};
}

static inline uint64_t saved_span_positions(struct saved_span span)
{
    return (uint64_t)(span.end - span.begin);
}

/* Makes `span` reach over `other`, too. A new span is empty: begin == end. */
static inline void saved_span_join(struct saved_span *span, struct saved_span other)
{
    const bool is_new = span->begin == span->end;
    span->begin = is_new || other.begin < span->begin ? other.begin : span->begin;
    span->end = other.end > span->end ? other.end : span->end;
}

/*
 * These do what lckv_sessions_save and the other three say. The cache must be entered; options are
 * of full size. `n_sessions` gets their number also with LCKV_BUFFER_TOO_SMALL.
 */
CHECKED lckv_status sessions_save(struct lckv_session *const *sessions, size_t n_sessions,
                                  frame_write_function write, void *user,
                                  const lckv_save_options *options);
CHECKED lckv_status sessions_save_file(struct lckv_session *const *sessions, size_t n_sessions,
                                       const char *path, const lckv_save_options *options);
CHECKED lckv_status sessions_restore(struct lckv_cache *cache, frame_read_function read, void *user,
                                     const lckv_restore_options *options,
                                     struct lckv_session **sessions, size_t capacity,
                                     size_t *n_sessions);
CHECKED lckv_status sessions_restore_file(struct lckv_cache *cache, const char *path,
                                          const lckv_restore_options *options,
                                          struct lckv_session **sessions, size_t capacity,
                                          size_t *n_sessions);

#endif
