/*
 * lckv_session_*.
 */
#include "base/status.h"
#include "cache/cache.h"

#include <string.h>

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

void lckv_session_release(lckv_session *session)
{
    session_release(session);
}

/* Enters the session's cache, or says why not. */
static lckv_status enter(const lckv_session *session, const void *result, const char *function)
{
    if (session == NULL || result == NULL)
        return fail(LCKV_INVALID_ARGUMENT, "%s: an argument is NULL", function);
    return cache_enter(session->cache);
}

static lckv_status leave(const lckv_session *session, lckv_status status)
{
    failure_keep(&session->cache->failure, status);
    cache_leave(session->cache);
    return status;
}

lckv_status lckv_session_length(lckv_session *session, uint64_t *length)
{
    lckv_status status = enter(session, length, __func__);
    if (status != LCKV_OK)
        return status;
    *length = session->length;
    return leave(session, LCKV_OK);
}

lckv_status lckv_session_min_length(lckv_session *session, uint64_t *length)
{
    lckv_status status = enter(session, length, __func__);
    if (status != LCKV_OK)
        return status;
    *length = session_min_length(session);
    return leave(session, LCKV_OK);
}

lckv_status lckv_session_tokens(lckv_session *session, lckv_token *tokens, size_t capacity,
                                size_t *n_tokens)
{
    lckv_status status = enter(session, n_tokens, __func__);
    if (status != LCKV_OK)
        return status;
    *n_tokens = (size_t)session->length;
    if (capacity < session->length)
        return leave(session, fail(LCKV_BUFFER_TOO_SMALL, "room for %zu tokens; there are %llu",
                                   capacity, (unsigned long long)session->length));
    if (session->length > 0 && tokens == NULL)
        return leave(session, fail(LCKV_INVALID_ARGUMENT, "%s: tokens is NULL", __func__));
    if (session->length > 0)
        memcpy(tokens, session->tokens, (size_t)session->length * sizeof *tokens);
    return leave(session, LCKV_OK);
}

lckv_status lckv_session_truncate(lckv_session *session, uint64_t length)
{
    lckv_status status = enter(session, session, __func__);
    if (status != LCKV_OK)
        return status;
    return leave(session, session_truncate(session, length));
}

lckv_status lckv_session_read_kv(lckv_session *session, uint32_t slot, uint64_t begin, uint64_t end,
                                 float *keys, float *values)
{
    lckv_status status = enter(session, session, __func__);
    if (status != LCKV_OK)
        return status;
    return leave(session, session_read_kv(session, slot, begin, end, keys, values));
}

lckv_status lckv_session_logits(lckv_session *session, const float **logits, size_t *n_rows)
{
    lckv_status status = enter(session, logits, __func__);
    if (status != LCKV_OK)
        return status;
    size_t n;
    status = session_logits(session, logits, &n);
    if (status == LCKV_OK && n_rows != NULL)
        *n_rows = n;
    return leave(session, status);
}
