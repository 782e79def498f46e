/*
 * What a cache will take. It asks the same functions that size a cache when it is made, so the
 * figures are exact.
 */
#include "engine/estimate.h"

#include "cache/size.h"
#include "engine/workspace.h"

/* Describes a cache for at most `max_sessions` sessions. */
static lckv_status describe(const struct lckv_model *model, lckv_cache_options options,
                            uint32_t n_threads, uint64_t context,
                            lckv_cache_estimate_report *report)
{
    struct lckv_cache cache = {0};
    size_t scratch_bytes = 0, n_pages = 0;
    cache_resolve(&options);
    lckv_status status = workspace_measure(model, &options, n_threads, &scratch_bytes);
    if (status == LCKV_OK)
        status = cache_describe(model, &options, scratch_bytes, &cache, &n_pages);
    if (status != LCKV_OK)
        return status;
    const uint64_t most = n_pages / cache_session_pages(&cache, context);
    report->max_sessions = options.max_sessions;
    report->sessions_that_fit = most < options.max_sessions ? most : options.max_sessions;
    report->page_bytes = cache.layouts[0].page_bytes;
    report->n_pages = n_pages;
    report->page_bytes_total = n_pages * cache.layouts[0].page_bytes + KV_SLACK;
    report->scratch_bytes = scratch_bytes;
    report->table_bytes = pages_table_bytes(n_pages) +
                          report->sessions_that_fit * cache_session_tables(&cache, context);
    return LCKV_OK;
}

/* Whether a cache for `n` sessions has room for as many of `context` tokens. */
static bool fits(const struct lckv_model *model, lckv_cache_options options, uint32_t n,
                 uint32_t n_threads, uint64_t context)
{
    lckv_cache_estimate_report report = {.size = sizeof report};
    options.max_sessions = n;
    return describe(model, options, n_threads, context, &report) == LCKV_OK &&
           report.sessions_that_fit == n;
}

lckv_status estimate_cache(const struct lckv_model *model, const lckv_cache_options *given,
                           uint32_t n_threads, uint64_t context, lckv_cache_estimate_report *report)
{
    lckv_cache_options options = *given;
    if (options.budget_bytes != 0 && options.max_sessions == 0) {
        uint32_t most = 1, fails = CACHE_MAX_SESSIONS + 1;
        while (fails - most > 1) {
            const uint32_t middle = most + (fails - most) / 2;
            if (fits(model, options, middle, n_threads, context))
                most = middle;
            else
                fails = middle;
        }
        options.max_sessions = most;
    }
    return describe(model, options, n_threads, context, report);
}
