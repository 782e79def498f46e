/*
 * Sessions: their lifetime, their pages, and how they grow and shrink.
 */
#include "cache/cache.h"

#include "base/status.h"

#include <string.h>

const struct lckv_model *session_model(const struct lckv_session *session)
{
    return session->cache->model;
}

static void give_page(struct lckv_cache *cache, uint8_t *page)
{
    if (page != NULL)
        cache->free_pages[cache->n_free++] = page;
}

/* Gives back the pages from index `count` on. */
static void shorten(struct lckv_cache *cache, struct slot_pages *slot, size_t count)
{
    while (slot->count > count)
        give_page(cache, slot->pages[--slot->count]);
}

/* Needs the cache idle, or entered by this thread. Keeps the reference on the cache. */
static void destroy(struct lckv_session *session)
{
    struct lckv_cache *cache = session->cache;
    struct lckv_session **link = &cache->sessions;
    while (*link != NULL && *link != session)
        link = &(*link)->next;
    if (*link == session) {
        *link = session->next;
        cache->n_sessions--;
    }
    uint32_t n_slots = cache->model->plan->n_slots;
    for (uint32_t s = 0; session->slots != NULL && s < n_slots; s++) {
        shorten(cache, &session->slots[s], 0);
        memory_free(&cache->allocator, session->slots[s].pages, session->slots[s].capacity,
                    sizeof(uint8_t *));
    }
    memory_free(&cache->allocator, session->slots, n_slots, sizeof *session->slots);
    memory_free(&cache->allocator, session->tokens, session->token_capacity,
                sizeof *session->tokens);
    memory_free(&cache->allocator, session, 1, sizeof *session);
}

lckv_status session_create(struct lckv_cache *cache, struct lckv_session **result)
{
    if (cache->n_sessions >= cache->max_sessions)
        return fail(LCKV_CACHE_FULL,
                    "the cache has its %u sessions; release one or raise max_sessions",
                    cache->max_sessions);
    struct lckv_session *session;
    lckv_status status = memory_alloc(&cache->allocator, 1, sizeof *session, "a session", &session);
    if (status != LCKV_OK)
        return status;
    session->cache = cache;
    status = memory_alloc(&cache->allocator, cache->model->plan->n_slots, sizeof *session->slots,
                          "a session's slots", &session->slots);
    if (status != LCKV_OK) {
        destroy(session);
        return status;
    }
    cache_retain(cache);
    pthread_mutex_lock(&cache->mutex);
    session->next = cache->sessions;
    cache->sessions = session;
    cache->n_sessions++;
    pthread_mutex_unlock(&cache->mutex);
    *result = session;
    return LCKV_OK;
}

void session_release(struct lckv_session *session)
{
    if (session == NULL)
        return;
    struct lckv_cache *cache = session->cache;
    pthread_mutex_lock(&cache->mutex);
    bool later = cache->busy;
    if (later)
        session->released = true;
    else
        destroy(session);
    pthread_mutex_unlock(&cache->mutex);
    if (!later)
        cache_release(cache);
}

void cache_leave(struct lckv_cache *cache)
{
    pthread_mutex_lock(&cache->mutex);
    uint32_t n_released = 0;
    for (struct lckv_session *next, *s = cache->sessions; s != NULL; s = next) {
        next = s->next;
        if (s->released) {
            destroy(s);
            n_released++;
        }
    }
    cache->busy = false;
    pthread_mutex_unlock(&cache->mutex);
    for (uint32_t i = 0; i <= n_released; i++) /* the sessions' references and the call's */
        cache_release(cache);
}

uint64_t session_min_length(const struct lckv_session *session)
{
    if (session->window_begin == 0)
        return 0;
    return session->window_begin + session->cache->paging.sliding_window;
}

lckv_status session_truncate(struct lckv_session *session, uint64_t length)
{
    struct lckv_cache *cache = session->cache;
    if (length > session->length)
        return fail(LCKV_INVALID_ARGUMENT, "cannot truncate a session of %llu tokens to %llu",
                    (unsigned long long)session->length, (unsigned long long)length);
    if (length == session->length)
        return LCKV_OK;
    if (length < session_min_length(session) && length > 0)
        return fail(LCKV_OUT_OF_WINDOW,
                    "cannot go back to %llu tokens: windowed slots keep what %llu and more need; "
                    "go back to 0, or raise the cache's rollback (%u)",
                    (unsigned long long)length, (unsigned long long)session_min_length(session),
                    cache->paging.rollback);
    for (uint32_t s = 0; s < cache->model->plan->n_slots; s++) {
        struct slot_pages *slot = &session->slots[s];
        uint64_t end = pages_for(&cache->paging, length);
        shorten(cache, slot, end > slot->first ? (size_t)(end - slot->first) : 0);
        if (slot->count == 0)
            slot->first = length / cache->layout.page_positions;
        slot->kept = slot->count;
    }
    pthread_mutex_lock(&cache->mutex);
    session->length = length;
    if (length == 0)
        session->window_begin = 0;
    session->logits_of = 0;
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
    if (plan->slots[slot].windowed && begin < end && begin < session->window_begin)
        return fail(LCKV_OUT_OF_WINDOW, "slot %u keeps positions from %llu on; asked for %llu",
                    slot, (unsigned long long)session->window_begin, (unsigned long long)begin);
    size_t row = (size_t)cache->layout.n_kv_heads * cache->layout.head_dim;
    for (uint64_t p = begin; p < end; p++)
        kv_load(&cache->layout, session_page(session, slot, p),
                (uint32_t)(p % cache->layout.page_positions),
                keys != NULL ? keys + (p - begin) * row : NULL,
                values != NULL ? values + (p - begin) * row : NULL);
    return LCKV_OK;
}

uint64_t session_pages_needed(const struct lckv_session *session, uint64_t n_tokens, uint64_t chunk)
{
    const struct lckv_cache *cache = session->cache;
    const struct lckv_plan *plan = cache->model->plan;
    uint64_t length = session->length + n_tokens, total = 0;
    uint64_t fresh = pages_for(&cache->paging, length) - pages_for(&cache->paging, session->length);
    for (uint32_t s = 0; s < plan->n_slots; s++) {
        uint64_t held = session->slots[s].count;
        uint64_t peak =
            pages_at_peak(&cache->paging, plan->slots[s].windowed, held, length, n_tokens, chunk);
        total += peak - held < fresh ? peak - held : fresh;
    }
    return total;
}

/*
 * The tokens are put behind the length, where no other thread looks before the call is committed.
 */
static lckv_status reserve_tokens(struct lckv_session *session, const lckv_token *tokens,
                                  uint64_t n_tokens)
{
    struct lckv_cache *cache = session->cache;
    size_t length = (size_t)(session->length + n_tokens);
    pthread_mutex_lock(&cache->mutex);
    lckv_status status = memory_grow(&cache->allocator, &session->tokens, &session->token_capacity,
                                     length, sizeof *tokens, "a session's tokens");
    pthread_mutex_unlock(&cache->mutex);
    if (status == LCKV_OK)
        memcpy(session->tokens + session->length, tokens, (size_t)n_tokens * sizeof *tokens);
    return status;
}

lckv_status session_reserve(struct lckv_session *session, const lckv_token *tokens,
                            uint64_t n_tokens)
{
    struct lckv_cache *cache = session->cache;
    uint64_t length = session->length + n_tokens, end = pages_for(&cache->paging, length);
    session->growing_to = length;
    lckv_status status = reserve_tokens(session, tokens, n_tokens);
    for (uint32_t s = 0; status == LCKV_OK && s < cache->model->plan->n_slots; s++) {
        struct slot_pages *slot = &session->slots[s];
        slot->kept = slot->count;
        status =
            memory_grow(&cache->allocator, &slot->pages, &slot->capacity,
                        (size_t)(end - slot->first), sizeof *slot->pages, "a session's page table");
    }
    return status;
}

/*
 * Gives back the pages that this call took and that lie before position `begin`. The pages that the
 * session had before the call stay, in case the call fails.
 */
static void recycle(struct lckv_cache *cache, struct slot_pages *slot, uint64_t begin)
{
    uint64_t page = begin / cache->layout.page_positions;
    size_t n = page > slot->first ? (size_t)(page - slot->first) : 0;
    for (size_t i = slot->kept; i < n && i < slot->count; i++) {
        give_page(cache, slot->pages[i]);
        slot->pages[i] = NULL;
    }
}

lckv_status session_extend(struct lckv_session *session, uint64_t begin, uint64_t end)
{
    struct lckv_cache *cache = session->cache;
    const struct lckv_plan *plan = cache->model->plan;
    uint32_t window = cache->paging.sliding_window;
    for (uint32_t s = 0; s < plan->n_slots; s++) {
        struct slot_pages *slot = &session->slots[s];
        uint64_t attended = plan_slot_begin(&plan->slots[s], begin + 1, window, 0);
        uint64_t kept =
            plan_slot_begin(&plan->slots[s], session->growing_to, window, cache->paging.rollback);
        recycle(cache, slot, attended < kept ? attended : kept);
        while (slot->first + slot->count < pages_for(&cache->paging, end)) {
            if (cache->n_free == 0)
                return fail(LCKV_INTERNAL, "a page that was reserved is gone");
            uint8_t *page = cache->free_pages[--cache->n_free];
            memset(page, 0, cache->layout.page_bytes);
            slot->pages[slot->count++] = page;
        }
    }
    return LCKV_OK;
}

/* Drops the pages before position `begin`. */
static void drop_front(struct lckv_cache *cache, struct slot_pages *slot, uint64_t begin)
{
    uint64_t page = begin / cache->layout.page_positions;
    size_t n = page > slot->first ? (size_t)(page - slot->first) : 0;
    n = n < slot->count ? n : slot->count;
    if (n == 0)
        return;
    for (size_t i = 0; i < n; i++)
        give_page(cache, slot->pages[i]);
    slot->count -= n;
    memmove(slot->pages, slot->pages + n, slot->count * sizeof *slot->pages);
    slot->first += n;
}

void session_commit(struct lckv_session *session)
{
    struct lckv_cache *cache = session->cache;
    const struct lckv_plan *plan = cache->model->plan;
    uint64_t length = session->growing_to, window_begin = session->window_begin;
    for (uint32_t s = 0; s < plan->n_slots; s++) {
        struct slot_pages *slot = &session->slots[s];
        uint64_t begin = plan_slot_begin(&plan->slots[s], length, cache->paging.sliding_window,
                                         cache->paging.rollback);
        drop_front(cache, slot, begin);
        slot->kept = slot->count;
        if (begin > window_begin)
            window_begin = begin;
    }
    pthread_mutex_lock(&cache->mutex);
    session->length = length;
    session->window_begin = window_begin;
    pthread_mutex_unlock(&cache->mutex);
}

void session_rollback(struct lckv_session *session)
{
    for (uint32_t s = 0; s < session->cache->model->plan->n_slots; s++)
        shorten(session->cache, &session->slots[s], session->slots[s].kept);
}

uint8_t *session_page(const struct lckv_session *session, uint32_t slot, uint64_t position)
{
    const struct slot_pages *pages = &session->slots[slot];
    return pages->pages[position / session->cache->layout.page_positions - pages->first];
}
