/*
 * Released sessions that the cache keeps: as much of them as another session can use, and of many
 * those that were used longest ago give way first. Uses the public header only.
 */
#include "sessions.h"

enum { PAGE = 16, N = 130, LENGTH = PAGE + 1 /* two pages of each slot */ };

/* The texts, from the one that was used longest ago on. */
static size_t order[N];

/* No two begin alike. A token more follows each, so that all of the text can be reused. */
static void write_text(size_t i, lckv_token *text)
{
    for (size_t t = 0; t <= LENGTH; t++)
        text[t] = 7;
    text[0] = (lckv_token)(1 + i);
}

static void mark_used(size_t i)
{
    size_t at = 0;
    while (order[at] != i)
        at++;
    for (; at + 1 < N; at++)
        order[at] = order[at + 1];
    order[N - 1] = i;
}

/* A session that begins with at most `n` tokens of text i; `*n_reused` tells with how many. */
static lckv_session *begin_like(lckv_cache *cache, size_t i, size_t n, size_t *n_reused)
{
    lckv_token text[LENGTH + 1];
    lckv_session *session = make_session(cache);
    write_text(i, text);
    ck_assert_ok(lckv_session_reuse(session, text, n + 1, n_reused));
    return session;
}

static void keep_text(lckv_cache *cache, size_t i)
{
    lckv_token text[LENGTH + 1];
    lckv_session *session = make_session(cache);
    write_text(i, text);
    const lckv_item item = {.session = session, .tokens = text, .n_tokens = LENGTH};
    ck_assert_ok(run(cache, &item, 1, LCKV_PREFILL_AUTO));
    lckv_session_release(session);
    order[i] = i;
}

/* A session takes over all of the text, and is released. */
static void use_all(lckv_cache *cache, size_t i)
{
    size_t n_reused;
    lckv_session *session = begin_like(cache, i, LENGTH, &n_reused);
    ck_assert_uint_eq(n_reused, LENGTH);
    lckv_session_release(session);
    mark_used(i);
}

/* A session shares the beginning of the text, which stays kept, and is released with nothing. */
static void use_beginning(lckv_cache *cache, size_t i)
{
    size_t n_reused;
    lckv_session *session = begin_like(cache, i, 10, &n_reused);
    ck_assert_uint_eq(n_reused, 10);
    ck_assert_ok(lckv_session_truncate(session, 0));
    lckv_session_release(session);
    mark_used(i);
}

/* Appends pages of tokens until calls have taken `n` pages of each slot from what is kept. */
static void take_kept(lckv_cache *cache, lckv_session *session, size_t n, uint32_t n_slots)
{
    static lckv_token text[PAGE];
    const lckv_item item = {.session = session, .tokens = text, .n_tokens = PAGE};
    const uint64_t left = stats_of(cache).n_pages_kept - n * n_slots;
    while (stats_of(cache).n_pages_kept > left)
        ck_assert_ok(run(cache, &item, 1, LCKV_PREFILL_AUTO));
    ck_assert_uint_eq(stats_of(cache).n_pages_kept, left);
}

START_TEST(many_kept_sessions_give_way_in_the_order_of_their_use)
{
    enum { N_TAKEN = 2 * N / 3 + 1 /* odd: one session loses the second page only */ };
    lckv_model *model = open_golden("lckv-w2", LCKV_PRECISION_FAST);
    lckv_cache *cache = make_cache(model, (lckv_cache_options){.n_tokens = 3 * N * PAGE,
                                                               .max_sessions = N,
                                                               .page_positions = PAGE,
                                                               .n_threads = 1});
    const uint32_t n_slots = plan_info_of(model).n_slots;
    for (size_t i = 0; i < N; i++)
        keep_text(cache, i);
    ck_assert_uint_eq(stats_of(cache).n_pages_kept, 2 * N * n_slots);
    for (size_t i = 0; i < N; i += 7) /* the first and the last, too */
        use_all(cache, i);
    use_all(cache, N - 1);
    for (size_t i = 0; i < N; i += 11)
        use_beginning(cache, i);
    use_beginning(cache, order[0]);
    use_beginning(cache, order[N - 1]);
    lckv_session *taker = make_session(cache);
    take_kept(cache, taker, N_TAKEN, n_slots);
    for (size_t at = 0; at < N; at++) {
        const size_t expected = at < N_TAKEN / 2 ? 0 : at == N_TAKEN / 2 ? PAGE : LENGTH;
        size_t n_reused;
        lckv_session *session = begin_like(cache, order[at], LENGTH, &n_reused);
        ck_assert_msg(n_reused == expected, "text %zu, used as number %zu, has %zu tokens left",
                      order[at], at, n_reused);
        ck_assert_ok(lckv_session_truncate(session, 0));
        lckv_session_release(session);
    }
    lckv_session_release(taker);
    lckv_cache_release(cache);
    lckv_model_release(model);
}
END_TEST

static lckv_session *make_text(lckv_cache *cache, size_t n)
{
    lckv_token tokens[2 * LENGTH];
    lckv_session *session = make_session(cache);
    fill_tokens(tokens, n);
    const lckv_item item = {.session = session, .tokens = tokens, .n_tokens = n};
    ck_assert_ok(run(cache, &item, 1, LCKV_PREFILL_AUTO));
    return session;
}

/* Nobody reuses iterated tokens, so their pages are not kept. */
START_TEST(only_exact_tokens_are_kept)
{
    lckv_model *model = open_golden("lckv-w2", LCKV_PRECISION_FAST);
    lckv_cache *cache = make_cache(model, (lckv_cache_options){.page_positions = PAGE});
    lckv_session *session = make_text(cache, LENGTH);
    static const lckv_token more[2 * PAGE];
    const lckv_item item = {.session = session, .tokens = more, .n_tokens = COUNT(more)};
    ck_assert_ok(run(cache, &item, 1, LCKV_PREFILL_ITERATED));
    lckv_session_release(session);
    ck_assert_uint_eq(stats_of(cache).n_pages_kept, 2 * plan_info_of(model).n_slots);
    lckv_cache_release(cache);
    lckv_model_release(model);
}
END_TEST

/* A session that lost its last pages has nothing left that its windows would need. */
START_TEST(a_session_with_windows_is_given_up_as_a_whole)
{
    lckv_model *model = open_golden("yoco-windows", LCKV_PRECISION_FAST);
    lckv_cache *cache = make_cache(
        model, (lckv_cache_options){
                   .n_tokens = 8 * PAGE, .max_sessions = 2, .page_positions = PAGE, .rollback = 1});
    lckv_session_release(make_text(cache, 2 * LENGTH));
    lckv_session *taker = make_session(cache);
    static const lckv_token text[PAGE];
    const lckv_item item = {.session = taker, .tokens = text, .n_tokens = PAGE};
    const uint64_t n_kept = stats_of(cache).n_pages_kept;
    ck_assert_uint_gt(n_kept, 0);
    while (stats_of(cache).n_pages_kept == n_kept)
        ck_assert_ok(run(cache, &item, 1, LCKV_PREFILL_AUTO));
    ck_assert_uint_eq(stats_of(cache).n_pages_kept, 0);
    lckv_session_release(taker);
    lckv_cache_release(cache);
    lckv_model_release(model);
}
END_TEST

static void add_kept(Suite *suite)
{
    TCase *tcase = tcase_create("kept");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, many_kept_sessions_give_way_in_the_order_of_their_use);
    tcase_add_test(tcase, only_exact_tokens_are_kept);
    tcase_add_test(tcase, a_session_with_windows_is_given_up_as_a_whole);
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("kept", add_kept)
