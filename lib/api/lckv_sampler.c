/*
 * lckv_sampler_* and lckv_log_probabilities.
 */
#include "api/options.h"
#include "base/status.h"
#include "cache/session.h"
#include "sample/sampler.h"

lckv_status lckv_sampler_options_init(lckv_sampler_options *options, size_t size)
{
    return options_init(options, size, "lckv_sampler_options");
}

lckv_status lckv_sampler_create(const lckv_sampler_options *options, lckv_sampler **sampler)
{
    if (sampler == NULL)
        return argument_null(__func__, "sampler");
    lckv_sampler_options full;
    lckv_status status = options_read(&full, sizeof full, options, "lckv_sampler_options");
    return status == LCKV_OK ? sampler_create(&full, sampler) : status;
}

void lckv_sampler_retain(lckv_sampler *sampler)
{
    if (sampler != NULL)
        sampler_retain(sampler);
}

void lckv_sampler_release(lckv_sampler *sampler)
{
    if (sampler != NULL)
        sampler_release(sampler);
}

lckv_status lckv_sampler_clone(const lckv_sampler *sampler, lckv_sampler **clone)
{
    if (sampler == NULL)
        return argument_null(__func__, "sampler");
    if (clone == NULL)
        return argument_null(__func__, "clone");
    return sampler_clone(sampler, clone);
}

lckv_status lckv_sampler_reset(lckv_sampler *sampler)
{
    if (sampler == NULL)
        return argument_null(__func__, "sampler");
    sampler_reset(sampler);
    return LCKV_OK;
}

/* Token ids are int32_t, so there cannot be more logits. */
static lckv_status check_n_vocab(size_t n_vocab)
{
    if (n_vocab == 0 || n_vocab > INT32_MAX)
        return fail(LCKV_INVALID_ARGUMENT, "n_vocab is %zu; expected 1 to %d", n_vocab, INT32_MAX);
    return LCKV_OK;
}

lckv_status lckv_sampler_sample(lckv_sampler *sampler, const float *logits, size_t n_vocab,
                                lckv_token *token)
{
    if (sampler == NULL)
        return argument_null(__func__, "sampler");
    if (logits == NULL)
        return argument_null(__func__, "logits");
    if (token == NULL)
        return argument_null(__func__, "token");
    lckv_status status = check_n_vocab(n_vocab);
    return status == LCKV_OK ? sampler_sample(sampler, logits, n_vocab, token) : status;
}

lckv_status lckv_sampler_sample_session(lckv_sampler *sampler, lckv_session *session,
                                        lckv_token *token)
{
    if (sampler == NULL)
        return argument_null(__func__, "sampler");
    if (session == NULL)
        return argument_null(__func__, "session");
    if (token == NULL)
        return argument_null(__func__, "token");
    /*
     * The cache is held, so that the logits stay while they are read, and the session whatever a
     * callback does.
     */
    struct lckv_cache *cache = session->cache;
    lckv_status status = cache_enter(cache);
    if (status != LCKV_OK)
        return status;
    const float *logits;
    size_t n_rows, n_vocab = cache->model->hparams.n_vocab;
    status = session_logits(session, &logits, &n_rows);
    if (status == LCKV_OK)
        status = sampler_sample(sampler, logits + (n_rows - 1) * n_vocab, n_vocab, token);
    failure_keep(&cache->failure, status);
    cache_leave(cache);
    return status;
}

lckv_status lckv_sampler_accept(lckv_sampler *sampler, lckv_token token)
{
    if (sampler == NULL)
        return argument_null(__func__, "sampler");
    return sampler_accept(sampler, token);
}

lckv_status lckv_log_probabilities(const float *logits, size_t n_vocab, float *result)
{
    if (logits == NULL)
        return argument_null(__func__, "logits");
    if (result == NULL)
        return argument_null(__func__, "log_probabilities");
    lckv_status status = check_n_vocab(n_vocab);
    return status == LCKV_OK ? log_probabilities(logits, n_vocab, result) : status;
}
