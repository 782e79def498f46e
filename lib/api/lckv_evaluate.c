/*
 * lckv_evaluate and lckv_evaluate_cost, and their options.
 */
#include "engine/evaluate.h"

#include "api/options.h"
#include "base/status.h"

lckv_status lckv_evaluate_options_init(lckv_evaluate_options *options, size_t size)
{
    return options_init(options, size, "lckv_evaluate_options");
}

typedef lckv_status (*evaluate_function)(struct lckv_cache *cache, const lckv_item *items,
                                         size_t stride, size_t n_items,
                                         const lckv_evaluate_options *options,
                                         lckv_evaluate_report *report);

static lckv_status check_arguments(const lckv_cache *cache, const lckv_item *items, size_t stride,
                                   size_t n_items, const lckv_evaluate_options *given,
                                   lckv_evaluate_options *options)
{
    if (cache == NULL || items == NULL || n_items == 0)
        return fail(LCKV_INVALID_ARGUMENT, "lckv_evaluate: expected a cache and at least one item");
    if (stride < sizeof(lckv_item) || stride % _Alignof(lckv_item) != 0)
        return fail(LCKV_INVALID_ARGUMENT,
                    "lckv_evaluate: stride is %zu; expected sizeof(lckv_item), %zu, or more",
                    stride, sizeof(lckv_item));
    lckv_status status = options_read(options, sizeof *options, given, "lckv_evaluate_options");
    if (status == LCKV_OK && options->reserved != 0)
        status = fail(LCKV_INVALID_ARGUMENT, "lckv_evaluate_options: reserved must be 0");
    return status;
}

/* The report is written whatever the status, unless its own size is wrong. */
static lckv_status call(evaluate_function function, lckv_cache *cache, const lckv_item *items,
                        size_t stride, size_t n_items, const lckv_evaluate_options *given,
                        lckv_evaluate_report *report)
{
    lckv_evaluate_options options;
    lckv_evaluate_report full = {.failed_item = -1};
    lckv_status status = LCKV_OK;
    if (report != NULL)
        status = result_check(report, sizeof *report, "lckv_evaluate_report");
    if (status != LCKV_OK)
        return status;
    status = check_arguments(cache, items, stride, n_items, given, &options);
    if (status == LCKV_OK)
        status = cache_enter(cache);
    if (status == LCKV_OK) {
        status =
            failure_keep(&cache->failure, function(cache, items, stride, n_items, &options, &full));
        cache_leave(cache);
    }
    if (report != NULL) {
        lckv_status written = result_write(report, &full, sizeof full, "lckv_evaluate_report");
        status = status == LCKV_OK ? written : status;
    }
    return status;
}

lckv_status lckv_evaluate(lckv_cache *cache, const lckv_item *items, size_t stride, size_t n_items,
                          const lckv_evaluate_options *options, lckv_evaluate_report *report)
{
    return call(evaluate, cache, items, stride, n_items, options, report);
}

lckv_status lckv_evaluate_cost(lckv_cache *cache, const lckv_item *items, size_t stride,
                               size_t n_items, const lckv_evaluate_options *options,
                               lckv_evaluate_report *report)
{
    return call(evaluate_cost, cache, items, stride, n_items, options, report);
}
