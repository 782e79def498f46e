/*
 * lckv_generate: the convenience loop.
 */
#include "api/options.h"
#include "base/status.h"
#include "cache/session.h"
#include "sample/generate.h"

lckv_status lckv_generate_options_init(lckv_generate_options *options, size_t size)
{
    return options_init(options, size, "lckv_generate_options");
}

static lckv_status check_stops(const lckv_generate_options *options)
{
    if (options->stops == NULL && options->n_stops > 0)
        return fail(LCKV_INVALID_ARGUMENT,
                    "lckv_generate_options.stops is NULL, but n_stops is %zu", options->n_stops);
    for (size_t i = 0; i < options->n_stops; i++) {
        if (options->stops[i].text == NULL || options->stops[i].length == 0)
            return fail(LCKV_INVALID_ARGUMENT,
                        "lckv_generate_options.stops[%zu] is empty; expected text", i);
    }
    return LCKV_OK;
}

static lckv_status run(struct lckv_session *session, struct lckv_sampler *sampler,
                       const lckv_token *prompt, size_t n_prompt,
                       const lckv_generate_options *options, lckv_generate_report *report)
{
    if (prompt == NULL)
        return argument_null("lckv_generate", "prompt");
    if (n_prompt == 0)
        return argument_range("n_prompt", 0, "at least one token");
    lckv_generate_options full;
    lckv_status status = options_read(&full, sizeof full, options, "lckv_generate_options");
    if (status == LCKV_OK)
        status = check_stops(&full);
    if (status == LCKV_OK && report != NULL)
        status = result_check(report, sizeof *report, "lckv_generate_report");
    if (status != LCKV_OK)
        return status;
    if (full.prefill < LCKV_PREFILL_AUTO || full.prefill > LCKV_PREFILL_MODEL)
        return argument_range("lckv_generate_options.prefill", full.prefill,
                              "an LCKV_PREFILL_... value");
    lckv_generate_report done = {.size = sizeof done};
    status = generate(session, sampler, prompt, n_prompt, &full, &done);
    if (status == LCKV_OK && report != NULL)
        status = result_write(report, &done, sizeof done, "lckv_generate_report");
    return status;
}

lckv_status lckv_generate(lckv_session *session, lckv_sampler *sampler, const lckv_token *prompt,
                          size_t n_prompt, const lckv_generate_options *options,
                          lckv_generate_report *report)
{
    if (session == NULL)
        return argument_null(__func__, "session");
    /*
     * The cache is held to the end: callbacks and other threads may release the session and the
     * cache.
     */
    struct lckv_cache *cache = session->cache;
    lckv_status status = cache_enter(cache);
    if (status != LCKV_OK)
        return status;
    status =
        failure_keep(&cache->failure, run(session, sampler, prompt, n_prompt, options, report));
    cache_leave(cache);
    return status;
}
