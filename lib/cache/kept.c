/*
 * What happens to the pages of released sessions. See kept.h.
 */
#include "cache/kept.h"

/* Ends a kept session that no other session can use any more. */
static void destroy_if_useless(struct lckv_session *session)
{
    if (session->length == 0 || session->length < session->min_length ||
        session_has_forgotten(session))
        session_destroy(session);
}

static void hold_as(struct lckv_session *session, enum page_holder before, enum page_holder after)
{
    struct pages *pages = &session->cache->pages;
    for (uint32_t s = 0; s < session->cache->model->plan->n_slots; s++) {
        const struct slot_pages *slot = &session->slots[s];
        for (size_t i = 0; i < slot->count; i++) {
            pages_share(pages, slot->ids[i], after);
            pages_drop(pages, slot->ids[i], before);
        }
    }
    session->holder = after;
}

/* Shortens a kept session. Its tokens and pages before `length` stay. */
static void cut(struct lckv_session *session, uint64_t length)
{
    session_shorten(session, length);
    session->length = length;
}

void keep_or_destroy(struct lckv_session *session)
{
    struct lckv_cache *cache = session->cache;
    cache->n_sessions--;
    if (!cache->keeps) {
        session_destroy(session);
        return;
    }
    session_unlink(session);
    hold_as(session, PAGE_LIVE, PAGE_KEPT);
    session_link(session);
    session->logits_of = 0;
    cut(session, session_reusable(session));
    destroy_if_useless(session);
    while (cache->kept.first != NULL && cache->table_bytes > cache->table_room)
        give_up_kept(cache);
}

void give_up_kept(struct lckv_cache *cache)
{
    struct lckv_session *oldest = cache->kept.last;
    const uint64_t n_pages = pages_for(&cache->paging, oldest->length);
    cut(oldest, (n_pages - 1) * cache->paging.page_positions);
    destroy_if_useless(oldest);
}

void give_up_all_kept(struct lckv_cache *cache)
{
    while (cache->kept.first != NULL)
        session_destroy(cache->kept.first);
}

uint64_t kept_table_bytes(const struct lckv_cache *cache)
{
    uint64_t bytes = 0;
    for (const struct lckv_session *kept = cache->kept.first; kept != NULL; kept = kept->next)
        bytes += session_table_bytes(kept);
    return bytes;
}

void revive_kept(struct lckv_session *kept, uint64_t length, struct lckv_session *session)
{
    struct lckv_cache *cache = session->cache;
    const struct lckv_session empty = *session;
    cut(kept, length);
    pthread_mutex_lock(&cache->mutex); /* other threads may read the tokens */
    session->slots = kept->slots;
    session->tokens = kept->tokens;
    session->token_capacity = kept->token_capacity;
    session->length = length;
    session->min_length = kept->min_length;
    session->n_forgotten = kept->n_forgotten;
    pthread_mutex_unlock(&cache->mutex);
    hold_as(session, PAGE_KEPT, PAGE_LIVE);
    kept->slots = empty.slots;
    kept->tokens = empty.tokens;
    kept->token_capacity = empty.token_capacity;
    session_destroy(kept);
}
