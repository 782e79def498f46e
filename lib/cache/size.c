/*
 * How many pages a cache has, and how many bytes are set aside for the tables of its sessions.
 */
#include "cache/size.h"

#include "base/status.h"
#include "cache/session.h"

#define SMALLEST_TABLE 16 /* elements */
#define LEAST_KEPT 16     /* released sessions, even if the cache has few sessions, */
#define MOST_KEPT 1024    /* and beside those, even if it has many */

/*
 * The pages of a slot with a window for sessions of up to `n_tokens` tokens in all. With these
 * every session can hold its window and append a token. Beyond that there is room for one call at a
 * time that appends any number of tokens to one session, or up to max_rows tokens to several.
 */
static uint64_t pages_with_window(const struct lckv_cache *cache, const struct paging *paging,
                                  bool windowed, uint64_t n_tokens)
{
    uint64_t held = pages_at_rest(paging, windowed, n_tokens);
    uint64_t step = pages_at_peak(paging, windowed, held, n_tokens, 1, 1);
    uint64_t one_long = pages_at_peak(paging, windowed, held, n_tokens, n_tokens, 1) - step;
    /*
     * An item of n tokens begins at most n / page_positions + 1 more pages than a single token
     * does. Items of two tokens or more are at most half as many as there are tokens.
     */
    uint64_t items = cache->max_rows / 2;
    items = items < cache->max_sessions ? items : cache->max_sessions;
    uint64_t several = cache->max_rows / paging->page_positions + items;
    if (cache->model->plan->n_upward == 0 && several > items * one_long)
        several = items * one_long; /* nothing is iterated: passes can be short */
    return step * cache->max_sessions + (one_long > several ? one_long : several);
}

/* The pages for `n_tokens` tokens, however they are spread over the sessions. */
static lckv_status pages_for_tokens(const struct lckv_cache *cache, uint64_t n_tokens,
                                    size_t *pages)
{
    const struct lckv_plan *plan = cache->model->plan;
    uint64_t total = 0;
    for (uint32_t s = 0; s < plan->n_slots; s++) {
        const struct paging paging = cache_paging(cache, s);
        const bool windowed = plan->slots[s].windowed;
        const uint64_t all = pages_for(&paging, n_tokens) + cache->max_sessions - 1;
        uint64_t needed = all;
        if (slot_reach(&cache->paging.windows, windowed).window < UINT64_MAX)
            needed = pages_with_window(cache, &paging, windowed, n_tokens);
        if (!checked_add64(total, needed < all ? needed : all, &total))
            return fail(LCKV_OUT_OF_MEMORY, "n_tokens is too large");
    }
    *pages = (size_t)total;
    return LCKV_OK;
}

size_t cache_table_capacity(size_t needed)
{
    size_t capacity = SMALLEST_TABLE;
    while (capacity < needed && capacity <= SIZE_MAX / 2)
        capacity *= 2;
    return capacity > needed ? capacity : needed;
}

/*
 * Bytes of the tables that sessions need for `n_pages` pages that are not shared. A table may be
 * twice as large as what it holds, and a session that forgets tokens may hold twice as many as its
 * pages do.
 */
static uint64_t table_room(const struct lckv_cache *cache, uint64_t n_pages)
{
    const uint32_t n_slots = cache->model->plan->n_slots;
    uint64_t tokens = n_pages / n_slots * cache_most_positions(cache);
    uint64_t n_kept = cache->max_sessions < MOST_KEPT ? cache->max_sessions : MOST_KEPT;
    n_kept = cache->keeps ? n_kept + LEAST_KEPT : 0;
    uint64_t a_session = sizeof(struct lckv_session) + SMALLEST_TABLE * sizeof(lckv_token) +
                         n_slots * (sizeof(struct slot_pages) + SMALLEST_TABLE * sizeof(uint32_t));
    if (cache->paging.windows.context > 0)
        tokens *= 2;
    return n_pages * 2 * sizeof(uint32_t) + tokens * 2 * sizeof(lckv_token) +
           a_session * (cache->max_sessions + n_kept);
}

/* All bytes of a cache that has `n_pages` pages. */
static uint64_t bytes_of(const struct lckv_cache *cache, uint64_t n_pages)
{
    return cache->scratch_bytes + KV_SLACK + n_pages * cache->layouts[0].page_bytes +
           pages_table_bytes(n_pages) + table_room(cache, n_pages);
}

uint64_t cache_session_pages(const struct lckv_cache *cache, uint64_t length)
{
    const struct lckv_plan *plan = cache->model->plan;
    uint64_t total = 0;
    for (uint32_t s = 0; s < plan->n_slots; s++) {
        const struct paging paging = cache_paging(cache, s);
        const bool windowed = plan->slots[s].windowed;
        const uint64_t held = pages_at_rest(&paging, windowed, length);
        total += pages_at_peak(&paging, windowed, held, length, 1, 1);
    }
    return total;
}

uint64_t cache_session_tables(const struct lckv_cache *cache, uint64_t length)
{
    const struct lckv_plan *plan = cache->model->plan;
    uint64_t bytes = sizeof(struct lckv_session) + plan->n_slots * sizeof(struct slot_pages);
    if (length == 0)
        return bytes;
    const uint64_t n_held = session_most_held(cache, length);
    bytes += cache_table_capacity((size_t)n_held) * sizeof(lckv_token);
    for (uint32_t s = 0; s < plan->n_slots; s++) {
        const struct paging paging = cache_paging(cache, s);
        const bool windowed = plan->slots[s].windowed;
        const struct reach reach = slot_reach(&paging.windows, windowed);
        const uint64_t sinks = pages_of_sinks(&paging, windowed);
        const uint64_t begin = reach_begin(reach, length, paging.rollback) / paging.page_positions;
        const uint64_t n = pages_for(&paging, length) - (begin > sinks ? begin - sinks : 0);
        bytes += cache_table_capacity((size_t)n) * sizeof(uint32_t);
    }
    return bytes;
}

/* The most pages for which the budget suffices. */
static lckv_status pages_for_budget(const struct lckv_cache *cache, uint64_t budget,
                                    size_t *n_pages)
{
    const uint64_t least = bytes_of(cache, cache->model->plan->n_slots);
    if (budget < least)
        return fail(LCKV_INVALID_ARGUMENT,
                    "budget_bytes is %llu; with max_rows %u, max_logit_rows %u and max_sessions "
                    "%u the scratch alone takes %llu and the least that works is %llu",
                    (unsigned long long)budget, cache->max_rows, cache->max_logit_rows,
                    cache->max_sessions, (unsigned long long)cache->scratch_bytes,
                    (unsigned long long)least);
    uint64_t fits = cache->model->plan->n_slots, fails = budget / cache->layouts[0].page_bytes + 1;
    while (fails - fits > 1) {
        uint64_t middle = fits + (fails - fits) / 2;
        if (bytes_of(cache, middle) <= budget)
            fits = middle;
        else
            fails = middle;
    }
    *n_pages = (size_t)fits;
    return LCKV_OK;
}

lckv_status cache_size(struct lckv_cache *cache, const lckv_cache_options *options, size_t *n_pages)
{
    const bool has_budget = options->budget_bytes != 0;
    lckv_status status = has_budget ? pages_for_budget(cache, options->budget_bytes, n_pages)
                                    : pages_for_tokens(cache, options->n_tokens, n_pages);
    if (status != LCKV_OK)
        return status;
    cache->table_room = table_room(cache, *n_pages);
    /*
     * Without windows, only shared pages make tables larger than their room. A session with windows
     * may have any number of tokens in the same pages, and the planner lets it go on.
     */
    cache->tables_cost_pages = has_budget && cache->model->plan->n_windowed_slots == 0;
    return LCKV_OK;
}
