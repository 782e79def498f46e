/*
 * How a session grows in an evaluate call, and how all is undone if the call fails. See session.h.
 */
#include "base/status.h"
#include "cache/session.h"

#include <string.h>

uint64_t session_pages_needed(const struct lckv_session *session, uint64_t n_tokens, uint64_t chunk)
{
    const struct lckv_cache *cache = session->cache;
    const struct lckv_plan *plan = cache->model->plan;
    uint64_t length = session->length + n_tokens, total = 0;
    for (uint32_t s = 0; s < plan->n_slots; s++) {
        const struct paging paging = cache_paging(cache, s);
        uint64_t fresh = pages_for(&paging, length) - pages_for(&paging, session->length);
        uint64_t held = session->slots[s].count;
        /*
         * The bound by n_tokens is for sessions that hold no more than this cache keeps. One that
         * another cache has saved may hold more, and `fresh` bounds both.
         */
        uint64_t peak =
            pages_at_peak(&paging, plan->slots[s].windowed, held, length, length, chunk);
        total += peak - held < fresh ? peak - held : fresh;
    }
    return total;
}

/* The index of the page that has room behind the session's last token; false if none has. */
static bool tail_of(const struct lckv_session *session, uint32_t slot, size_t *index)
{
    const uint32_t positions = cache_layout(session->cache, slot)->page_positions;
    *index = (size_t)(session->length / positions - session->slots[slot].gap);
    return session->length % positions != 0;
}

/* How many positions of the tail of a slot the session has. */
static uint32_t tail_positions(const struct lckv_session *session, uint32_t slot)
{
    return (uint32_t)(session->length % cache_layout(session->cache, slot)->page_positions);
}

void session_claim_tail(const struct lckv_session *session)
{
    size_t tail;
    for (uint32_t s = 0; s < session->cache->model->plan->n_slots; s++) {
        if (tail_of(session, s, &tail))
            pages_claim(&session->cache->pages, session->slots[s].ids[tail],
                        tail_positions(session, s));
    }
}

uint64_t session_count_copies(struct lckv_session *session, bool gives_up_kept)
{
    uint64_t copies = 0;
    size_t tail;
    for (uint32_t s = 0; s < session->cache->model->plan->n_slots; s++) {
        struct slot_pages *slot = &session->slots[s];
        slot->copies_tail =
            tail_of(session, s, &tail) && !pages_grant(&session->cache->pages, slot->ids[tail],
                                                       tail_positions(session, s), gives_up_kept);
        copies += slot->copies_tail;
    }
    return copies;
}

void session_forget_claims(const struct lckv_session *session)
{
    size_t tail;
    for (uint32_t s = 0; s < session->cache->model->plan->n_slots; s++) {
        if (tail_of(session, s, &tail))
            pages_forget_claims(&session->cache->pages, session->slots[s].ids[tail]);
    }
}

/*
 * Before the session writes to the page behind its last token: puts a copy in the page's place if
 * it must. Another session that holds the page keeps it until the call has ended, so it can be
 * taken up again if the call fails. If only kept sessions do, this session still holds it too.
 */
static lckv_status own_tail(struct lckv_session *session, uint32_t s)
{
    struct lckv_cache *cache = session->cache;
    struct slot_pages *slot = &session->slots[s];
    size_t tail;
    uint32_t copy;
    if (!slot->copies_tail || slot->original != PAGE_NONE || !tail_of(session, s, &tail))
        return LCKV_OK;
    lckv_status status = cache_take(cache, slot->ids[tail], &copy);
    if (status != LCKV_OK)
        return status;
    slot->original = slot->ids[tail];
    slot->holds_original = pages_held_once(&cache->pages, slot->original);
    slot->ids[tail] = copy;
    if (!slot->holds_original)
        pages_drop(&cache->pages, slot->original, PAGE_LIVE);
    return LCKV_OK;
}

static uint64_t growth_of(size_t capacity, uint64_t needed, size_t size)
{
    size_t grown = cache_table_capacity((size_t)needed);
    return needed > capacity ? (grown - capacity) * size : 0;
}

uint64_t session_table_growth(const struct lckv_session *session, uint64_t n_tokens)
{
    const struct lckv_cache *cache = session->cache;
    uint64_t length = session->length + n_tokens;
    uint64_t n_held = session_n_held(session) - session_tokens_to_forget(session) + n_tokens;
    uint64_t bytes = growth_of(session->token_capacity, n_held, sizeof(lckv_token));
    for (uint32_t s = 0; s < cache->model->plan->n_slots; s++) {
        const struct paging paging = cache_paging(cache, s);
        const struct slot_pages *slot = &session->slots[s];
        bytes +=
            growth_of(slot->capacity, pages_for(&paging, length) - slot->gap, sizeof(uint32_t));
    }
    return bytes;
}

/*
 * The tokens are put behind those held, where no other thread looks before the call is committed.
 */
static lckv_status reserve_tokens(struct lckv_session *session, const lckv_token *tokens,
                                  uint64_t n_tokens)
{
    struct lckv_cache *cache = session->cache;
    pthread_mutex_lock(&cache->mutex);
    session_forget_tokens(session);
    lckv_status status = cache_grow_table(cache, &session->tokens, &session->token_capacity,
                                          (size_t)(session_n_held(session) + n_tokens),
                                          sizeof *tokens, "a session's tokens");
    pthread_mutex_unlock(&cache->mutex);
    if (status == LCKV_OK)
        memcpy(session_next_tokens(session), tokens, (size_t)n_tokens * sizeof *tokens);
    return status;
}

lckv_status session_reserve(struct lckv_session *session, const lckv_token *tokens,
                            uint64_t n_tokens)
{
    struct lckv_cache *cache = session->cache;
    uint64_t length = session->length + n_tokens;
    session->growing_to = length;
    lckv_status status = reserve_tokens(session, tokens, n_tokens);
    for (uint32_t s = 0; status == LCKV_OK && s < cache->model->plan->n_slots; s++) {
        const struct paging paging = cache_paging(cache, s);
        struct slot_pages *slot = &session->slots[s];
        slot->kept = slot->count;
        status = cache_grow_table(cache, &slot->ids, &slot->capacity,
                                  (size_t)(pages_for(&paging, length) - slot->gap),
                                  sizeof *slot->ids, "a session's page table");
    }
    return status;
}

/*
 * Gives back the pages that this call took and that lie before position `begin`, behind the sinks.
 * The pages that the session had before the call stay, in case the call fails.
 */
static void recycle(struct lckv_session *session, uint32_t s, uint64_t begin)
{
    struct lckv_cache *cache = session->cache;
    struct slot_pages *slot = &session->slots[s];
    uint64_t page = begin / cache_layout(cache, s)->page_positions;
    size_t n = page > slot->gap ? (size_t)(page - slot->gap) : 0;
    size_t first = slot->kept > slot->n_sink_pages ? slot->kept : slot->n_sink_pages;
    for (size_t i = first; i < n && i < slot->count; i++) {
        pages_drop(&cache->pages, slot->ids[i], PAGE_LIVE);
        slot->ids[i] = PAGE_NONE;
    }
}

lckv_status session_extend(struct lckv_session *session, uint64_t begin, uint64_t end)
{
    struct lckv_cache *cache = session->cache;
    const struct lckv_plan *plan = cache->model->plan;
    lckv_status status = LCKV_OK;
    for (uint32_t s = 0; status == LCKV_OK && s < plan->n_slots; s++) {
        const struct paging paging = cache_paging(cache, s);
        struct slot_pages *slot = &session->slots[s];
        struct reach reach = slot_reach(&paging.windows, plan->slots[s].windowed);
        uint64_t attended = reach_begin(reach, begin + 1, 0);
        uint64_t kept = reach_begin(reach, session->growing_to, paging.rollback);
        recycle(session, s, attended < kept ? attended : kept);
        if (begin == session->length)
            status = own_tail(session, s);
        while (status == LCKV_OK && slot->gap + slot->count < pages_for(&paging, end)) {
            status = cache_take(cache, PAGE_NONE, &slot->ids[slot->count]);
            slot->count += status == LCKV_OK;
        }
    }
    return status;
}

/* Drops the pages before position `begin`, but not those of the sinks. */
static void drop_front(struct lckv_session *session, uint32_t s, uint64_t begin)
{
    struct lckv_cache *cache = session->cache;
    struct slot_pages *slot = &session->slots[s];
    const uint64_t page = begin / cache_layout(cache, s)->page_positions;
    const uint64_t first = slot->n_sink_pages + slot->gap;
    uint32_t *behind = slot->ids + slot->n_sink_pages;
    if (page <= first)
        return;
    const size_t n = (size_t)(page - first);
    for (size_t i = 0; i < n; i++)
        pages_drop(&cache->pages, behind[i], PAGE_LIVE);
    slot->count -= n;
    memmove(behind, behind + n, (slot->count - slot->n_sink_pages) * sizeof *behind);
    slot->gap += n;
}

void session_commit(struct lckv_session *session, float tolerance)
{
    struct lckv_cache *cache = session->cache;
    const struct lckv_plan *plan = cache->model->plan;
    const uint64_t length = session->growing_to;
    bool has_dropped = false;
    for (uint32_t s = 0; s < plan->n_slots; s++) {
        struct slot_pages *slot = &session->slots[s];
        struct reach reach = slot_reach(&cache->paging.windows, plan->slots[s].windowed);
        uint64_t begin = reach_begin(reach, length, cache->paging.rollback);
        if (slot->holds_original)
            pages_drop(&cache->pages, slot->original, PAGE_LIVE);
        slot->original = PAGE_NONE;
        slot->holds_original = false;
        drop_front(session, s, begin);
        cache_shrink_table(cache, &slot->ids, &slot->capacity, slot->count, sizeof *slot->ids);
        slot->kept = slot->count;
        has_dropped = has_dropped || begin > reach.n_sinks;
    }
    if (tolerance > 0 && session->inexact_from > session->length)
        session->inexact_from = session->length;
    if (tolerance > session->tolerance)
        session->tolerance = tolerance;
    pthread_mutex_lock(&cache->mutex);
    session->length = length;
    if (has_dropped && length - cache->paging.rollback > session->min_length)
        session->min_length = length - cache->paging.rollback;
    pthread_mutex_unlock(&cache->mutex);
}

void session_rollback(struct lckv_session *session)
{
    struct pages *pages = &session->cache->pages;
    size_t tail;
    for (uint32_t s = 0; s < session->cache->model->plan->n_slots; s++) {
        struct slot_pages *slot = &session->slots[s];
        while (slot->count > slot->kept)
            pages_drop(pages, slot->ids[--slot->count], PAGE_LIVE);
        if (slot->original == PAGE_NONE || !tail_of(session, s, &tail))
            continue;
        pages_drop(pages, slot->ids[tail], PAGE_LIVE);
        slot->ids[tail] = slot->original;
        if (!slot->holds_original)
            pages_share(pages, slot->original, PAGE_LIVE);
        slot->original = PAGE_NONE;
        slot->holds_original = false;
    }
}
