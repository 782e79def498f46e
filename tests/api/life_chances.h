/*
 * Chances in a life of sessions, and what may come of a call: it may fail for want of pages, bytes
 * or memory, or be cancelled.
 */
#ifndef LCKV_TESTS_LIFE_CHANCES_H
#define LCKV_TESTS_LIFE_CHANCES_H

#include "life_checks.h"

/* What a new session takes at most of the budget, besides its pages. */
static inline uint64_t table_bytes(const struct life *life, size_t length)
{
    return 4096 + (2 * length + life->n_slots * length / 4) * 4;
}

static inline struct text *any_text(struct life *life)
{
    const size_t first = below(MOST_SESSIONS);
    for (size_t i = 0; i < MOST_SESSIONS; i++) {
        struct text *text = &life->texts[(first + i) % MOST_SESSIONS];
        if (text->session != NULL)
            return text;
    }
    return NULL;
}

/* A place without a session. It may still know what one contained that was released. */
static inline struct text *any_gap(struct life *life)
{
    const size_t first = below(MOST_SESSIONS);
    for (size_t i = 0; i < MOST_SESSIONS; i++) {
        struct text *text = &life->texts[(first + i) % MOST_SESSIONS];
        if (text->session == NULL)
            return text;
    }
    return NULL;
}

static inline struct home *any_home(struct life *life)
{
    return &life->homes[below(COUNT(life->homes))];
}

/* Loses patience with a call at some moment, or never. */
struct patience {
    lckv_cache *cache;
    uint32_t calls;
    bool by_return; /* or by lckv_cache_cancel */
};

static inline struct patience any_patience(const struct home *home)
{
    return (struct patience){home->cache, one_in(4) ? below(3) : UINT32_MAX, one_in(2)};
}

static inline int32_t progress(void *user, uint64_t done, uint64_t total)
{
    struct patience *patience = user;
    ck_assert_uint_le(done, total);
    if (patience->calls == UINT32_MAX || patience->calls-- > 0)
        return 0;
    if (!patience->by_return)
        lckv_cache_cancel(patience->cache);
    patience->calls = 0;
    return patience->by_return;
}

/* Whether a call succeeded. If not, it must have had a reason. */
static inline bool succeeded(struct life *life, lckv_status status)
{
    ck_assert_msg(status == LCKV_OK || status == LCKV_CACHE_FULL || status == LCKV_CANCELLED ||
                      (status == LCKV_OUT_OF_MEMORY && life->is_starved),
                  "%s: %s", lckv_status_name(status), lckv_last_error());
    life->n_statuses[status]++;
    return status == LCKV_OK;
}

#endif
