/*
 * Keys and values are saved in parts of SAVED_PART positions of one slot, the step of all page
 * sizes, so that the size of a page does not show. Here is which parts a session needs, and what of
 * each.
 */
#ifndef LCKV_CACHE_SAVED_PARTS_H
#define LCKV_CACHE_SAVED_PARTS_H

#include "cache/session.h"

#define SAVED_PART KV_SUBTILE

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

/*
 * The parts that have positions of `held`: from the first one to the last that begins before
 * held.end. Part i begins with position i * SAVED_PART.
 */
static inline uint64_t saved_first_part(struct held_positions held)
{
    return held.n_sinks > 0 ? 0 : held.begin / SAVED_PART;
}

static inline uint64_t saved_next_part(struct held_positions held, uint64_t index)
{
    const uint64_t next = index + 1, behind_sinks = held.begin / SAVED_PART;
    return next * SAVED_PART < held.n_sinks || next > behind_sinks ? next : behind_sinks;
}

/* Positions [begin, end) of a part. */
struct saved_span {
    uint8_t begin, end;
};

/* From the first to the last position that is held in one of these parts. */
static inline struct saved_span saved_span(struct held_positions held, uint64_t index)
{
    const uint64_t first = index * SAVED_PART;
    const bool has_sinks = first<held.n_sinks, has_others = first + SAVED_PART> held.begin;
    const uint64_t begin = has_sinks || held.begin < first ? first : held.begin;
    const uint64_t end = has_others ? held.end : held.n_sinks;
    return (struct saved_span){(uint8_t)(begin - first),
                               (uint8_t)(end - first < SAVED_PART ? end - first : SAVED_PART)};
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

#endif
