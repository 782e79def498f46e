/*
 * What a session tells about itself, some of it while another thread computes on the cache.
 */
#include "cache/session.h"

#include "base/status.h"

#include <string.h>

uint64_t session_shown_length(const struct lckv_session *session)
{
    pthread_mutex_lock(&session->cache->mutex);
    uint64_t length = session->length;
    pthread_mutex_unlock(&session->cache->mutex);
    return length;
}

uint64_t session_shown_min_length(const struct lckv_session *session)
{
    pthread_mutex_lock(&session->cache->mutex);
    uint64_t length = session->min_length;
    pthread_mutex_unlock(&session->cache->mutex);
    return length;
}

lckv_status session_shown_tokens(const struct lckv_session *session, lckv_token *tokens,
                                 size_t capacity, size_t *n_tokens)
{
    pthread_mutex_lock(&session->cache->mutex);
    uint64_t length = session->length;
    bool forgotten = session_has_forgotten(session);
    bool copied = !forgotten && tokens != NULL && capacity >= length;
    if (copied && length > 0)
        memcpy(tokens, session->tokens, (size_t)length * sizeof *tokens);
    pthread_mutex_unlock(&session->cache->mutex);
    if (forgotten)
        return fail(LCKV_OUT_OF_WINDOW,
                    "the session has %llu tokens and has forgotten those that its context window "
                    "of %u has left behind",
                    (unsigned long long)length, session->cache->paging.windows.context);
    *n_tokens = (size_t)length;
    if (copied || length == 0)
        return LCKV_OK;
    return fail(LCKV_BUFFER_TOO_SMALL, "room for %zu tokens; there are %llu", capacity,
                (unsigned long long)length);
}

lckv_status session_shown_tokens_between(const struct lckv_session *session, uint64_t begin,
                                         uint64_t end, lckv_token *tokens)
{
    pthread_mutex_lock(&session->cache->mutex);
    const struct held_positions held = session_held(session, false);
    const bool has_been = begin <= end && end <= held.end;
    const bool is_held = has_been && held_has(held, begin, end);
    if (is_held && begin < end)
        memcpy(tokens,
               session->tokens + (begin < held.n_sinks ? begin : begin - session->n_forgotten),
               (size_t)(end - begin) * sizeof *tokens);
    pthread_mutex_unlock(&session->cache->mutex);
    if (!has_been)
        return fail(LCKV_INVALID_ARGUMENT, "positions %llu to %llu; the session has %llu tokens",
                    (unsigned long long)begin, (unsigned long long)end,
                    (unsigned long long)held.end);
    if (!is_held)
        return fail(LCKV_OUT_OF_WINDOW,
                    "the session has the first %llu tokens and those from %llu on; asked for %llu "
                    "to %llu",
                    (unsigned long long)held.n_sinks, (unsigned long long)held.begin,
                    (unsigned long long)begin, (unsigned long long)end);
    return LCKV_OK;
}

lckv_status session_logits(const struct lckv_session *session, const float **logits, size_t *n_rows)
{
    if (session->logits_of == 0 || session->logits_of != session->cache->n_committed)
        return fail(LCKV_INVALID_ARGUMENT,
                    "the cache holds no logits of this session: its last evaluate wanted none "
                    "here, a later call replaced them, or a truncate dropped them");
    *logits = session->logits;
    *n_rows = session->n_logit_rows;
    return LCKV_OK;
}

lckv_status session_shown_logits(const struct lckv_session *session, const float **logits,
                                 size_t *n_rows)
{
    pthread_mutex_lock(&session->cache->mutex);
    cache_wait_idle(session->cache);
    lckv_status status =
        session->cache->busy ? fail_busy() : session_logits(session, logits, n_rows);
    pthread_mutex_unlock(&session->cache->mutex);
    return status;
}
