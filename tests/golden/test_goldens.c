/*
 * The golden fixtures: sixteen tiny models with the logits that they must give, from the published
 * code and an independent oracle (tests/data/goldens/README.md). They run under the kernel set that
 * LCKV_CPU names. Uses the public header only.
 */
#include "safetensors.h"
#include "sessions.h"

#include <math.h>
#include <stdio.h>

#define TOLERANCE 5e-4

static const char *const fixtures[] = {
    "all-top",         "cla2",           "cycle3-window", "deep13-sequential",
    "lckv-w10like",    "lckv-w2",        "mixattention",  "nodiag-standard",
    "nodiag-w10like",  "overlap-groups", "pizza-bottom",  "rope-llama3-tied",
    "sandwich-middle", "standard-llama", "two-groups",    "yoco-windows"};
#define N_FIXTURES ((int)(sizeof fixtures / sizeof fixtures[0]))

struct golden {
    const char *name;
    struct safetensors file;
    const lckv_token *tokens;
    size_t n_tokens;
    lckv_model_info info;
    lckv_plan_info plan;
    lckv_model *model;
    float *logits; /* [n_tokens, n_vocab] */
};

static void load(struct golden *golden, int i, lckv_precision precision)
{
    char path[256];
    golden->name = fixtures[i];
    golden->model = open_golden(fixtures[i], precision);
    golden->info = info_of(golden->model);
    golden->plan = plan_info_of(golden->model);
    snprintf(path, sizeof path, "tests/data/goldens/%s/golden.safetensors", fixtures[i]);
    safetensors_open(&golden->file, path);
    const struct safetensors_array *tokens = safetensors_find(&golden->file, "tokens");
    golden->tokens = tokens->data;
    golden->n_tokens = tokens->n_elements;
    golden->logits = calloc(golden->n_tokens * golden->info.n_vocab, sizeof(float));
}

static void unload(struct golden *golden)
{
    free(golden->logits);
    safetensors_close(&golden->file);
    lckv_model_release(golden->model);
}

static lckv_cache *make_golden_cache(const struct golden *golden, uint32_t n_threads)
{
    return make_cache(golden->model,
                      (lckv_cache_options){.kv_dtype = LCKV_DTYPE_F32, .n_threads = n_threads});
}

/* Appends tokens [begin, end); their logits go to their rows of golden->logits. */
static void encode(struct golden *golden, lckv_cache *cache, lckv_session *session, size_t begin,
                   size_t end, lckv_evaluate_options options)
{
    size_t n_vocab = golden->info.n_vocab;
    lckv_item item = make_item(session, golden->tokens + begin, end - begin,
                               golden->logits + begin * n_vocab, n_vocab);
    options.size = sizeof options;
    ck_assert_ok(lckv_evaluate(cache, &item, sizeof item, 1, &options, NULL));
}

static double deviation(const float *a, const float *b, size_t n)
{
    double largest = 0;
    for (size_t i = 0; i < n; i++) {
        double d = fabs((double)a[i] - b[i]);
        largest = d <= largest ? largest : d; /* a NaN counts as the largest */
    }
    return largest;
}

static void check_logits(const struct golden *golden, const char *array)
{
    const struct safetensors_array *expected = safetensors_find(&golden->file, array);
    ck_assert_uint_eq(expected->n_elements, golden->n_tokens * golden->info.n_vocab);
    double d = deviation(golden->logits, expected->data, expected->n_elements);
    ck_assert_msg(d < TOLERANCE, "%s: %s is off by %g", golden->name, array, d);
}

START_TEST(iterated_encoding_gives_the_published_logits)
{
    static const struct {
        const char *array;
        uint32_t m, b;
    } cases[] = {
        {"logits_iter_m7b2", 7, 2}, {"logits_iter_m1b1", 1, 1}, {"logits_iter_m3b2", 3, 2}};
    struct golden golden;
    load(&golden, _i, LCKV_PRECISION_FULL);
    lckv_cache *cache = make_golden_cache(&golden, 2);
    lckv_session *session = make_session(cache);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        lckv_evaluate_options options = {.prefill = LCKV_PREFILL_ITERATED,
                                         .forward_passes = cases[i].m,
                                         .backward_passes = cases[i].b};
        encode(&golden, cache, session, 0, golden.n_tokens, options);
        check_logits(&golden, cases[i].array);
        ck_assert_ok(lckv_session_truncate(session, 0));
    }
    lckv_evaluate_options options = {
        .prefill = LCKV_PREFILL_ITERATED, .forward_passes = 3, .backward_passes = 2};
    size_t split = (size_t)golden.file.split;
    encode(&golden, cache, session, 0, split, options);
    encode(&golden, cache, session, split, golden.n_tokens, options);
    check_logits(&golden, "logits_split_m3b2");
    lckv_session_release(session);
    lckv_cache_release(cache);
    unload(&golden);
}
END_TEST

static void check_kv(const struct golden *golden, lckv_session *session)
{
    const lckv_plan *plan = lckv_model_plan(golden->model);
    size_t n = golden->n_tokens * golden->info.n_kv_heads * golden->info.head_dim;
    float *k = calloc(n, sizeof *k), *v = calloc(n, sizeof *v);
    for (uint32_t s = 0; s < golden->plan.n_slots; s++) {
        lckv_slot_info slot = {.size = sizeof slot};
        char name[32];
        ck_assert_ok(lckv_plan_get_slot(plan, s, &slot));
        ck_assert_ok(lckv_session_read_kv(session, s, 0, golden->n_tokens, k, v));
        snprintf(name, sizeof name, "kv.%u.k", slot.layer);
        double off = deviation(k, safetensors_find(&golden->file, name)->data, n);
        snprintf(name, sizeof name, "kv.%u.v", slot.layer);
        off = fmax(off, deviation(v, safetensors_find(&golden->file, name)->data, n));
        ck_assert_msg(off < TOLERANCE, "%s: slot %u is off by %g", golden->name, s, off);
    }
    free(k);
    free(v);
}

START_TEST(exact_encoding_gives_the_oracles_logits_keys_and_tokens)
{
    struct golden golden;
    load(&golden, _i, LCKV_PRECISION_FULL);
    size_t n_vocab = golden.info.n_vocab;
    lckv_cache *cache = make_golden_cache(&golden, 2);
    lckv_session *session = make_session(cache);
    lckv_evaluate_options exact = {.prefill = LCKV_PREFILL_EXACT};
    encode(&golden, cache, session, 0, golden.n_tokens, exact);
    check_logits(&golden, "logits_exact");
    check_kv(&golden, session);
    const struct safetensors_array *greedy = safetensors_find(&golden.file, "greedy");
    const lckv_token *expected = greedy->data;
    float *row = golden.logits + (golden.n_tokens - 1) * n_vocab;
    for (size_t i = 0; i < greedy->n_elements; i++) {
        lckv_token token = (lckv_token)most_likely(row, n_vocab);
        ck_assert_msg(token == expected[i], "%s: greedy token %zu is %d, expected %d", golden.name,
                      i, (int)token, (int)expected[i]);
        lckv_item item = make_item(session, &token, 1, row, n_vocab);
        item.want = LCKV_WANT_LAST;
        ck_assert_ok(run(cache, &item, 1, LCKV_PREFILL_AUTO));
    }
    lckv_session_release(session);
    lckv_cache_release(cache);
    unload(&golden);
}
END_TEST

/* _i: fixture and precision. Plans without upward layers take one parallel pass under auto. */
START_TEST(exact_logits_are_bitwise_the_same_however_they_are_asked_for)
{
    struct golden golden;
    load(&golden, _i % N_FIXTURES, _i < N_FIXTURES ? LCKV_PRECISION_FULL : LCKV_PRECISION_FAST);
    size_t n = golden.n_tokens * golden.info.n_vocab;
    float *first = calloc(n, sizeof *first);
    const uint32_t threads[] = {1, 2, 3, 7};
    for (size_t i = 0; i < 4; i++) {
        lckv_cache *cache = make_golden_cache(&golden, threads[i]);
        const size_t splits[] = {golden.n_tokens, 1, 17};
        for (size_t s = 0; s < (threads[i] == 2 ? 3 : 1); s++) {
            lckv_session *session = make_session(cache);
            lckv_evaluate_options options = {
                .prefill = i % 2 == 0 ? LCKV_PREFILL_EXACT : LCKV_PREFILL_AUTO, .window = i % 2};
            for (size_t at = 0; at < golden.n_tokens; at += splits[s]) {
                size_t end = at + splits[s] < golden.n_tokens ? at + splits[s] : golden.n_tokens;
                encode(&golden, cache, session, at, end, options);
            }
            if (i == 0)
                memcpy(first, golden.logits, n * sizeof *first);
            ck_assert_msg(memcmp(first, golden.logits, n * sizeof *first) == 0,
                          "%s: %u threads, split %zu", golden.name, threads[i], splits[s]);
            lckv_session_release(session);
        }
        lckv_cache_release(cache);
    }
    free(first);
    unload(&golden);
}
END_TEST

static void add_all(Suite *suite)
{
    TCase *tcase = tcase_create("goldens");
    tcase_set_timeout(tcase, 300);
    tcase_add_loop_test(tcase, exact_encoding_gives_the_oracles_logits_keys_and_tokens, 0,
                        N_FIXTURES);
    tcase_add_loop_test(tcase, iterated_encoding_gives_the_published_logits, 0, N_FIXTURES);
    tcase_add_loop_test(tcase, exact_logits_are_bitwise_the_same_however_they_are_asked_for, 0,
                        2 * N_FIXTURES);
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("goldens", add_all)
