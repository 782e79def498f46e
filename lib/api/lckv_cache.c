/*
 * lckv_cache_*.
 */
#include "api/options.h"
#include "base/status.h"
#include "engine/workspace.h"

#include <stdatomic.h>

lckv_status lckv_cache_options_init(lckv_cache_options *options, size_t size)
{
    return options_init(options, size, "lckv_cache_options");
}

lckv_status lckv_cache_create(const lckv_model *model, const lckv_cache_options *given,
                              lckv_cache **cache)
{
    if (model == NULL || cache == NULL)
        return fail(LCKV_INVALID_ARGUMENT, "lckv_cache_create: model or cache is NULL");
    lckv_cache_options options;
    lckv_status status = options_read(&options, sizeof options, given, "lckv_cache_options");
    if (status == LCKV_OK && options.reserved != 0)
        status = fail(LCKV_INVALID_ARGUMENT, "lckv_cache_options: reserved must be 0");
    if (status != LCKV_OK)
        return failure_keep(model->failure, status);
    cache_resolve(&options);
    struct lckv_pool *pool = options.pool;
    if (pool != NULL)
        pool_retain(pool);
    else
        status = pool_create(options.n_threads, &model->allocator, &pool);
    size_t scratch_bytes = 0;
    if (status == LCKV_OK) {
        status = workspace_measure(model, options.max_rows, options.max_logit_rows, pool_size(pool),
                                   &scratch_bytes);
        if (status == LCKV_OK)
            status = cache_create(model, &options, pool, scratch_bytes, cache);
        if (status == LCKV_OK)
            workspace_place(*cache);
        pool_release(pool);
    }
    return failure_keep(model->failure, status);
}

void lckv_cache_retain(lckv_cache *cache)
{
    if (cache != NULL)
        cache_retain(cache);
}

void lckv_cache_release(lckv_cache *cache)
{
    cache_release(cache);
}

lckv_status lckv_cache_get_stats(lckv_cache *cache, lckv_cache_stats *stats)
{
    if (cache == NULL || stats == NULL)
        return fail(LCKV_INVALID_ARGUMENT, "lckv_cache_get_stats: cache or stats is NULL");
    lckv_cache_stats full = {0};
    cache_get_stats(cache, &full);
    return result_write(stats, &full, sizeof full, "lckv_cache_stats");
}

void lckv_cache_cancel(lckv_cache *cache)
{
    if (cache != NULL)
        atomic_store(&cache->cancelled, 1);
}

size_t lckv_cache_last_error(lckv_cache *cache, char *buffer, size_t capacity)
{
    if (cache == NULL || (buffer == NULL && capacity > 0))
        return 0;
    return failure_copy(&cache->failure, buffer, capacity);
}
