/*
 * The cache as a whole: its limits, its lifetime, and who works on it. session.c has the sessions.
 */
#include "cache/cache.h"

#include "base/status.h"
#include "cache/kept.h"
#include "cache/session.h"
#include "cache/size.h"

#include <stdatomic.h>
#include <string.h>

#define DEFAULT_TOKENS 4096
#define DEFAULT_SESSIONS 16
#define DEFAULT_PAGE 64
#define DEFAULT_ROWS 256
#define DEFAULT_ROLLBACK 64

void cache_resolve(lckv_cache_options *options)
{
    if (options->max_sessions == 0)
        options->max_sessions = DEFAULT_SESSIONS;
    if (options->page_positions == 0)
        options->page_positions = DEFAULT_PAGE;
    if (options->max_rows == 0)
        options->max_rows = DEFAULT_ROWS;
    if (options->max_logit_rows == 0)
        options->max_logit_rows =
            options->max_sessions < CACHE_MAX_ROWS ? options->max_sessions : CACHE_MAX_ROWS;
    if (options->rollback == 0)
        options->rollback = DEFAULT_ROLLBACK;
    if (options->n_tokens == 0 && options->budget_bytes == 0)
        options->n_tokens = DEFAULT_TOKENS;
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
    if (options->reuse < LCKV_REUSE_DEFAULT || options->reuse > LCKV_REUSE_OFF)
        return fail(LCKV_INVALID_ARGUMENT, "reuse is %d; expected DEFAULT, ON or OFF",
                    (int)options->reuse);
    return LCKV_OK;
}

static void destroy(struct lckv_cache *cache)
{
    while (cache->kept.first != NULL)
        session_destroy(cache->kept.first);
    pages_destroy(&cache->pages, &cache->allocator);
    memory_free(&cache->allocator, cache->scratch, cache->scratch_bytes, 1);
    pthread_cond_destroy(&cache->left);
    pthread_mutex_destroy(&cache->mutex);
    failure_destroy(&cache->failure);
    pool_release(cache->pool);
    const struct lckv_model *model = cache->model;
    lckv_allocator allocator = cache->allocator;
    memory_free(&allocator, cache, 1, sizeof *cache);
    model_release(model);
}

/* The pages that must stay unused because tables take more bytes than their room. */
static uint64_t lost_pages(const struct lckv_cache *cache, uint64_t table_bytes)
{
    if (!cache->tables_cost_pages || table_bytes <= cache->table_room)
        return 0;
    return (table_bytes - cache->table_room - 1) / cache->pages.page_bytes + 1;
}

/* Notes what the statistics tell while a call runs. Needs the mutex, if the cache is in use. */
static void look(struct lckv_cache *cache)
{
    cache->shown.n_pages = cache->pages.n - lost_pages(cache, cache->table_bytes);
    cache->shown.n_available = cache_available(cache, cache->table_bytes);
    cache->shown.n_idle = cache->pages.n_idle;
    cache->shown.table_bytes = cache->table_bytes;
}

uint32_t cache_most_positions(const struct lckv_cache *cache)
{
    uint32_t most = 0;
    for (uint32_t i = 0; i < cache->model->hparams.kv_shapes.n; i++)
        most = cache->layouts[i].page_positions > most ? cache->layouts[i].page_positions : most;
    return most;
}

lckv_status cache_describe(const struct lckv_model *model, const lckv_cache_options *options,
                           size_t scratch_bytes, struct lckv_cache *cache, size_t *n_pages)
{
    lckv_status status = check_options(options);
    if (status != LCKV_OK)
        return status;
    cache->model = model;
    cache->keeps = options->reuse != LCKV_REUSE_OFF;
    cache->waits = options->waits != 0;
    cache->max_sessions = options->max_sessions;
    cache->max_rows = options->max_rows;
    cache->max_logit_rows = options->max_logit_rows;
    cache->scratch_bytes = scratch_bytes;
    cache->paging = (struct paging){.page_positions = options->page_positions,
                                    .rollback = options->rollback,
                                    .windows = {.sliding = model->hparams.sliding_window,
                                                .context = options->context_window,
                                                .n_sinks = options->n_sinks}};
    status = windows_complete(&cache->paging.windows);
    if (status == LCKV_OK)
        status = kv_layouts_init(cache->layouts, &model->hparams.kv_shapes, options->kv_dtype,
                                 options->v_dtype, options->page_positions);
    cache->reuse_tolerance =
        options->reuse_tolerance == 0 ? default_tolerance(cache) : options->reuse_tolerance;
    return status == LCKV_OK ? cache_size(cache, options, n_pages) : status;
}

lckv_status cache_create(const struct lckv_model *model, const lckv_cache_options *options,
                         struct lckv_pool *pool, size_t scratch_bytes, struct lckv_cache **result)
{
    struct lckv_cache *cache;
    size_t n_pages = 0;
    lckv_status status = memory_alloc(&model->allocator, 1, sizeof *cache, "a cache", &cache);
    if (status != LCKV_OK)
        return status;
    atomic_init(&cache->references, 1);
    model_retain(model);
    pool_retain(pool);
    cache->allocator = model->allocator;
    cache->pool = pool;
    pthread_mutex_init(&cache->mutex, NULL);
    pthread_cond_init(&cache->left, NULL);
    failure_init(&cache->failure);
    cache->model = model; /* destroy() needs it, whatever the options say */
    status = cache_describe(model, options, scratch_bytes, cache, &n_pages);
    if (status == LCKV_OK)
        status =
            pages_create(&cache->pages, n_pages, cache->layouts[0].page_bytes, &cache->allocator);
    if (status == LCKV_OK)
        status = memory_alloc(&cache->allocator, cache->scratch_bytes, 1, "the scratch of a cache",
                              &cache->scratch);
    if (status != LCKV_OK) {
        destroy(cache);
        return status;
    }
    look(cache);
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

void cache_get_stats(struct lckv_cache *cache, lckv_cache_stats *stats)
{
    const struct kv_layout *layout = &cache->layouts[0];
    pthread_mutex_lock(&cache->mutex);
    if (!cache->busy)
        look(cache);
    stats->n_pages = cache->shown.n_pages;
    stats->page_bytes_total = cache->shown.n_pages * layout->page_bytes + KV_SLACK;
    stats->n_pages_free = cache->shown.n_available;
    stats->n_pages_kept = cache->shown.n_idle;
    stats->table_bytes = pages_table_bytes(cache->pages.n) + cache->shown.table_bytes;
    stats->n_sessions = cache->n_sessions;
    stats->n_reuses = cache->reuse.n_reuses;
    stats->n_reused_tokens = cache->reuse.n_reused_tokens;
    stats->n_reused_pages = cache->reuse.n_reused_pages;
    pthread_mutex_unlock(&cache->mutex);
    stats->bytes_per_token = 0;
    for (uint32_t s = 0; s < cache->model->plan->n_slots; s++)
        stats->bytes_per_token += cache_layout(cache, s)->position_bytes;
    stats->page_bytes = layout->page_bytes;
    stats->scratch_bytes = cache->scratch_bytes;
    stats->max_sessions = cache->max_sessions;
    stats->n_threads = pool_size(cache->pool);
    stats->page_positions = cache->paging.page_positions;
    stats->max_rows = cache->max_rows;
    stats->max_logit_rows = cache->max_logit_rows;
    stats->kv_dtype = layout->keys.dtype;
    stats->v_dtype = layout->values.dtype;
    stats->rollback = cache->paging.rollback;
    stats->context_window = cache->paging.windows.context;
    stats->n_sinks = cache->paging.windows.n_sinks;
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

/* Whether the caller may wait. A callback of the call that works would wait for ever. */
static bool may_wait(const struct lckv_cache *cache)
{
    return cache->waits && !(cache->busy && pthread_equal(cache->worker, pthread_self()));
}

void cache_wait_idle(struct lckv_cache *cache)
{
    while (cache->busy && may_wait(cache))
        pthread_cond_wait(&cache->left, &cache->mutex);
}

/* With the mutex held. Calls take turns in the order in which they come. */
static void wait_for_turn(struct lckv_cache *cache)
{
    if (!may_wait(cache))
        return;
    const uint64_t turn = cache->n_turns++;
    while (cache->busy || cache->next_turn != turn)
        pthread_cond_wait(&cache->left, &cache->mutex);
    cache->next_turn++;
}

lckv_status cache_enter(struct lckv_cache *cache)
{
    pthread_mutex_lock(&cache->mutex);
    cache_retain(cache); /* it may be released while the call waits or works */
    wait_for_turn(cache);
    bool busy = cache->busy;
    if (!busy) {
        look(cache);
        cache->busy = true;
        cache->worker = pthread_self();
        atomic_store(&cache->cancelled, 0);
    }
    pthread_mutex_unlock(&cache->mutex);
    if (!busy)
        return LCKV_OK;
    cache_release(cache);
    return fail_busy();
}

void cache_leave(struct lckv_cache *cache)
{
    pthread_mutex_lock(&cache->mutex);
    uint32_t n_released = 0;
    for (struct lckv_session *next, *s = cache->sessions.first; s != NULL; s = next) {
        next = s->next;
        if (s->released) {
            keep_or_destroy(s);
            n_released++;
        }
    }
    cache->busy = false;
    pthread_cond_broadcast(&cache->left);
    pthread_mutex_unlock(&cache->mutex);
    for (uint32_t i = 0; i <= n_released; i++) /* the sessions' references and the call's */
        cache_release(cache);
}

uint64_t cache_available(const struct lckv_cache *cache, uint64_t table_bytes)
{
    const uint64_t available = (uint64_t)cache->pages.n_free + cache->pages.n_idle;
    const uint64_t lost = lost_pages(cache, table_bytes);
    return available > lost ? available - lost : 0;
}

lckv_status cache_take(struct lckv_cache *cache, uint32_t from, uint32_t *page)
{
    while (cache->pages.n_free <= lost_pages(cache, cache->table_bytes) &&
           cache->kept.first != NULL)
        give_up_kept(cache);
    *page = from == PAGE_NONE ? pages_take(&cache->pages) : pages_take_copy(&cache->pages, from);
    return *page != PAGE_NONE ? LCKV_OK : fail(LCKV_INTERNAL, "a page that was reserved is gone");
}

lckv_status cache_afford_table(struct lckv_cache *cache, uint64_t bytes, const char *what)
{
    while (lost_pages(cache, cache->table_bytes + bytes) > cache->pages.n_free) {
        if (cache->kept.first == NULL)
            return fail(LCKV_CACHE_FULL,
                        "the %llu bytes of %s are more than the budget has left; release sessions, "
                        "or create a larger cache",
                        (unsigned long long)bytes, what);
        give_up_kept(cache);
    }
    return LCKV_OK;
}

lckv_status cache_grow_table(struct lckv_cache *cache, void *table, size_t *capacity, size_t needed,
                             size_t size, const char *what)
{
    if (needed <= *capacity)
        return LCKV_OK;
    const size_t before = *capacity, after = cache_table_capacity(needed);
    lckv_status status = cache_afford_table(cache, (uint64_t)(after - before) * size, what);
    if (status == LCKV_OK)
        status = memory_grow(&cache->allocator, table, capacity, after, size, what);
    cache->table_bytes += (*capacity - before) * size;
    return status;
}

void cache_shrink_table(struct lckv_cache *cache, void *table, size_t *capacity, size_t needed,
                        size_t size)
{
    const size_t after = cache_table_capacity(needed);
    void *smaller, *larger;
    if (after >= *capacity ||
        memory_alloc(&cache->allocator, after, size, "a smaller table", &smaller) != LCKV_OK)
        return;
    memcpy(&larger, table, sizeof larger);
    memcpy(smaller, larger, needed * size);
    memory_free(&cache->allocator, larger, *capacity, size);
    memcpy(table, &smaller, sizeof smaller);
    cache->table_bytes -= (*capacity - after) * size;
    *capacity = after;
}
