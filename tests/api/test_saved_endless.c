/*
 * Sessions with a context window are saved and restored: sinks, window and the tokens that they
 * still hold. They go on bit for bit, whatever the size of a page and the rollback are now.
 */
#include "saved_support.h"

#include <stdbool.h>

#define CONTEXT 48
#define SINKS 20 /* more than a part */
#define ROLLBACK 10
#define MOST_TOKENS 400

/* The last two have windowed slots, whose windows are shorter and longer than the other slots'. */
static const struct {
    const char *model;
    uint32_t sliding_window;
} plans[] = {{"standard-llama", 0}, {"lckv-w2", 0}, {"cycle3-window", 6}, {"mixattention", 35}};
static const uint32_t page_sizes[] = {16, 48, 64, 1024};
static size_t n_vocab;

static lckv_model *open_plan(int i)
{
    char path[128];
    snprintf(path, sizeof path, "tests/data/goldens/%s", plans[i].model);
    lckv_model *model =
        open_model(path, (lckv_model_options){.precision = LCKV_PRECISION_FULL,
                                              .gemm = LCKV_GEMM_OWN,
                                              .sliding_window = plans[i].sliding_window});
    n_vocab = info_of(model).n_vocab;
    ck_assert_uint_le(n_vocab, N_VOCAB);
    return model;
}

static lckv_cache *make_endless(const lckv_model *model, uint32_t page_positions, uint32_t rollback)
{
    return make_cache(model, (lckv_cache_options){.page_positions = page_positions,
                                                  .n_threads = 1,
                                                  .n_tokens = 4096,
                                                  .max_sessions = 8,
                                                  .max_rows = 64,
                                                  .rollback = rollback,
                                                  .context_window = CONTEXT,
                                                  .n_sinks = SINKS});
}

/* Appends text[begin, end), and gets the logits after each token if `logits` is not NULL. */
static void grow(lckv_session *session, lckv_cache *cache, size_t begin, size_t end, float *logits)
{
    lckv_item item = make_item(session, long_text(end) + begin, end - begin, logits, n_vocab);
    if (logits == NULL)
        item.want = LCKV_WANT_NOTHING;
    ck_assert_ok(run(cache, &item, 1, LCKV_PREFILL_AUTO));
}

static uint64_t min_length_of(lckv_session *session)
{
    uint64_t length;
    ck_assert_ok(lckv_session_min_length(session, &length));
    return length;
}

/* Both sessions hold these tokens, or both have forgotten one of them. */
static void assert_same_tokens(lckv_session *a, lckv_session *b, uint64_t begin, uint64_t end)
{
    static lckv_token tokens_a[MOST_TOKENS], tokens_b[MOST_TOKENS];
    lckv_status status = lckv_session_read_tokens(a, begin, end, tokens_a);
    ck_assert_status(lckv_session_read_tokens(b, begin, end, tokens_b), status);
    if (status == LCKV_OK)
        ck_assert_mem_eq(tokens_a, tokens_b, (size_t)(end - begin) * sizeof *tokens_a);
}

/* The sessions are the same now. */
static void assert_same(lckv_session *a, lckv_session *b)
{
    const uint64_t length = length_of(a), least = min_length_of(a);
    ck_assert_uint_eq(length_of(b), length);
    ck_assert_uint_eq(min_length_of(b), least);
    assert_same_tokens(a, b, 0, length);
    assert_same_tokens(a, b, 0, length < SINKS ? length : SINKS);
    for (uint64_t begin = 0; begin <= length; begin++)
        assert_same_tokens(a, b, begin, length);
    if (length > 0)
        ck_assert_ok(lckv_session_read_tokens(b, length - 1, length, &(lckv_token){0}));
}

/* Both go on alike, also after they went back as far as both can. */
static void assert_go_on_alike(lckv_session *a, lckv_cache *cache_a, lckv_session *b,
                               lckv_cache *cache_b)
{
    enum { N = 30 };
    static float ours[N * N_VOCAB], theirs[N * N_VOCAB];
    for (int round = 0; round < 2; round++) {
        const uint64_t least_a = min_length_of(a), least_b = min_length_of(b);
        const uint64_t least = least_a > least_b ? least_a : least_b;
        if (round > 0) {
            ck_assert_ok(lckv_session_truncate(a, least));
            ck_assert_ok(lckv_session_truncate(b, least));
        }
        grow(a, cache_a, 40 * (size_t)round, 40 * (size_t)round + N, ours);
        grow(b, cache_b, 40 * (size_t)round, 40 * (size_t)round + N, theirs);
        ck_assert_mem_eq(ours, theirs, N * n_vocab * sizeof *ours);
    }
}

/* Both go back as far as they can, which is the same, if windows have left anything behind. */
static void go_back(lckv_session *a, lckv_session *b)
{
    const uint64_t least = min_length_of(a);
    if (least == 0)
        return;
    ck_assert_status(lckv_session_truncate(b, least - 1), LCKV_OUT_OF_WINDOW);
    ck_assert_ok(lckv_session_truncate(a, least));
    ck_assert_ok(lckv_session_truncate(b, least));
}

/* _i: a plan and two sizes of pages. */
START_TEST(a_restored_session_goes_on_bit_for_bit)
{
    /* Nothing dropped; a position dropped; windows within the part of the sinks; far ahead. */
    static const size_t lengths[] = {0,  1,  SINKS, CONTEXT, CONTEXT + ROLLBACK,
                                     59, 64, 75,    101,     300};
    const size_t n_sizes = COUNT(page_sizes);
    const bool is_short = getenv("LCKV_TEST_SHORT") != NULL;
    lckv_model *model = open_plan(_i / (int)(n_sizes * n_sizes));
    lckv_cache *from = make_endless(model, page_sizes[(size_t)_i / n_sizes % n_sizes], ROLLBACK);
    for (size_t i = 0; i < COUNT(lengths); i += is_short ? 3 : 1) {
        const uint32_t rollback = i % 3 == 0 ? ROLLBACK : i % 3 == 1 ? 1 : 100;
        lckv_cache *to = make_endless(model, page_sizes[(size_t)_i % n_sizes], rollback);
        lckv_session *session = make_session(from), *restored = NULL;
        for (size_t at = 0; at < lengths[i]; at += 60)
            grow(session, from, at, at + 60 < lengths[i] ? at + 60 : lengths[i], NULL);
        struct bytes bytes = save(&session, 1);
        restore(to, &bytes, &restored, 1);
        assert_same(session, restored);
        struct bytes again = save(&restored, 1);
        ck_assert_uint_eq(again.length, bytes.length);
        ck_assert_mem_eq(again.data, bytes.data, bytes.length);
        if (i % 2 == 1)
            go_back(session, restored);
        assert_go_on_alike(session, from, restored, to);
        lckv_session_release(session);
        lckv_session_release(restored);
        lckv_cache_release(to);
        free(bytes.data);
        free(again.data);
    }
    lckv_cache_release(from);
    lckv_model_release(model);
}
END_TEST

/*
 * A family: a text that has not passed its window; its fork, which has; a fork of this one that
 * went back and on in another way; and one that has gone on so far that it shares the sinks only.
 */
enum { FAMILY = 4 };
static void make_family(lckv_cache *cache, lckv_session **family)
{
    family[0] = make_session(cache);
    grow(family[0], cache, 0, 50, NULL);
    for (int i = 1; i < FAMILY; i++) {
        ck_assert_ok(lckv_session_fork(family[i - 1], &family[i]));
        if (i == 2)
            ck_assert_ok(lckv_session_truncate(family[i], min_length_of(family[i])));
        grow(family[i], cache, 50 * (size_t)i, 50 * (size_t)i + 45, NULL);
    }
}

/* _i: a plan and two sizes of pages. */
START_TEST(sessions_share_again_what_they_shared)
{
    const size_t n_sizes = COUNT(page_sizes);
    const uint32_t size_from = page_sizes[(size_t)_i / n_sizes % n_sizes],
                   size_to = page_sizes[(size_t)_i % n_sizes];
    lckv_session *family[FAMILY], *restored[FAMILY];
    lckv_model *model = open_plan(_i / (int)(n_sizes * n_sizes));
    lckv_cache *from = make_endless(model, size_from, ROLLBACK),
               *to = make_endless(model, size_to, ROLLBACK);
    make_family(from, family);
    save_and_restore(family, from, restored, to, FAMILY);
    for (int i = 0; i < FAMILY; i++)
        assert_same(family[i], restored[i]);
    go_on_and_release(family, from, restored, to, FAMILY, assert_go_on_alike);
    lckv_model_release(model);
}
END_TEST

/* Only what is needed is saved: after 300 tokens it is as much as after 100. */
START_TEST(the_bytes_stay_as_few_as_the_window_is_short)
{
    lckv_model *model = open_plan(0);
    lckv_cache *cache = make_endless(model, 64, ROLLBACK);
    lckv_session *session = make_session(cache);
    size_t lengths[2];
    for (int i = 0; i < 2; i++) {
        grow(session, cache, i == 0 ? 0 : 100, i == 0 ? 100 : 292, NULL); /* 12 parts further on */
        struct bytes bytes = save(&session, 1);
        lengths[i] = bytes.length;
        free(bytes.data);
    }
    ck_assert_uint_eq(lengths[0], lengths[1]);
    lckv_session_release(session);
    lckv_cache_release(cache);
    lckv_model_release(model);
}
END_TEST

/* A restored session that has forgotten nothing is the beginning of others; another is not. */
START_TEST(what_has_forgotten_nothing_is_reused)
{
    lckv_model *model = open_plan(1);
    lckv_cache *cache = make_endless(model, 16, ROLLBACK);
    for (int round = 0; round < 2; round++) {
        lckv_cache *to = make_endless(model, 16, ROLLBACK);
        lckv_session *session = make_session(cache), *restored = NULL, *other = make_session(to);
        const size_t n = CONTEXT + ROLLBACK + (round == 0 ? 0 : 1);
        size_t n_reused = 99;
        grow(session, cache, 0, n, NULL);
        struct bytes bytes = save(&session, 1);
        restore(to, &bytes, &restored, 1);
        ck_assert_ok(lckv_session_reuse(other, long_text(100), 100, &n_reused));
        ck_assert_uint_eq(n_reused, round == 0 ? n : 0);
        lckv_session_release(session);
        lckv_session_release(restored);
        lckv_session_release(other);
        lckv_cache_release(to);
        free(bytes.data);
    }
    lckv_cache_release(cache);
    lckv_model_release(model);
}
END_TEST

static void refuse(const lckv_model *model, struct bytes *bytes, uint32_t context, uint32_t n_sinks,
                   const char *message)
{
    lckv_cache *cache = make_cache(
        model, (lckv_cache_options){.n_threads = 1, .context_window = context, .n_sinks = n_sinks});
    lckv_session *restored = NULL;
    size_t n = 77;
    const lckv_cache_stats before = stats_of(cache);
    ck_assert_status(restore_some(cache, bytes, &restored, 1, &n), LCKV_MISMATCH);
    ck_assert_error_has(message);
    ck_assert_uint_eq(n, 77);
    const lckv_cache_stats after = stats_of(cache);
    ck_assert_mem_eq(&before, &after, sizeof before);
    lckv_cache_release(cache);
}

START_TEST(other_windows_are_refused_by_both_numbers)
{
    lckv_model *model = open_plan(0);
    lckv_cache *endless = make_endless(model, 64, ROLLBACK), *ordinary = make_paged(model, 64);
    lckv_session *session = make_session(endless), *other = make_session(ordinary);
    grow(session, endless, 0, 80, NULL);
    grow(other, ordinary, 0, 10, NULL);
    struct bytes bytes = save(&session, 1), of_other = save(&other, 1);
    refuse(model, &bytes, CONTEXT + 1, SINKS,
           "have context_window 48 and n_sinks 20; this cache has 49 and 20");
    refuse(model, &bytes, CONTEXT, 4,
           "have context_window 48 and n_sinks 20; this cache has 48 and 4");
    refuse(model, &bytes, 0, 0, "have context_window 48 and n_sinks 20; this cache has 0 and 0");
    refuse(model, &of_other, CONTEXT, SINKS,
           "have context_window 0 and n_sinks 0; this cache has 48 and 20");
    lckv_session_release(session);
    lckv_session_release(other);
    lckv_cache_release(endless);
    lckv_cache_release(ordinary);
    lckv_model_release(model);
    free(bytes.data);
    free(of_other.data);
}
END_TEST

static void add_all(Suite *suite)
{
    const int n_all = (int)(COUNT(plans) * COUNT(page_sizes) * COUNT(page_sizes));
    TCase *tcase = tcase_create("sessions without end");
    tcase_set_timeout(tcase, 120);
    tcase_add_loop_test(tcase, a_restored_session_goes_on_bit_for_bit, 0, n_all);
    tcase_add_loop_test(tcase, sessions_share_again_what_they_shared, 0, n_all);
    tcase_add_test(tcase, the_bytes_stay_as_few_as_the_window_is_short);
    tcase_add_test(tcase, what_has_forgotten_nothing_is_reused);
    tcase_add_test(tcase, other_windows_are_refused_by_both_numbers);
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("saved sessions without end", add_all)
