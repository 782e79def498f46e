/*
 * Logits depend on nothing but the tokens before them: not on the threads, the pages, the batches,
 * the splits, or what was truncated before. Uses the public header only.
 */
#include "cache_support.h"

#include <math.h>

#include "allocator.h"
#include "folder.h"

static void set_up(void)
{
    folder_make();
    make_tokens();
}

/* How the models are computed: with their matrices as they are, or in bytes or nibbles. */
static const struct form {
    lckv_precision precision;
    lckv_dtype kv_dtype;
    lckv_dtype dtype; /* 0: the type in the file */
} forms[] = {{LCKV_PRECISION_FULL, LCKV_DTYPE_F16, 0},
             {LCKV_PRECISION_FULL, LCKV_DTYPE_BF16, 0},
             {LCKV_PRECISION_FULL, LCKV_DTYPE_F32, 0},
             {LCKV_PRECISION_FAST, LCKV_DTYPE_F16, 0},
             {LCKV_PRECISION_FAST, LCKV_DTYPE_BF16, 0},
             {LCKV_PRECISION_FAST, LCKV_DTYPE_F32, 0},
             {LCKV_PRECISION_FAST, LCKV_DTYPE_F16, LCKV_DTYPE_Q8_0},
             {LCKV_PRECISION_FAST, LCKV_DTYPE_F16, LCKV_DTYPE_Q4_0}};
enum { N_FORMS = sizeof forms / sizeof forms[0], N_MODELS = sizeof models / sizeof models[0] };

static lckv_model *open_form(const char *name, struct form form, const lckv_allocator *allocator)
{
    char golden[128];
    const char *path = golden, *converted = folder_path("converted.gguf");
    lckv_convert_options options = {.size = sizeof options, .dtype = form.dtype};
    snprintf(golden, sizeof golden, "tests/data/goldens/%s", name);
    if (form.dtype != 0) {
        ck_assert_ok(lckv_convert(golden, converted, &options, NULL));
        path = converted;
    }
    return open_model(path, (lckv_model_options){.precision = form.precision,
                                                 .gemm = LCKV_GEMM_OWN,
                                                 .allocator = allocator});
}

/* _i: model and form. */
START_TEST(logits_do_not_depend_on_threads_pages_batches_or_splits)
{
    const struct form form = forms[_i / N_MODELS];
    lckv_model *model = open_form(models[_i % N_MODELS], form, NULL);
    reference_logits(model, form.kv_dtype, expected);
    const uint32_t threads[] = {1, 2, 3, 7}, pages[] = {16, 64, 128, 1024},
                   rows[] = {256, 5, 1, 33};
    const size_t splits[] = {40, 13, 1, 7};
    for (int k = 0; k < 4; k++) {
        lckv_cache *cache = make_cache(model, (lckv_cache_options){.kv_dtype = form.kv_dtype,
                                                                   .n_threads = threads[k],
                                                                   .page_positions = pages[k],
                                                                   .max_rows = rows[k]});
        lckv_session *sessions[3];
        for (int s = 0; s < 3; s++)
            sessions[s] = make_session(cache);
        /* Session 0 grows in splits, session 1 token by token, and session 2 begins later. */
        size_t done[3] = {0};
        memset(got, 0, sizeof got);
        while (done[0] < N_TOKENS || done[1] < N_TOKENS || done[2] < N_TOKENS) {
            lckv_item items[3];
            size_t n = 0;
            for (int s = 0; s < 3; s++) {
                size_t step = s == 0 ? splits[k] : s == 1 ? 1 : 11;
                size_t end = done[s] + step < N_TOKENS ? done[s] + step : N_TOKENS;
                if (end == done[s] || (s == 2 && done[0] == 0))
                    continue;
                items[n++] = item_of(sessions[s], done[s], end, got[s] + done[s] * N_VOCAB);
                done[s] = end;
            }
            ck_assert_ok(run(cache, items, n, k % 2 == 0 ? LCKV_PREFILL_AUTO : LCKV_PREFILL_EXACT));
        }
        for (int s = 0; s < 3; s++) {
            ck_assert_msg(memcmp(got[s], expected, sizeof expected) == 0,
                          "%s: session %d of round %d differs", models[_i % N_MODELS], s, k);
            lckv_session_release(sessions[s]);
        }
        lckv_cache_release(cache);
    }
    lckv_model_release(model);
}
END_TEST

START_TEST(only_wanted_rows_come_back_and_they_are_the_same)
{
    static float hidden[64];
    lckv_model *model = open_golden(models[_i], LCKV_PRECISION_FULL);
    reference_logits(model, 0, expected);
    lckv_cache *cache = make_cache(model, (lckv_cache_options){.max_sessions = 2});
    lckv_session *a = make_session(cache), *b = make_session(cache);
    lckv_item items[2] = {item_of(a, 0, N_TOKENS, NULL), item_of(b, 0, 9, NULL)};
    items[0].want = LCKV_WANT_LAST | LCKV_WANT_HIDDEN;
    items[0].hidden = hidden;
    items[0].hidden_capacity = 64;
    items[1].want = LCKV_WANT_NOTHING;
    ck_assert_ok(run(cache, items, 2, LCKV_PREFILL_AUTO));
    const float *logits;
    size_t n_rows;
    ck_assert_ok(lckv_session_logits(a, &logits, &n_rows));
    ck_assert_uint_eq(n_rows, 1);
    ck_assert(memcmp(logits, expected + (N_TOKENS - 1) * N_VOCAB, N_VOCAB * sizeof(float)) == 0);
    float sum = 0;
    for (int i = 0; i < 64; i++)
        sum += fabsf(hidden[i]);
    ck_assert(isfinite(sum) && sum > 0);
    ck_assert_status(lckv_session_logits(b, &logits, &n_rows), LCKV_INVALID_ARGUMENT);
    lckv_session_release(a);
    lckv_session_release(b);
    lckv_cache_release(cache);
    lckv_model_release(model);
}
END_TEST

START_TEST(truncating_brings_back_the_shorter_session)
{
    lckv_model *model = open_golden(models[_i], LCKV_PRECISION_FULL);
    reference_logits(model, 0, expected);
    lckv_cache *cache = make_cache(model, (lckv_cache_options){.page_positions = 16});
    lckv_session *session = make_session(cache);
    lckv_item item = item_of(session, 0, N_TOKENS, got[0]);
    ck_assert_ok(run(cache, &item, 1, LCKV_PREFILL_AUTO));
    ck_assert_ok(lckv_session_truncate(session, 21));
    lckv_token kept[N_TOKENS];
    size_t n_tokens;
    ck_assert_status(lckv_session_tokens(session, kept, 20, &n_tokens), LCKV_BUFFER_TOO_SMALL);
    ck_assert_uint_eq(n_tokens, 21);
    ck_assert_ok(lckv_session_tokens(session, kept, N_TOKENS, &n_tokens));
    ck_assert_uint_eq(n_tokens, 21);
    ck_assert(memcmp(kept, tokens, 21 * sizeof *kept) == 0);
    item = item_of(session, 21, N_TOKENS, got[0]);
    ck_assert_ok(run(cache, &item, 1, LCKV_PREFILL_AUTO));
    ck_assert(memcmp(got[0], expected + 21 * N_VOCAB, 19 * N_VOCAB * sizeof(float)) == 0);
    ck_assert_status(lckv_session_truncate(session, N_TOKENS + 1), LCKV_INVALID_ARGUMENT);
    ck_assert_uint_eq(length_of(session), N_TOKENS);
    lckv_session_release(session);
    lckv_cache_release(cache);
    lckv_model_release(model);
}
END_TEST

START_TEST(a_model_and_caches_share_a_pool)
{
    lckv_pool *pool;
    ck_assert_ok(lckv_pool_create(3, &pool));
    lckv_model *model =
        open_model("tests/data/goldens/" DOWNWARD,
                   (lckv_model_options){.precision = LCKV_PRECISION_FULL, .pool = pool});
    reference_logits(model, 0, expected);
    lckv_cache *caches[2];
    for (int i = 0; i < 2; i++)
        caches[i] = make_cache(model, (lckv_cache_options){.pool = pool});
    lckv_pool_release(pool);
    for (int i = 0; i < 2; i++) {
        lckv_session *session = make_session(caches[i]);
        lckv_item item = item_of(session, 0, N_TOKENS, got[i]);
        ck_assert_ok(run(caches[i], &item, 1, LCKV_PREFILL_AUTO));
        ck_assert(memcmp(got[i], expected, sizeof expected) == 0);
        lckv_session_release(session);
    }
    lckv_cache_release(caches[0]);
    lckv_cache_release(caches[1]);
    lckv_model_release(model);
}
END_TEST

struct within {
    lckv_cache *cache;
    int n_calls;
};

static int32_t evaluate_within(void *user, uint64_t done, uint64_t total)
{
    struct within *within = user;
    (void)done, (void)total;
    if (within->n_calls++ > 0)
        return 0;
    lckv_session *session = make_session(within->cache);
    lckv_item item = item_of(session, 0, N_TOKENS, got[0]);
    ck_assert_ok(run(within->cache, &item, 1, LCKV_PREFILL_AUTO));
    lckv_session_release(session);
    return 0;
}

/*
 * The open holds the pool meanwhile, so the call runs on its own thread alone. The bits are the
 * same.
 */
START_TEST(callbacks_of_an_open_may_use_its_pool)
{
    lckv_pool *pool;
    ck_assert_ok(lckv_pool_create(3, &pool));
    lckv_model *model = open_golden(DOWNWARD, LCKV_PRECISION_FAST);
    reference_logits(model, 0, expected);
    struct within within = {.cache = make_cache(model, (lckv_cache_options){.pool = pool})};
    lckv_model *other = open_model(
        "tests/data/goldens/" UPWARD,
        (lckv_model_options){.pool = pool, .progress = evaluate_within, .progress_user = &within});
    ck_assert_int_gt(within.n_calls, 0);
    ck_assert_mem_eq(got[0], expected, sizeof expected);
    lckv_model_release(other);
    lckv_cache_release(within.cache);
    lckv_model_release(model);
    lckv_pool_release(pool);
}
END_TEST

/* The allocator's memory holds nothing but NaN. _i: model and form. */
START_TEST(memory_may_hold_anything)
{
    struct counting counting = {.n_allowed = SIZE_MAX};
    lckv_allocator allocator = counting_allocator(&counting);
    const char *name = models[_i % N_MODELS];
    const struct form form = forms[_i / N_MODELS];
    lckv_model *zeros = open_form(name, form, NULL);
    reference_logits(zeros, form.kv_dtype, expected);
    lckv_model *model = open_form(name, form, &allocator);
    reference_logits(model, form.kv_dtype, got[0]);
    ck_assert_mem_eq(got[0], expected, sizeof expected);
    lckv_cache *cache =
        make_cache(model, (lckv_cache_options){.n_threads = 3, .kv_dtype = form.kv_dtype});
    lckv_session *session = make_session(cache);
    lckv_item item = item_of(session, 0, N_TOKENS, got[1]);
    ck_assert_ok(run(cache, &item, 1, LCKV_PREFILL_AUTO));
    ck_assert_mem_eq(got[1], expected, sizeof expected);
    lckv_session_release(session);
    lckv_cache_release(cache);
    lckv_model_release(model);
    lckv_model_release(zeros);
    ck_assert_uint_eq(counting.out, 0);
}
END_TEST

/* Where there are more threads than KV heads, they share the segments of long contexts. */
START_TEST(long_contexts_are_shared_by_threads)
{
    enum { LONG = 2600, STEPS = 3, SESSIONS = 2 };
    static const char *const names[] = {"standard-llama", "nodiag-w10like", "yoco-windows"};
    static const uint32_t threads[] = {1, 2, 8, 13};
    static lckv_token text[LONG + STEPS];
    static float logits[4][SESSIONS * STEPS * 160];
    lckv_model *model = open_golden(names[_i], LCKV_PRECISION_FAST);
    fill_tokens(text, LONG + STEPS);
    for (int t = 0; t < 4; t++) {
        lckv_cache *cache =
            make_cache(model, (lckv_cache_options){.n_tokens = (uint64_t)SESSIONS * (LONG + STEPS),
                                                   .n_threads = threads[t]});
        lckv_item items[SESSIONS];
        for (int s = 0; s < SESSIONS; s++) {
            size_t length = s == 0 ? LONG : 1100; /* three segments, and two */
            items[s] = (lckv_item){.session = make_session(cache), .tokens = text};
            items[s].n_tokens = length;
            ck_assert_ok(run(cache, &items[s], 1, LCKV_PREFILL_AUTO));
        }
        for (int i = 0; i < STEPS; i++) {
            for (int s = 0; s < SESSIONS; s++)
                items[s] = make_item(items[s].session, text + LONG + i, 1,
                                     logits[t] + (i * SESSIONS + s) * 160, 160);
            ck_assert_ok(run(cache, items, i == 0 ? 1 : SESSIONS, LCKV_PREFILL_AUTO));
        }
        for (int s = 0; s < SESSIONS; s++)
            lckv_session_release(items[s].session);
        lckv_cache_release(cache);
        ck_assert_mem_eq(logits[t], logits[0], sizeof logits[0]);
    }
    lckv_model_release(model);
}
END_TEST

/*
 * The rows of a session in one call, on both sides of the end of a segment, are as if computed one
 * by one.
 */
START_TEST(rows_on_both_sides_of_a_segment_are_shared_by_threads)
{
    enum { BEFORE = 2046, ROWS = 4 };
    static const char *const names[] = {"standard-llama", "nodiag-w10like", "yoco-windows"};
    static const uint32_t threads[] = {1, 1, 5, 16};
    static lckv_token text[BEFORE + ROWS];
    static float logits[4][ROWS * 160];
    lckv_model *model = open_golden(names[_i], LCKV_PRECISION_FAST);
    fill_tokens(text, BEFORE + ROWS);
    for (int t = 0; t < 4; t++) {
        lckv_cache *cache = make_cache(
            model, (lckv_cache_options){.n_tokens = BEFORE + ROWS, .n_threads = threads[t]});
        lckv_item item = {.session = make_session(cache), .tokens = text, .n_tokens = BEFORE};
        ck_assert_ok(run(cache, &item, 1, LCKV_PREFILL_AUTO));
        size_t step = t == 0 ? 1 : ROWS;
        for (size_t i = 0; i < ROWS; i += step) {
            item = make_item(item.session, text + BEFORE + i, step, logits[t] + i * 160, 160);
            ck_assert_ok(run(cache, &item, 1, LCKV_PREFILL_EXACT));
        }
        lckv_session_release(item.session);
        lckv_cache_release(cache);
        ck_assert_mem_eq(logits[t], logits[0], sizeof logits[0]);
    }
    lckv_model_release(model);
}
END_TEST

static void add_all(Suite *suite)
{
    TCase *tcase = tcase_create("cache logits");
    tcase_set_timeout(tcase, 300);
    tcase_add_checked_fixture(tcase, set_up, folder_remove);
    tcase_add_loop_test(tcase, logits_do_not_depend_on_threads_pages_batches_or_splits, 0,
                        N_FORMS * N_MODELS);
    tcase_add_loop_test(tcase, long_contexts_are_shared_by_threads, 0, 3);
    tcase_add_loop_test(tcase, rows_on_both_sides_of_a_segment_are_shared_by_threads, 0, 3);
    tcase_add_loop_test(tcase, only_wanted_rows_come_back_and_they_are_the_same, 0, 3);
    tcase_add_loop_test(tcase, truncating_brings_back_the_shorter_session, 0, 3);
    tcase_add_test(tcase, a_model_and_caches_share_a_pool);
    tcase_add_test(tcase, callbacks_of_an_open_may_use_its_pool);
    tcase_add_loop_test(tcase, memory_may_hold_anything, 0, N_FORMS * N_MODELS);
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("cache logits", add_all)
