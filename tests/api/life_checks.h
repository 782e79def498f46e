/*
 * What must hold in a life of sessions: a session is a list of tokens, its keys and values are what
 * those tokens give in a cache of its own that keeps everything, and caches tell the truth.
 */
#ifndef LCKV_TESTS_LIFE_CHECKS_H
#define LCKV_TESTS_LIFE_CHECKS_H

#include "life.h"

/* ---- What texts contain ---- */

/* Notes that a session has grown to its present length. */
static inline void note_growth(const struct life *life, struct text *text)
{
    const uint64_t rollback = text->home->options.rollback;
    for (uint32_t s = 0; s < life->n_slots; s++) {
        const bool drops = life->reach[s] != UINT64_MAX &&
                           text->length > life->reach[s] + rollback + life->n_sinks[s];
        if (drops && text->length - rollback > text->min_length)
            text->min_length = (size_t)(text->length - rollback);
    }
}

static inline void check_tokens(const struct life *life, const struct text *text)
{
    lckv_token held[MOST_LENGTH];
    uint64_t min_length;
    size_t n;
    ck_assert_ok(lckv_session_min_length(text->session, &min_length));
    ck_assert_uint_eq(min_length, text->min_length);
    ck_assert_uint_eq(length_of(text->session), text->length);
    lckv_status status = lckv_session_tokens(text->session, held, MOST_LENGTH, &n);
    if (life->context_window > 0 && text->min_length > life->context_window) {
        ck_assert_status(status, LCKV_OUT_OF_WINDOW);
        return;
    }
    ck_assert_ok(status);
    ck_assert_uint_eq(n, text->length);
    ck_assert_mem_eq(held, text->tokens, n * sizeof *held);
}

/* Both sessions have the same keys and values at positions [begin, end) of a slot. */
static inline void compare_kv(lckv_session *a, lckv_session *b, uint32_t slot, size_t begin,
                              size_t end)
{
    static float kv_a[2][MOST_LENGTH * ROW], kv_b[2][MOST_LENGTH * ROW];
    ck_assert_ok(lckv_session_read_kv(a, slot, begin, end, kv_a[0], kv_a[1]));
    ck_assert_ok(lckv_session_read_kv(b, slot, begin, end, kv_b[0], kv_b[1]));
    for (int i = 0; i < 2; i++)
        ck_assert_msg(memcmp(kv_a[i], kv_b[i], (end - begin) * ROW * sizeof(float)) == 0,
                      "positions %zu to %zu of slot %u differ", begin, end, slot);
}

/* Checks everything that a session contains. */
static inline void check_text(const struct life *life, const struct text *text)
{
    check_tokens(life, text);
    if (text->length == 0)
        return;
    lckv_session *session = make_session(life->reference);
    lckv_item item = {.session = session, .tokens = text->tokens, .n_tokens = text->length};
    ck_assert_ok(run(life->reference, &item, 1, LCKV_PREFILL_AUTO));
    for (uint32_t slot = 0; slot < life->n_slots; slot++) {
        const size_t begin =
            text->min_length > life->reach[slot] ? text->min_length - life->reach[slot] : 0;
        compare_kv(text->session, session, slot, 0, smaller_of(life->n_sinks[slot], text->length));
        compare_kv(text->session, session, slot, begin, text->length);
        if (begin > life->n_sinks[slot])
            ck_assert_status(
                lckv_session_read_kv(text->session, slot, begin - 1, begin, NULL, NULL),
                LCKV_OUT_OF_WINDOW);
    }
    lckv_session_release(session);
}

/* ---- What the caches tell ---- */

static inline uint64_t pages_of(const struct life *life, const struct home *home, size_t length)
{
    const uint32_t positions = home->options.page_positions;
    return life->n_slots * (uint64_t)((length + positions - 1) / positions);
}

static inline void check_home(const struct life *life, struct home *home)
{
    const lckv_cache_stats stats = stats_of(home->cache);
    const uint64_t used = stats.n_pages - stats.n_pages_free;
    uint64_t most = 0, least = 0;
    home->n_texts = home->n_positions = 0;
    for (size_t i = 0; i < MOST_SESSIONS; i++) {
        const struct text *text = &life->texts[i];
        if (text->session == NULL || text->home != home)
            continue;
        const uint64_t pages = pages_of(life, home, text->length);
        home->n_texts++;
        home->n_positions += text->length;
        most += pages;
        least = least < pages ? pages : least;
    }
    ck_assert_uint_eq(stats.n_sessions, home->n_texts);
    ck_assert_uint_le(used, most);
    if (!life->forgets)
        ck_assert_uint_ge(used, least);
    ck_assert_uint_le(stats.n_pages_kept, stats.n_pages_free);
    ck_assert_uint_le(stats.n_pages, home->n_pages);
    if (home->options.budget_bytes == 0 || life->n_windowed_slots > 0)
        ck_assert_uint_eq(stats.n_pages, home->n_pages);
    else
        ck_assert_uint_le(stats.scratch_bytes + stats.table_bytes + stats.page_bytes_total,
                          home->options.budget_bytes);
}

/* After LCKV_CACHE_FULL: the pages that are left cannot pay for so many bytes of tables. */
static inline void check_poverty(const struct home *home, uint64_t bytes)
{
    const lckv_cache_stats stats = stats_of(home->cache);
    ck_assert_uint_gt(home->options.budget_bytes, 0);
    ck_assert_msg(stats.n_pages_free * stats.page_bytes < bytes + stats.page_bytes,
                  "%llu pages of %llu bytes are free, and there is no room for %llu bytes",
                  (unsigned long long)stats.n_pages_free, (unsigned long long)stats.page_bytes,
                  (unsigned long long)bytes);
}

#endif
