/*
 * lckv_session_*.
 */
#include "api/options.h"
#include "base/status.h"
#include "cache/session.h"

lckv_status lckv_session_create(lckv_cache *cache, lckv_session **session)
{
    if (cache == NULL || session == NULL)
        return fail(LCKV_INVALID_ARGUMENT, "lckv_session_create: cache or session is NULL");
    lckv_status status = cache_enter(cache);
    if (status != LCKV_OK)
        return status;
    status = failure_keep(&cache->failure, session_create(cache, session));
    cache_leave(cache);
    return status;
}

void lckv_session_retain(lckv_session *session)
{
    if (session != NULL)
        session_retain(session);
}

void lckv_session_release(lckv_session *session)
{
    session_release(session);
}

lckv_cache *lckv_session_cache(const lckv_session *session)
{
    return session != NULL ? session->cache : NULL;
}

lckv_status lckv_session_length(lckv_session *session, uint64_t *length)
{
    if (session == NULL)
        return argument_null(__func__, "session");
    if (length == NULL)
        return failure_keep(&session->cache->failure, argument_null(__func__, "length"));
    *length = session_shown_length(session);
    return LCKV_OK;
}

lckv_status lckv_session_min_length(lckv_session *session, uint64_t *length)
{
    if (session == NULL)
        return argument_null(__func__, "session");
    if (length == NULL)
        return failure_keep(&session->cache->failure, argument_null(__func__, "length"));
    *length = session_shown_min_length(session);
    return LCKV_OK;
}

lckv_status lckv_session_tokens(lckv_session *session, lckv_token *tokens, size_t capacity,
                                size_t *n_tokens)
{
    if (session == NULL)
        return argument_null(__func__, "session");
    lckv_status status = argument_buffer(__func__, tokens, capacity, n_tokens);
    if (status == LCKV_OK)
        status = session_shown_tokens(session, tokens, capacity, n_tokens);
    return failure_keep(&session->cache->failure, status);
}

lckv_status lckv_session_read_tokens(lckv_session *session, uint64_t begin, uint64_t end,
                                     lckv_token *tokens)
{
    if (session == NULL)
        return argument_null(__func__, "session");
    lckv_status status =
        tokens == NULL && begin < end ? argument_null(__func__, "tokens") : LCKV_OK;
    if (status == LCKV_OK)
        status = session_shown_tokens_between(session, begin, end, tokens);
    return failure_keep(&session->cache->failure, status);
}

/* Enters the session's cache, or says why that fails. */
static lckv_status enter(const lckv_session *session, const char *function)
{
    return session != NULL ? cache_enter(session->cache) : argument_null(function, "session");
}

static lckv_status leave(const lckv_session *session, lckv_status status)
{
    failure_keep(&session->cache->failure, status);
    cache_leave(session->cache);
    return status;
}

lckv_status lckv_session_truncate(lckv_session *session, uint64_t length)
{
    lckv_status status = enter(session, __func__);
    if (status != LCKV_OK)
        return status;
    return leave(session, session_truncate(session, length));
}

lckv_status lckv_session_fork(lckv_session *session, lckv_session **fork)
{
    lckv_status status = enter(session, __func__);
    if (status != LCKV_OK)
        return status;
    return leave(session,
                 fork != NULL ? session_fork(session, fork) : argument_null(__func__, "fork"));
}

lckv_status lckv_session_reuse(lckv_session *session, const lckv_token *tokens, size_t n_tokens,
                               size_t *n_reused)
{
    uint64_t reused = 0;
    lckv_status status = enter(session, __func__);
    if (status != LCKV_OK)
        return status;
    if (tokens == NULL && n_tokens > 0)
        status = argument_null(__func__, "tokens");
    else
        status = session_reuse(session, tokens, n_tokens, &reused);
    if (n_reused != NULL)
        *n_reused = (size_t)reused;
    return leave(session, status);
}

lckv_status lckv_session_read_kv(lckv_session *session, uint32_t slot, uint64_t begin, uint64_t end,
                                 float *keys, float *values)
{
    lckv_status status = enter(session, __func__);
    if (status != LCKV_OK)
        return status;
    return leave(session, session_read_kv(session, slot, begin, end, keys, values));
}

lckv_status lckv_session_logits(lckv_session *session, const float **logits, size_t *n_rows)
{
    if (session == NULL)
        return argument_null(__func__, "session");
    if (logits == NULL)
        return failure_keep(&session->cache->failure, argument_null(__func__, "logits"));
    const float *held;
    size_t n;
    lckv_status status = session_shown_logits(session, &held, &n);
    if (status != LCKV_OK)
        return failure_keep(&session->cache->failure, status);
    *logits = held;
    if (n_rows != NULL)
        *n_rows = n;
    return LCKV_OK;
}
