/*
 * The lifetime of sessions, what they hold, and how they get shorter. See session.h.
 */
#include "cache/session.h"

#include "base/status.h"
#include "cache/kept.h"

const struct lckv_model *session_model(const struct lckv_session *session)
{
    return session->cache->model;
}

static struct session_list *list_of(const struct lckv_session *session)
{
    struct lckv_cache *cache = session->cache;
    return session->holder == PAGE_KEPT ? &cache->kept : &cache->sessions;
}

void session_unlink(struct lckv_session *session)
{
    struct session_list *list = list_of(session);
    if (!session->is_listed)
        return;
    *(session->previous != NULL ? &session->previous->next : &list->first) = session->next;
    *(session->next != NULL ? &session->next->previous : &list->last) = session->previous;
    session->is_listed = false;
}

void session_link(struct lckv_session *session)
{
    struct session_list *list = list_of(session);
    session->previous = NULL;
    session->next = list->first;
    *(list->first != NULL ? &list->first->previous : &list->last) = session;
    list->first = session;
    session->is_listed = true;
}

uint64_t session_table_bytes(const struct lckv_session *session)
{
    const uint32_t n_slots = session->slots != NULL ? session->cache->model->plan->n_slots : 0;
    uint64_t bytes = sizeof *session + session->token_capacity * sizeof *session->tokens;
    for (uint32_t s = 0; s < n_slots; s++)
        bytes += sizeof *session->slots + session->slots[s].capacity * sizeof(uint32_t);
    return bytes;
}

static void drop_page(struct lckv_session *session, uint32_t id)
{
    pages_drop(&session->cache->pages, id, session->holder);
}

size_t session_pages_before(const struct lckv_session *session, uint32_t slot, uint64_t length)
{
    const struct slot_pages *pages = &session->slots[slot];
    const struct paging paging = cache_paging(session->cache, slot);
    const uint64_t end = pages_for(&paging, length);
    const uint64_t sinks = end < pages->n_sink_pages ? end : pages->n_sink_pages;
    const uint64_t n = end > sinks + pages->gap ? end - pages->gap : sinks;
    return n < pages->count ? (size_t)n : pages->count;
}

void session_shorten(struct lckv_session *session, uint64_t length)
{
    for (uint32_t s = 0; s < session->cache->model->plan->n_slots; s++) {
        struct slot_pages *slot = &session->slots[s];
        const size_t left = session_pages_before(session, s, length);
        while (slot->count > left)
            drop_page(session, slot->ids[--slot->count]);
        if (slot->count <= slot->n_sink_pages)
            slot->gap = 0;
        slot->kept = slot->count;
    }
}

void session_destroy(struct lckv_session *session)
{
    struct lckv_cache *cache = session->cache;
    const uint32_t n_slots = cache->model->plan->n_slots;
    session_unlink(session);
    cache->table_bytes -= session_table_bytes(session);
    if (session->slots != NULL)
        session_shorten(session, 0);
    for (uint32_t s = 0; session->slots != NULL && s < n_slots; s++)
        memory_free(&cache->allocator, session->slots[s].ids, session->slots[s].capacity,
                    sizeof(uint32_t));
    memory_free(&cache->allocator, session->slots, n_slots, sizeof *session->slots);
    memory_free(&cache->allocator, session->tokens, session->token_capacity,
                sizeof *session->tokens);
    memory_free(&cache->allocator, session, 1, sizeof *session);
}

lckv_status session_allocate(struct lckv_cache *cache, struct lckv_session **result)
{
    struct lckv_session *session;
    const uint64_t bytes =
        sizeof *session + (uint64_t)cache->model->plan->n_slots * sizeof *session->slots;
    lckv_status status = cache_afford_table(cache, bytes, "a session");
    if (status == LCKV_OK)
        status = memory_alloc(&cache->allocator, 1, sizeof *session, "a session", &session);
    if (status != LCKV_OK)
        return status;
    session->cache = cache;
    session->n_handles = 1;
    session->inexact_from = UINT64_MAX;
    status = memory_alloc(&cache->allocator, cache->model->plan->n_slots, sizeof *session->slots,
                          "a session's slots", &session->slots);
    for (uint32_t s = 0; status == LCKV_OK && s < cache->model->plan->n_slots; s++) {
        session->slots[s].original = PAGE_NONE;
        const struct paging paging = cache_paging(cache, s);
        session->slots[s].n_sink_pages =
            (size_t)pages_of_sinks(&paging, cache->model->plan->slots[s].windowed);
    }
    cache->table_bytes += session_table_bytes(session);
    if (status != LCKV_OK) {
        session_destroy(session);
        return status;
    }
    *result = session;
    return LCKV_OK;
}

void session_publish(struct lckv_session *session)
{
    struct lckv_cache *cache = session->cache;
    cache_retain(cache);
    pthread_mutex_lock(&cache->mutex);
    session_link(session);
    cache->n_sessions++;
    pthread_mutex_unlock(&cache->mutex);
}

lckv_status session_check_room(const struct lckv_cache *cache, uint64_t n)
{
    const uint32_t room = cache->max_sessions - cache->n_sessions;
    if (n <= room)
        return LCKV_OK;
    return fail(LCKV_CACHE_FULL,
                "%llu more session%s would be too many: the cache has %u of its %u; release some "
                "or raise max_sessions",
                (unsigned long long)n, n == 1 ? "" : "s", cache->n_sessions, cache->max_sessions);
}

lckv_status session_create(struct lckv_cache *cache, struct lckv_session **result)
{
    lckv_status status = session_check_room(cache, 1);
    if (status == LCKV_OK)
        status = session_allocate(cache, result);
    if (status == LCKV_OK)
        session_publish(*result);
    return status;
}

void session_retain(struct lckv_session *session)
{
    pthread_mutex_lock(&session->cache->mutex);
    session->n_handles++;
    pthread_mutex_unlock(&session->cache->mutex);
}

void session_release(struct lckv_session *session)
{
    if (session == NULL)
        return;
    struct lckv_cache *cache = session->cache;
    pthread_mutex_lock(&cache->mutex);
    const bool ends = --session->n_handles == 0, later = ends && cache->busy;
    if (later)
        session->released = true;
    else if (ends)
        keep_or_destroy(session);
    pthread_mutex_unlock(&cache->mutex);
    if (ends && !later)
        cache_release(cache);
}

lckv_status session_truncate(struct lckv_session *session, uint64_t length)
{
    struct lckv_cache *cache = session->cache;
    if (length > session->length)
        return fail(LCKV_INVALID_ARGUMENT, "cannot truncate a session of %llu tokens to %llu",
                    (unsigned long long)session->length, (unsigned long long)length);
    if (length == session->length)
        return LCKV_OK;
    if (length < session->min_length && length > 0)
        return fail(LCKV_OUT_OF_WINDOW,
                    "cannot go back to %llu tokens: windows have left behind what fewer than %llu "
                    "need; go back to 0, or raise the cache's rollback (%u)",
                    (unsigned long long)length, (unsigned long long)session->min_length,
                    cache->paging.rollback);
    session_shorten(session, length);
    pthread_mutex_lock(&cache->mutex);
    session->length = length;
    if (length == 0)
        session->min_length = session->n_forgotten = 0;
    session->logits_of = 0;
    if (length <= session->inexact_from) {
        session->inexact_from = UINT64_MAX;
        session->tolerance = 0;
    }
    pthread_mutex_unlock(&cache->mutex);
    return LCKV_OK;
}

lckv_status session_read_kv(const struct lckv_session *session, uint32_t slot, uint64_t begin,
                            uint64_t end, float *keys, float *values)
{
    const struct lckv_cache *cache = session->cache;
    const struct lckv_plan *plan = cache->model->plan;
    if (slot >= plan->n_slots)
        return fail(LCKV_INVALID_ARGUMENT, "slot is %u; the plan has %u slots", slot,
                    plan->n_slots);
    if (begin > end || end > session->length)
        return fail(LCKV_INVALID_ARGUMENT, "positions %llu to %llu; the session has %llu tokens",
                    (unsigned long long)begin, (unsigned long long)end,
                    (unsigned long long)session->length);
    const struct held_positions held = session_held(session, plan->slots[slot].windowed);
    if (!held_has(held, begin, end))
        return fail(LCKV_OUT_OF_WINDOW,
                    "slot %u keeps the first %llu positions and those from %llu on; asked for %llu "
                    "to %llu",
                    slot, (unsigned long long)held.n_sinks, (unsigned long long)held.begin,
                    (unsigned long long)begin, (unsigned long long)end);
    const struct kv_layout *layout = cache_layout(cache, slot);
    size_t row = (size_t)layout->n_kv_heads * layout->head_dim;
    for (uint64_t p = begin; p < end; p++)
        kv_load(layout, session_page(session, slot, p), (uint32_t)(p % layout->page_positions),
                keys != NULL ? keys + (p - begin) * row : NULL,
                values != NULL ? values + (p - begin) * row : NULL);
    return LCKV_OK;
}

uint32_t session_page_id(const struct lckv_session *session, uint32_t slot, uint64_t position)
{
    const struct slot_pages *pages = &session->slots[slot];
    const uint64_t page = position / cache_layout(session->cache, slot)->page_positions;
    return pages->ids[page < pages->n_sink_pages ? page : page - pages->gap];
}

uint8_t *session_page(const struct lckv_session *session, uint32_t slot, uint64_t position)
{
    return page_address(&session->cache->pages, session_page_id(session, slot, position));
}

struct held_positions session_held(const struct lckv_session *session, bool windowed)
{
    const struct reach reach = slot_reach(&session->cache->paging.windows, windowed);
    const uint64_t begin = reach_begin(reach, session->min_length, 0);
    if (begin <= reach.n_sinks)
        return (struct held_positions){0, 0, session->length};
    return (struct held_positions){reach.n_sinks, begin, session->length};
}

bool held_has(struct held_positions held, uint64_t begin, uint64_t end)
{
    return begin == end || end <= held.n_sinks || (begin >= held.begin && end <= held.end);
}
