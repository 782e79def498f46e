/*
 * The cache as a whole: its budget, its lifetime, and who works on it. session.c has the sessions.
 */
#include "cache/cache.h"

#include "base/status.h"

#include <stdatomic.h>
#include <string.h>

void cache_resolve(lckv_cache_options *options)
{
    if (options->max_sessions == 0)
        options->max_sessions = CACHE_DEFAULT_SESSIONS;
    if (options->page_positions == 0)
        options->page_positions = CACHE_DEFAULT_PAGE;
    if (options->max_rows == 0)
        options->max_rows = CACHE_DEFAULT_ROWS;
    if (options->max_logit_rows == 0)
        options->max_logit_rows =
            options->max_sessions < CACHE_MAX_ROWS ? options->max_sessions : CACHE_MAX_ROWS;
    if (options->rollback == 0)
        options->rollback = CACHE_DEFAULT_ROLLBACK;
    if (options->n_tokens == 0 && options->budget_bytes == 0)
        options->n_tokens = CACHE_DEFAULT_TOKENS;
}

static lckv_status check_options(const lckv_cache_options *options)
{
    if (options->n_tokens != 0 && options->budget_bytes != 0)
        return fail(LCKV_INVALID_ARGUMENT,
                    "budget_bytes and n_tokens are both given; expected one of them");
    if (options->max_sessions > CACHE_MAX_SESSIONS)
        return fail(LCKV_INVALID_ARGUMENT, "max_sessions is %u; expected at most %u",
                    options->max_sessions, CACHE_MAX_SESSIONS);
    if (options->max_rows > CACHE_MAX_ROWS || options->max_logit_rows > CACHE_MAX_ROWS)
        return fail(LCKV_INVALID_ARGUMENT,
                    "max_rows is %u and max_logit_rows is %u; expected at most %u",
                    options->max_rows, options->max_logit_rows, CACHE_MAX_ROWS);
    return LCKV_OK;
}

/*
 * The pages of a windowed slot for sessions of up to `n_tokens` tokens in all. With these every
 * session can hold its window and append a token. Beyond that there is room for one call at a time
 * that appends any number of tokens to one session, or up to max_rows tokens to several.
 */
static uint64_t windowed_pages(const struct lckv_cache *cache, uint64_t n_tokens)
{
    const struct paging *paging = &cache->paging;
    uint64_t held = pages_at_rest(paging, true, n_tokens);
    uint64_t step = pages_at_peak(paging, true, held, n_tokens, 1, 1);
    uint64_t one_long = pages_at_peak(paging, true, held, n_tokens, n_tokens, 1) - step;
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
    uint64_t positions = cache->layout.page_positions, total = 0;
    uint64_t all = n_tokens / positions + (n_tokens % positions != 0) + cache->max_sessions - 1;
    uint64_t windowed = windowed_pages(cache, n_tokens);
    for (uint32_t s = 0; s < plan->n_slots; s++) {
        uint64_t needed = plan->slots[s].windowed && windowed < all ? windowed : all;
        if (!checked_add64(total, needed, &total))
            return fail(LCKV_OUT_OF_MEMORY, "n_tokens is too large");
    }
    *pages = (size_t)total;
    return LCKV_OK;
}

/* Bytes of the tables for `n_pages` pages: the free list, and the tables and tokens of sessions. */
static uint64_t bytes_of_tables(const struct lckv_cache *cache, uint64_t n_pages)
{
    uint64_t tokens = n_pages / cache->model->plan->n_slots * cache->layout.page_positions;
    uint64_t a_session = sizeof(struct lckv_session) +
                         cache->model->plan->n_slots * (sizeof(struct slot_pages) + 64);
    return n_pages * 3 * sizeof(uint8_t *) + tokens * 2 * sizeof(lckv_token) +
           a_session * cache->max_sessions;
}

static lckv_status size_arena(struct lckv_cache *cache, const lckv_cache_options *options)
{
    size_t n_pages = 0;
    if (options->n_tokens != 0) {
        lckv_status status = pages_for_tokens(cache, options->n_tokens, &n_pages);
        if (status != LCKV_OK)
            return status;
    } else {
        uint64_t fixed = cache->scratch_bytes + bytes_of_tables(cache, 0);
        uint64_t per_page =
            cache->layout.page_bytes +
            bytes_of_tables(cache, cache->model->plan->n_slots) / cache->model->plan->n_slots + 1 -
            bytes_of_tables(cache, 0) / cache->model->plan->n_slots;
        uint64_t least = fixed + per_page * cache->model->plan->n_slots;
        if (options->budget_bytes < least)
            return fail(
                LCKV_INVALID_ARGUMENT,
                "budget_bytes is %llu; with max_rows %u, max_logit_rows %u and max_sessions "
                "%u the scratch alone takes %llu and the least that works is %llu",
                (unsigned long long)options->budget_bytes, cache->max_rows, cache->max_logit_rows,
                cache->max_sessions, (unsigned long long)cache->scratch_bytes,
                (unsigned long long)least);
        n_pages = (size_t)((options->budget_bytes - fixed) / per_page);
    }
    cache->n_pages = n_pages;
    if (!checked_multiply(n_pages, cache->layout.page_bytes, &cache->arena_bytes) ||
        !checked_add(cache->arena_bytes, KV_SLACK, &cache->arena_bytes))
        return fail(LCKV_OUT_OF_MEMORY, "a cache of %zu pages is too large", n_pages);
    return LCKV_OK;
}

static lckv_status allocate(struct lckv_cache *cache)
{
    lckv_status status = memory_alloc_raw(&cache->allocator, cache->arena_bytes,
                                          "the pages of a cache", &cache->arena);
    if (status == LCKV_OK) /* pages are zeroed when they are taken */
        memset(cache->arena + cache->arena_bytes - KV_SLACK, 0, KV_SLACK);
    if (status == LCKV_OK)
        status = memory_alloc(&cache->allocator, cache->n_pages, sizeof(uint8_t *),
                              "the free list of a cache", &cache->free_pages);
    if (status == LCKV_OK)
        status = memory_alloc(&cache->allocator, cache->scratch_bytes, 1, "the scratch of a cache",
                              &cache->scratch);
    if (status != LCKV_OK)
        return status;
    for (size_t i = 0; i < cache->n_pages; i++) /* low addresses are taken first */
        cache->free_pages[i] = cache->arena + (cache->n_pages - 1 - i) * cache->layout.page_bytes;
    cache->n_free = cache->n_pages;
    return LCKV_OK;
}

static void destroy(struct lckv_cache *cache)
{
    memory_free(&cache->allocator, cache->arena, cache->arena_bytes, 1);
    memory_free(&cache->allocator, cache->free_pages, cache->n_pages, sizeof(uint8_t *));
    memory_free(&cache->allocator, cache->scratch, cache->scratch_bytes, 1);
    pthread_mutex_destroy(&cache->mutex);
    failure_destroy(&cache->failure);
    pool_release(cache->pool);
    const struct lckv_model *model = cache->model;
    lckv_allocator allocator = cache->allocator;
    memory_free(&allocator, cache, 1, sizeof *cache);
    model_release(model);
}

lckv_status cache_create(const struct lckv_model *model, const lckv_cache_options *options,
                         struct lckv_pool *pool, size_t scratch_bytes, struct lckv_cache **result)
{
    struct lckv_cache *cache;
    lckv_status status = check_options(options);
    if (status == LCKV_OK)
        status = memory_alloc(&model->allocator, 1, sizeof *cache, "a cache", &cache);
    if (status != LCKV_OK)
        return status;
    atomic_init(&cache->references, 1);
    model_retain(model);
    pool_retain(pool);
    cache->model = model;
    cache->allocator = model->allocator;
    cache->pool = pool;
    cache->max_sessions = options->max_sessions;
    cache->max_rows = options->max_rows;
    cache->max_logit_rows = options->max_logit_rows;
    cache->scratch_bytes = scratch_bytes;
    pthread_mutex_init(&cache->mutex, NULL);
    failure_init(&cache->failure);
    status =
        kv_layout_init(&cache->layout, options->kv_dtype, options->v_dtype,
                       model->hparams.n_kv_heads, model->hparams.head_dim, options->page_positions);
    cache->paging = (struct paging){.page_positions = options->page_positions,
                                    .sliding_window = model->hparams.sliding_window,
                                    .rollback = options->rollback};
    if (status == LCKV_OK)
        status = size_arena(cache, options);
    if (status == LCKV_OK)
        status = allocate(cache);
    if (status != LCKV_OK) {
        destroy(cache);
        return status;
    }
    cache->shown.n_free = cache->n_free;
    *result = cache;
    return LCKV_OK;
}

void cache_retain(struct lckv_cache *cache)
{
    atomic_fetch_add_explicit(&cache->references, 1, memory_order_relaxed);
}

void cache_release(struct lckv_cache *cache)
{
    if (cache != NULL &&
        atomic_fetch_sub_explicit(&cache->references, 1, memory_order_acq_rel) == 1)
        destroy(cache);
}

/* Bytes that the tables of sessions take now. */
static uint64_t session_table_bytes(const struct lckv_cache *cache)
{
    uint64_t bytes = 0;
    for (const struct lckv_session *s = cache->sessions; s != NULL; s = s->next) {
        bytes += sizeof *s + s->token_capacity * sizeof *s->tokens;
        for (uint32_t i = 0; i < cache->model->plan->n_slots; i++)
            bytes += sizeof *s->slots + s->slots[i].capacity * sizeof(uint8_t *);
    }
    return bytes;
}

void cache_get_stats(struct lckv_cache *cache, lckv_cache_stats *stats)
{
    const struct kv_layout *layout = &cache->layout;
    pthread_mutex_lock(&cache->mutex);
    if (!cache->busy) {
        cache->shown.n_free = cache->n_free;
        cache->shown.table_bytes = cache->n_pages * sizeof(uint8_t *) + session_table_bytes(cache);
    }
    stats->n_pages_free = cache->shown.n_free;
    stats->table_bytes = cache->shown.table_bytes;
    stats->n_sessions = cache->n_sessions;
    pthread_mutex_unlock(&cache->mutex);
    stats->bytes_per_token = cache->model->plan->n_slots * layout->position_bytes;
    stats->page_bytes = layout->page_bytes;
    stats->n_pages = cache->n_pages;
    stats->page_bytes_total = cache->arena_bytes;
    stats->scratch_bytes = cache->scratch_bytes;
    stats->max_sessions = cache->max_sessions;
    stats->n_threads = pool_size(cache->pool);
    stats->page_positions = layout->page_positions;
    stats->max_rows = cache->max_rows;
    stats->max_logit_rows = cache->max_logit_rows;
    stats->kv_dtype = layout->keys.dtype;
    stats->v_dtype = layout->values.dtype;
    stats->rollback = cache->paging.rollback;
}

lckv_status fail_busy(void)
{
    return fail(LCKV_BUSY, "another call is working on this cache; wait for it, or cancel it");
}

lckv_status cache_check_cancel(const struct lckv_cache *cache)
{
    if (atomic_load(&cache->cancelled) != 0)
        return fail(LCKV_CANCELLED, "the call was cancelled");
    return LCKV_OK;
}

lckv_status cache_enter(struct lckv_cache *cache)
{
    pthread_mutex_lock(&cache->mutex);
    bool busy = cache->busy;
    if (!busy) {
        cache->shown.n_free = cache->n_free;
        cache->shown.table_bytes = cache->n_pages * sizeof(uint8_t *) + session_table_bytes(cache);
        cache->busy = true;
        atomic_store(&cache->cancelled, 0);
        cache_retain(cache); /* it may be released while the call runs */
    }
    pthread_mutex_unlock(&cache->mutex);
    return busy ? fail_busy() : LCKV_OK;
}
