/*
 * Quantised keys and values with the bundled model: what they cost in perplexity, and that logits
 * do not depend on threads, pages, batches or the split into calls. Uses the public header only.
 */
#include "sessions.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define BUNDLED "examples/models/stories-lckv-q8_0.gguf"

/* ---- Perplexity ---- */

enum { N_LINES = 60, MOST = 4096 };

/* The perplexity of the first lines of the held-out text, each from BOS to EOS. */
static double perplexity(const lckv_model *model, lckv_dtype dtype)
{
    const uint32_t n_vocab = info_of(model).n_vocab;
    static char line[1 << 16];
    static lckv_token ids[MOST];
    lckv_cache *cache = make_cache(model, (lckv_cache_options){.kv_dtype = dtype});
    float *logits = malloc((size_t)MOST * n_vocab * sizeof *logits);
    FILE *file = fopen("tests/data/heldout.txt", "r");
    ck_assert(logits != NULL && file != NULL);
    double total = 0;
    size_t n_all = 0;
    for (int l = 0; l < N_LINES && fgets(line, sizeof line, file) != NULL; l++) {
        size_t n;
        ck_assert_ok(
            lckv_tokenize(model, line, strcspn(line, "\n"), LCKV_TOKENIZE_BOS, ids, MOST - 1, &n));
        ids[n] = lckv_model_special_token(model, LCKV_SPECIAL_EOS);
        lckv_session *session = make_session(cache);
        lckv_item item = make_item(session, ids, n, logits, n_vocab);
        ck_assert_ok(run(cache, &item, 1, LCKV_PREFILL_AUTO));
        for (size_t t = 0; t < n; t++) {
            const float *row = logits + t * n_vocab;
            double largest = (double)row[most_likely(row, n_vocab)], sum = 0;
            for (size_t i = 0; i < n_vocab; i++)
                sum += exp((double)row[i] - largest);
            total += log(sum) + largest - (double)row[ids[t + 1]];
        }
        n_all += n;
        lckv_session_release(session);
    }
    fclose(file);
    free(logits);
    lckv_cache_release(cache);
    return exp(total / (double)n_all);
}

/* Long texts take minutes under the portable set and under sanitizers. */
static bool is_slow(void)
{
    const char *set = getenv("LCKV_CPU");
    return getenv("LCKV_TEST_SHORT") != NULL || (set != NULL && strcmp(set, "portable") == 0);
}

START_TEST(quantised_keys_and_values_predict_as_well)
{
    if (is_slow()) {
        printf("skipped: the perplexities of stories\n");
        return;
    }
    lckv_model *model = open_model(BUNDLED, (lckv_model_options){.precision = LCKV_PRECISION_FAST});
    const double f16 = perplexity(model, LCKV_DTYPE_F16);
    const double q8_0 = perplexity(model, LCKV_DTYPE_Q8_0);
    const double q4_0 = perplexity(model, LCKV_DTYPE_Q4_0);
    ck_assert_msg(fabs(q8_0 / f16 - 1) < 0.002, "q8_0: %g, f16: %g", q8_0, f16);
    ck_assert_msg(fabs(q4_0 / f16 - 1) < 0.03, "q4_0: %g, f16: %g", q4_0, f16);
    lckv_model_release(model);
}
END_TEST

/* ---- Bits ---- */

enum { N_TOKENS = 40, LONG = 1300 };

static const struct form {
    lckv_precision precision;
    lckv_dtype k_dtype, v_dtype;
} forms[] = {{LCKV_PRECISION_FULL, LCKV_DTYPE_Q8_0, LCKV_DTYPE_Q8_0},
             {LCKV_PRECISION_FULL, LCKV_DTYPE_Q4_0, LCKV_DTYPE_Q4_0},
             {LCKV_PRECISION_FAST, LCKV_DTYPE_Q8_0, LCKV_DTYPE_Q8_0},
             {LCKV_PRECISION_FAST, LCKV_DTYPE_Q4_0, LCKV_DTYPE_Q4_0},
             {LCKV_PRECISION_FAST, LCKV_DTYPE_Q8_0, LCKV_DTYPE_BF16},
             {LCKV_PRECISION_FAST, LCKV_DTYPE_BF16, LCKV_DTYPE_Q4_0}};

static lckv_model *open_form(struct form form)
{
    return open_model(BUNDLED,
                      (lckv_model_options){.precision = form.precision, .gemm = LCKV_GEMM_OWN});
}

static lckv_cache *cache_of(const lckv_model *model, struct form form, lckv_cache_options options)
{
    options.kv_dtype = form.k_dtype;
    options.v_dtype = form.v_dtype;
    return make_cache(model, options);
}

/* _i: form. */
START_TEST(logits_do_not_depend_on_threads_pages_batches_or_splits)
{
    lckv_model *model = open_form(forms[_i]);
    const uint32_t n_vocab = info_of(model).n_vocab;
    static lckv_token tokens[N_TOKENS];
    float *expected = malloc(3 * (size_t)N_TOKENS * n_vocab * sizeof *expected);
    ck_assert_ptr_nonnull(expected);
    float *got[2] = {expected + (size_t)N_TOKENS * n_vocab,
                     expected + 2 * (size_t)N_TOKENS * n_vocab};
    fill_tokens(tokens, N_TOKENS);
    lckv_cache *cache = cache_of(model, forms[_i], (lckv_cache_options){.n_threads = 1});
    lckv_session *session = make_session(cache);
    for (size_t t = 0; t < N_TOKENS; t++) {
        lckv_item item = make_item(session, tokens + t, 1, expected + t * n_vocab, n_vocab);
        ck_assert_ok(run(cache, &item, 1, LCKV_PREFILL_EXACT));
    }
    lckv_session_release(session);
    lckv_cache_release(cache);
    static const uint32_t threads[] = {1, 2, 5}, pages[] = {16, 1024, 48}, rows[] = {256, 5, 33};
    static const size_t splits[] = {40, 13, 7};
    for (int k = 0; k < 3; k++) {
        cache =
            cache_of(model, forms[_i],
                     (lckv_cache_options){
                         .n_threads = threads[k], .page_positions = pages[k], .max_rows = rows[k]});
        lckv_session *sessions[2] = {make_session(cache), make_session(cache)};
        for (size_t n, t = 0; t < N_TOKENS; t += n) {
            n = N_TOKENS - t < splits[k] ? N_TOKENS - t : splits[k];
            lckv_item items[2];
            for (size_t s = 0; s < 2; s++)
                items[s] = make_item(sessions[s], tokens + t, n, got[s] + t * n_vocab, n_vocab);
            ck_assert_ok(run(cache, items, 2, LCKV_PREFILL_AUTO));
        }
        for (size_t s = 0; s < 2; s++) {
            ck_assert_mem_eq(got[s], expected, (size_t)N_TOKENS * n_vocab * sizeof *expected);
            lckv_session_release(sessions[s]);
        }
        lckv_cache_release(cache);
    }
    free(expected);
    lckv_model_release(model);
}
END_TEST

/* Threads share the segments of a long context. _i: form. */
START_TEST(long_contexts_are_shared_by_threads)
{
    if (is_slow()) {
        printf("skipped: a long context\n");
        return;
    }
    lckv_model *model = open_form(forms[_i]);
    const uint32_t n_vocab = info_of(model).n_vocab;
    static lckv_token tokens[LONG];
    float *logits = malloc(2 * (size_t)n_vocab * sizeof *logits);
    ck_assert_ptr_nonnull(logits);
    fill_tokens(tokens, LONG);
    for (size_t i = 0; i < 2; i++) {
        lckv_cache *cache =
            cache_of(model, forms[_i], (lckv_cache_options){.n_threads = i == 0 ? 1 : 8});
        lckv_session *session = make_session(cache);
        lckv_item item = {.session = session,
                          .tokens = tokens,
                          .n_tokens = LONG,
                          .want = LCKV_WANT_LAST,
                          .logits = logits + i * n_vocab,
                          .logits_capacity = n_vocab};
        ck_assert_ok(run(cache, &item, 1, LCKV_PREFILL_AUTO));
        lckv_session_release(session);
        lckv_cache_release(cache);
    }
    ck_assert_mem_eq(logits, logits + n_vocab, n_vocab * sizeof *logits);
    free(logits);
    lckv_model_release(model);
}
END_TEST

static void add_all(Suite *suite)
{
    TCase *tcase = tcase_create("kv types");
    tcase_set_timeout(tcase, 600);
    tcase_add_test(tcase, quantised_keys_and_values_predict_as_well);
    tcase_add_loop_test(tcase, logits_do_not_depend_on_threads_pages_batches_or_splits, 0,
                        COUNT(forms));
    tcase_add_loop_test(tcase, long_contexts_are_shared_by_threads, 0, COUNT(forms));
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("kv types", add_all)
