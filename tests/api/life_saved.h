/*
 * In a life of sessions: some of them are saved, and restored in the same cache or in the other.
 */
#ifndef LCKV_TESTS_LIFE_SAVED_H
#define LCKV_TESTS_LIFE_SAVED_H

#include "life_chances.h"

static inline void save_some(struct life *life)
{
    const struct home *home = any_home(life);
    lckv_session *sessions[MOST_SAVED];
    struct text texts[MOST_SAVED];
    struct bytes bytes = {.fails_from = one_in(6) ? 1 + below(20000) : 0};
    struct patience patience = any_patience(home);
    const lckv_save_options options = {
        .size = sizeof options, .progress = progress, .progress_user = &patience};
    size_t n = 0;
    for (size_t i = 0; i < MOST_SESSIONS && n < MOST_SAVED; i++) {
        if (life->texts[i].session == NULL || life->texts[i].home != home || one_in(3))
            continue;
        sessions[n] = life->texts[i].session;
        texts[n++] = life->texts[i];
    }
    if (n == 0)
        return;
    lckv_status status = lckv_sessions_save(sessions, n, put, &bytes, &options);
    if ((status == LCKV_IO && bytes.fails_from != 0) || !succeeded(life, status)) {
        free(bytes.data);
        return;
    }
    free(life->saved.data);
    life->saved = bytes;
    life->n_saved = n;
    memcpy(life->saved_texts, texts, sizeof texts);
}

/* Changes a bit, or cuts something off. */
static inline void damage(struct bytes *bytes)
{
    if (one_in(2))
        bytes->length = below((uint32_t)bytes->length);
    else
        bytes->data[below((uint32_t)bytes->length)] ^= (uint8_t)(1 << below(8));
}

/* LCKV_CACHE_FULL must have a reason. */
static inline void check_no_room(const struct life *life, const struct home *home)
{
    const uint64_t n_free = stats_of(home->cache).n_pages_free;
    uint64_t n_positions = home->n_positions, pages = 0, bytes = 0;
    if (home->n_texts + life->n_saved > home->options.max_sessions)
        return;
    for (size_t i = 0; i < life->n_saved; i++) {
        n_positions += life->saved_texts[i].length;
        pages += pages_of(life, home, life->saved_texts[i].length);
        bytes += table_bytes(life, life->saved_texts[i].length);
    }
    if (home->options.budget_bytes > 0)
        pages += bytes / stats_of(home->cache).page_bytes + 1;
    else if (!life->forgets)
        ck_assert_uint_gt(n_positions, home->options.n_tokens);
    ck_assert_uint_gt(pages, n_free);
}

static inline void restore_saved(struct life *life)
{
    struct home *home = any_home(life);
    lckv_session *sessions[MOST_SAVED];
    struct bytes bytes = life->saved;
    struct patience patience = any_patience(home);
    const lckv_restore_options options = {
        .size = sizeof options, .progress = progress, .progress_user = &patience};
    size_t n = 0, n_gaps = 0;
    for (size_t i = 0; i < MOST_SESSIONS; i++)
        n_gaps += life->texts[i].session == NULL;
    if (life->n_saved == 0 || n_gaps < life->n_saved)
        return;
    const bool is_damaged = one_in(6);
    bytes.data = malloc(bytes.length);
    ck_assert_ptr_nonnull(bytes.data);
    memcpy(bytes.data, life->saved.data, bytes.length);
    bytes.piece = one_in(2) ? 1 + below(500) : 0;
    if (is_damaged)
        damage(&bytes);
    bytes.at = 0;
    lckv_status status =
        lckv_sessions_restore(home->cache, get, &bytes, &options, sessions, MOST_SAVED, &n);
    free(bytes.data);
    if (is_damaged) {
        ck_assert_int_ne(status, LCKV_OK);
        return;
    }
    if (status == LCKV_CACHE_FULL)
        check_no_room(life, home);
    if (!succeeded(life, status))
        return;
    ck_assert_uint_eq(n, life->n_saved);
    for (size_t i = 0; i < n; i++) {
        struct text *text = any_gap(life);
        *text = life->saved_texts[i];
        home->keeps_more |= text->home != home;
        text->home = home;
        text->session = sessions[i];
    }
}

#endif
