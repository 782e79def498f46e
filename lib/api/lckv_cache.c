/*
 * lckv_cache_*.
 */
#include "api/options.h"
#include "base/status.h"
#include "engine/estimate.h"
#include "engine/workspace.h"

#include <math.h>
#include <stdatomic.h>

#define DEFAULT_CONTEXT 4096 /* tokens */

lckv_status lckv_cache_options_init(lckv_cache_options *options, size_t size)
{
    return options_init(options, size, "lckv_cache_options");
}

static lckv_status read_options(lckv_cache_options *options, const lckv_cache_options *given)
{
    lckv_status status = options_read(options, sizeof *options, given, "lckv_cache_options");
    if (status == LCKV_OK && isnan(options->reuse_tolerance))
        status = fail(LCKV_INVALID_ARGUMENT, "lckv_cache_options: reuse_tolerance is not a number");
    if (status == LCKV_OK && options->waits != 0 && options->waits != 1)
        status = argument_range("lckv_cache_options.waits", options->waits, "0 or 1");
    if (status == LCKV_OK && options->reserved != 0)
        status = fail(LCKV_INVALID_ARGUMENT, "lckv_cache_options: reserved must be 0");
    return status;
}

/* The caller's pool, or one for the cache alone. The caller releases it. */
static lckv_status choose_pool(const lckv_model *model, const lckv_cache_options *options,
                               struct lckv_pool **pool)
{
    *pool = options->pool;
    if (*pool == NULL)
        return pool_create(options->n_threads, &model->allocator, pool);
    pool_retain(*pool);
    return LCKV_OK;
}

lckv_status lckv_cache_create(const lckv_model *model, const lckv_cache_options *given,
                              lckv_cache **cache)
{
    if (model == NULL || cache == NULL)
        return fail(LCKV_INVALID_ARGUMENT, "lckv_cache_create: model or cache is NULL");
    lckv_cache_options options;
    struct lckv_pool *pool = NULL;
    size_t scratch_bytes = 0;
    lckv_status status = model_check_weights(model);
    if (status == LCKV_OK)
        status = read_options(&options, given);
    if (status == LCKV_OK) {
        cache_resolve(&options);
        status = choose_pool(model, &options, &pool);
    }
    if (status == LCKV_OK)
        status = workspace_measure(model, &options, pool_size(pool), &scratch_bytes);
    if (status == LCKV_OK)
        status = cache_create(model, &options, pool, scratch_bytes, cache);
    if (status == LCKV_OK)
        workspace_place(*cache);
    pool_release(pool);
    return failure_keep(model->failure, status);
}

lckv_status lckv_cache_estimate(const lckv_model *model, const lckv_cache_options *given,
                                uint64_t context, lckv_cache_estimate_report *report)
{
    if (model == NULL || report == NULL)
        return fail(LCKV_INVALID_ARGUMENT, "lckv_cache_estimate: model or report is NULL");
    lckv_cache_options options;
    lckv_cache_estimate_report full = {0};
    struct lckv_pool *pool = NULL;
    lckv_status status = model->problem != NULL ? model_check_weights(model) : LCKV_OK;
    if (status == LCKV_OK)
        status = read_options(&options, given);
    if (status == LCKV_OK)
        status = choose_pool(model, &options, &pool);
    if (status == LCKV_OK)
        status = estimate_cache(model, &options, pool_size(pool),
                                context != 0 ? context : DEFAULT_CONTEXT, &full);
    pool_release(pool);
    if (status == LCKV_OK)
        status = result_write(report, &full, sizeof full, "lckv_cache_estimate_report");
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

const lckv_model *lckv_cache_model(const lckv_cache *cache)
{
    return cache != NULL ? cache->model : NULL;
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
