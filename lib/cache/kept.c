/*
 * What happens to the pages of released sessions. See kept.h.
 */
#include "cache/kept.h"

/* The tokens from the beginning on that another session may share. */
static uint64_t usable_length(const struct lckv_session *session)
{
    return session->length < session->iterated_from ? session->length : session->iterated_from;
}

/* Ends a kept session that no other session can use any more. */
static void destroy_if_useless(struct lckv_session *session)
{
    if (session->length == 0 || session->length < session->min_length ||
        session_has_forgotten(session))
        session_destroy(session);
}

static void hold_as_kept(struct lckv_session *session)
{
    struct pages *pages = &session->cache->pages;
    for (uint32_t s = 0; s < session->cache->model->plan->n_slots; s++) {
        const struct slot_pages *slot = &session->slots[s];
        for (size_t i = 0; i < slot->count; i++) {
            pages_share(pages, slot->ids[i], PAGE_KEPT);
            pages_drop(pages, slot->ids[i], PAGE_LIVE);
        }
    }
    session->holder = PAGE_KEPT;
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
    hold_as_kept(session);
    session_unlink(session);
    session_link(session, &cache->kept);
    session->logits_of = 0;
    cut(session, usable_length(session));
    destroy_if_useless(session);
    while (cache->kept != NULL && cache->table_bytes > cache->table_room)
        give_up_kept(cache);
}

void give_up_kept(struct lckv_cache *cache)
{
    struct lckv_session *oldest = cache->kept;
    while (oldest->next != NULL)
        oldest = oldest->next;
    const uint64_t n_pages = pages_for(&cache->paging, oldest->length);
    cut(oldest, (n_pages - 1) * cache->paging.page_positions);
    destroy_if_useless(oldest);
}

void give_up_all_kept(struct lckv_cache *cache)
{
    while (cache->kept != NULL)
        session_destroy(cache->kept);
}
