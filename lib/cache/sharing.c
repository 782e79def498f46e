/*
 * Sessions that share pages: forks, and sessions that begin like another one. See session.h.
 */
#include "base/status.h"
#include "cache/kept.h"
#include "cache/session.h"

#include <math.h>
#include <string.h>

/* Makes room in the tables of an empty session for the first `length` tokens of `from`. */
static lckv_status reserve(const struct lckv_session *from, struct lckv_session *to,
                           uint64_t length)
{
    struct lckv_cache *cache = from->cache;
    const size_t n_held = (size_t)(length - from->n_forgotten);
    pthread_mutex_lock(&cache->mutex); /* other threads may read the tokens */
    lckv_status status = cache_grow_table(cache, &to->tokens, &to->token_capacity, n_held,
                                          sizeof *to->tokens, "a session's tokens");
    pthread_mutex_unlock(&cache->mutex);
    for (uint32_t s = 0; status == LCKV_OK && s < cache->model->plan->n_slots; s++)
        status = cache_grow_table(cache, &to->slots[s].ids, &to->slots[s].capacity,
                                  session_pages_before(from, s, length), sizeof(uint32_t),
                                  "a session's page table");
    return status;
}

/*
 * Makes the empty session `to` hold the first `length` tokens of `from`, with the pages of `from`.
 * Slots of `from` must reach back far enough, and its table of tokens, too.
 */
static lckv_status share(const struct lckv_session *from, struct lckv_session *to, uint64_t length)
{
    struct lckv_cache *cache = from->cache;
    lckv_status status = reserve(from, to, length);
    if (status != LCKV_OK)
        return status;
    for (uint32_t s = 0; s < cache->model->plan->n_slots; s++) {
        const struct slot_pages *source = &from->slots[s];
        struct slot_pages *slot = &to->slots[s];
        slot->kept = session_pages_before(from, s, length);
        slot->gap = slot->kept > slot->n_sink_pages ? source->gap : 0;
        for (slot->count = 0; slot->count < slot->kept; slot->count++) {
            slot->ids[slot->count] = source->ids[slot->count];
            pages_share(&cache->pages, slot->ids[slot->count], PAGE_LIVE);
        }
    }
    if (length > 0)
        memcpy(to->tokens, from->tokens, (size_t)(length - from->n_forgotten) * sizeof *to->tokens);
    pthread_mutex_lock(&cache->mutex);
    to->length = length;
    to->min_length = from->min_length;
    to->n_forgotten = from->n_forgotten;
    to->inexact_from = from->inexact_from < length ? from->inexact_from : UINT64_MAX;
    to->tolerance = from->inexact_from < length ? from->tolerance : 0;
    pthread_mutex_unlock(&cache->mutex);
    return LCKV_OK;
}

lckv_status session_fork(const struct lckv_session *session, struct lckv_session **result)
{
    struct lckv_session *fork;
    lckv_status status = session_check_room(session->cache, 1);
    if (status == LCKV_OK)
        status = session_allocate(session->cache, &fork);
    if (status != LCKV_OK)
        return status;
    status = share(session, fork, session->length);
    if (status != LCKV_OK) {
        session_destroy(fork);
        return status;
    }
    fork->logits = session->logits;
    fork->n_logit_rows = session->n_logit_rows;
    fork->logits_of = session->logits_of;
    session_publish(fork);
    *result = fork;
    return LCKV_OK;
}

uint64_t session_reusable(const struct lckv_session *session)
{
    const bool all =
        isfinite(session->tolerance) && session->tolerance <= session->cache->reuse_tolerance;
    return all || session->length < session->inexact_from ? session->length : session->inexact_from;
}

/* How many tokens of a text `session` can share: it holds them, exactly enough, in all slots. */
static uint64_t shareable(const struct lckv_session *session, const lckv_token *tokens,
                          uint64_t most)
{
    uint64_t n = 0;
    const uint64_t reusable = session_reusable(session);
    most = most < reusable ? most : reusable;
    if (session_has_forgotten(session))
        return 0;
    while (n < most && session->tokens[n] == tokens[n])
        n++;
    return n >= session->min_length ? n : 0;
}

/* The session of a list that can share the most tokens, more than `*longest`; NULL: none. */
static struct lckv_session *find_longest(struct lckv_session *list, const lckv_token *tokens,
                                         uint64_t most, uint64_t *longest)
{
    struct lckv_session *best = NULL;
    for (struct lckv_session *s = list; s != NULL && *longest < most; s = s->next) {
        uint64_t n = shareable(s, tokens, most);
        if (n > *longest) {
            *longest = n;
            best = s;
        }
    }
    return best;
}

static void count_reuse(struct lckv_session *session)
{
    struct lckv_cache *cache = session->cache;
    pthread_mutex_lock(&cache->mutex);
    cache->reuse.n_reuses++;
    cache->reuse.n_reused_tokens += session->length;
    for (uint32_t s = 0; s < cache->model->plan->n_slots; s++)
        cache->reuse.n_reused_pages += session->slots[s].count;
    pthread_mutex_unlock(&cache->mutex);
}

/*
 * Shares the pages of a kept session. If `to` takes all that it has, or if there is no room for the
 * tables of both, `to` takes over its tables, too, and the kept session ends.
 */
static lckv_status share_kept(struct lckv_session *kept, struct lckv_session *to, uint64_t length)
{
    session_unlink(kept); /* room for tables may cost other kept sessions, but not this one */
    lckv_status status = LCKV_CACHE_FULL;
    if (length < kept->length)
        status = share(kept, to, length);
    if (status != LCKV_CACHE_FULL) {
        session_link(kept);
        return status;
    }
    revive_kept(kept, length, to);
    return LCKV_OK;
}

lckv_status session_reuse(struct lckv_session *session, const lckv_token *tokens, size_t n,
                          uint64_t *n_reused)
{
    struct lckv_cache *cache = session->cache;
    *n_reused = 0;
    if (session->length > 0)
        return fail(LCKV_INVALID_ARGUMENT,
                    "the session has %llu tokens; reuse needs an empty session",
                    (unsigned long long)session->length);
    if (!cache->keeps || n < 2)
        return LCKV_OK;
    uint64_t longest = 0;
    struct lckv_session *from = find_longest(cache->sessions.first, tokens, n - 1, &longest);
    struct lckv_session *kept = find_longest(cache->kept.first, tokens, n - 1, &longest);
    if (from == NULL && kept == NULL)
        return LCKV_OK;
    lckv_status status =
        kept != NULL ? share_kept(kept, session, longest) : share(from, session, longest);
    if (status != LCKV_OK)
        return status;
    *n_reused = longest;
    count_reuse(session);
    return LCKV_OK;
}
