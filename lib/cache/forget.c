/*
 * The tokens of a session without end. Its table holds those of the sinks and the last ones, so
 * that it stays as small as the pages do. See session.h.
 */
#include "cache/session.h"

#include <string.h>

bool session_has_forgotten(const struct lckv_session *session)
{
    return session_held(session, false).begin > 0;
}

uint64_t session_tokens_to_forget(const struct lckv_session *session)
{
    const struct held_positions held = session_held(session, false);
    const uint64_t gone = held.begin - held.n_sinks - session->n_forgotten;
    return gone >= session_n_held(session) / 2 ? gone : 0;
}

uint64_t session_most_held(const struct lckv_cache *cache, uint64_t length)
{
    const struct windows *windows = &cache->paging.windows;
    const uint64_t kept = (uint64_t)windows->context + cache->paging.rollback;
    return windows->context == 0 || length < 2 * kept ? length : 2 * kept - 1;
}

void session_forget_tokens(struct lckv_session *session)
{
    const uint64_t gone = session_tokens_to_forget(session);
    if (gone == 0)
        return;
    lckv_token *behind = session->tokens + session->cache->paging.windows.n_sinks;
    const size_t n_behind = (size_t)(session_next_tokens(session) - behind);
    memmove(behind, behind + gone, (n_behind - (size_t)gone) * sizeof *behind);
    session->n_forgotten += gone;
}
