/*
 * What the tests of saved sessions share: caches, texts, and what must hold of a restored session.
 */
#ifndef LCKV_TESTS_SAVED_SUPPORT_H
#define LCKV_TESTS_SAVED_SUPPORT_H

#include "cache_support.h"
#include "streams.h"

static inline lckv_cache *make_paged(const lckv_model *model, uint32_t page_positions)
{
    return make_cache(model, (lckv_cache_options){.page_positions = page_positions,
                                                  .n_threads = 1,
                                                  .n_tokens = 2048,
                                                  .max_sessions = 8});
}

static inline lckv_token *long_text(size_t n)
{
    static lckv_token text[600];
    ck_assert_uint_le(n, COUNT(text));
    fill_tokens(text, COUNT(text));
    return text;
}

/* Appends text[begin, end) and gets the last logits. */
static inline void append(lckv_session *session, lckv_cache *cache, size_t begin, size_t end,
                          float *logits)
{
    lckv_item item = make_item(session, long_text(end) + begin, end - begin, logits, N_VOCAB);
    item.want = LCKV_WANT_LAST;
    ck_assert_ok(run(cache, &item, 1, LCKV_PREFILL_AUTO));
}

/* Both sessions have the same tokens, and go on alike. */
static inline void assert_alike(lckv_session *a, lckv_cache *cache_a, lckv_session *b,
                                lckv_cache *cache_b)
{
    float ours[N_VOCAB], theirs[N_VOCAB];
    lckv_token tokens_a[600], tokens_b[600];
    size_t n_a = 0, n_b = 0;
    uint64_t least_a, least_b;
    ck_assert_ok(lckv_session_tokens(a, tokens_a, COUNT(tokens_a), &n_a));
    ck_assert_ok(lckv_session_tokens(b, tokens_b, COUNT(tokens_b), &n_b));
    ck_assert_uint_eq(n_a, n_b);
    ck_assert_mem_eq(tokens_a, tokens_b, n_a * sizeof *tokens_a);
    ck_assert_ok(lckv_session_min_length(a, &least_a));
    ck_assert_ok(lckv_session_min_length(b, &least_b));
    ck_assert_uint_eq(least_a, least_b);
    for (int step = 0; step < 3; step++) {
        append(a, cache_a, 100 + (size_t)step, 101 + (size_t)step, ours);
        append(b, cache_b, 100 + (size_t)step, 101 + (size_t)step, theirs);
        ck_assert_mem_eq(ours, theirs, sizeof ours);
    }
    ck_assert_ok(lckv_session_truncate(a, n_a));
    ck_assert_ok(lckv_session_truncate(b, n_a));
}

static inline uint64_t pages_in_use(lckv_cache *cache)
{
    lckv_cache_stats stats = stats_of(cache);
    return stats.n_pages - stats.n_pages_free;
}

static inline void release_all(lckv_session **sessions, size_t n)
{
    for (size_t i = 0; i < n; i++)
        lckv_session_release(sessions[i]);
}

/* Saves n sessions and restores them, with as many pages in use if these are of the same size. */
static inline void save_and_restore(lckv_session **sessions, lckv_cache *from,
                                    lckv_session **restored, lckv_cache *to, size_t n)
{
    struct bytes bytes = save(sessions, n);
    restore(to, &bytes, restored, n);
    if (stats_of(from).page_positions == stats_of(to).page_positions)
        ck_assert_uint_eq(pages_in_use(from), pages_in_use(to));
    free(bytes.data);
}

/*
 * Each of the restored sessions goes on as its original does, twice, so that it writes to pages
 * that others hold, and harms none. Then all are released, and so are all pages that they shared.
 */
static inline void go_on_and_release(lckv_session **sessions, lckv_cache *from,
                                     lckv_session **restored, lckv_cache *to, size_t n,
                                     void (*assert_on_alike)(lckv_session *, lckv_cache *,
                                                             lckv_session *, lckv_cache *))
{
    for (size_t i = 0; i < 2 * n; i++)
        assert_on_alike(sessions[i % n], from, restored[i % n], to);
    release_all(sessions, n);
    release_all(restored, n);
    ck_assert_uint_eq(pages_in_use(to), 0);
    lckv_cache_release(from);
    lckv_cache_release(to);
}

#endif
