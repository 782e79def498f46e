/*
 * A cache that is full of sessions, for bench/throughput.c: as many of the whole context as fit
 * into a budget.
 *
 * Keys and values are synthetic: every page of every session is memory of its own and gets a copy
 * of one page of random numbers, since computing them would take hours. The time of attention does
 * not depend on what they are.
 *
 * Whatever fails here ends the program with a message.
 */
#ifndef BENCH_FILLED_CACHE_H
#define BENCH_FILLED_CACHE_H

#include "cache/session.h"

#define MOST_STEPS 1000 /* in a row; there are tokens for so many */

struct setting {
    const char *path, *kv_type;
    uint64_t context;
    uint64_t kv_bytes; /* the budget of the pages; or if 0, what these need: */
    uint64_t standard_sessions;
    uint64_t stream_bytes; /* of the ring, if weights are streamed; else 0 */
    uint32_t n_threads;
};

struct filled_cache {
    struct setting setting;
    lckv_model *model;
    lckv_model_info info;
    lckv_memory_report planned;
    lckv_cache *cache;
    lckv_cache_estimate_report estimate;
    lckv_session **sessions; /* [n_sessions] */
    size_t n_sessions;
    lckv_token *tokens; /* [context + MOST_STEPS + n_sessions], any */
    uint8_t *page;      /* of random keys and values */
};

void check(int ok, const char *what);
void check_lckv(lckv_status status);
void *allocate(size_t n, size_t size);

struct filled_cache filled_cache(const struct setting *setting);

/* Writes a line of JSON about the cache and what it holds. */
void describe(const struct filled_cache *filled);

/* Truncates a session, or makes it longer without computing anything. */
void set_length(const struct filled_cache *filled, lckv_session *session, uint64_t length);

#endif
