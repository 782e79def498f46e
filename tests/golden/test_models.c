/*
 * Trained models: always the bundled one; the directories that it was trained beside if
 * LCKV_TEST_MODELS names the folder that holds them; SmolLM2-135M-Instruct Q4_1 if
 * LCKV_TEST_SMOLLM2 names its GGUF file. tests/data/README.md names the references. Uses the public
 * header only.
 */
#include "folder.h"
#include "golden/trained.h"

#include <stdbool.h>

#define BUNDLED "examples/models/stories-lckv-q8_0.gguf"

/* Perplexity of the held-out text, each line from BOS to EOS. */
static double perplexity(const lckv_model *model, long *n_predicted)
{
    lckv_cache *cache = make_f32_cache(model);
    uint32_t n_vocab = info_of(model).n_vocab;
    static char line[1 << 16];
    static lckv_token ids[MAX_TOKENS];
    double total = 0;
    long n_all = 0;
    FILE *file = fopen("tests/data/heldout.txt", "r");
    ck_assert_ptr_nonnull(file);
    while (fgets(line, sizeof line, file) != NULL) {
        size_t length = strcspn(line, "\n"), n;
        ck_assert_ok(
            lckv_tokenize(model, line, length, LCKV_TOKENIZE_BOS, ids, MAX_TOKENS - 1, &n));
        ids[n++] = lckv_model_special_token(model, LCKV_SPECIAL_EOS);
        float *logits = logits_of(cache, ids, n - 1, n_vocab);
        for (size_t i = 1; i < n; i++)
            total += nll(logits + (i - 1) * n_vocab, n_vocab, ids[i]);
        n_all += (long)n - 1;
        free(logits);
    }
    fclose(file);
    lckv_cache_release(cache);
    *n_predicted = n_all;
    return exp(total / (double)n_all);
}

static void check_perplexity(const char *path, lckv_precision precision, double expected,
                             double tolerance)
{
    long n;
    lckv_model *model = open_trained(path, precision);
    double value = perplexity(model, &n);
    ck_assert_int_eq(n, 50942);
    ck_assert_msg(fabs(value / expected - 1) < tolerance, "%s: perplexity %.5f, expected %.5f",
                  path, value, expected);
    lckv_model_release(model);
}

/* The whole held-out text takes minutes under the portable set, a sanitizer or valgrind. */
static bool is_slow(void)
{
    const char *set = getenv("LCKV_CPU");
    return getenv("LCKV_TEST_SHORT") != NULL ||
           (set != NULL && strcmp(set, "portable") == 0 && getenv("LCKV_TEST_MODELS") == NULL);
}

START_TEST(the_bundled_model_has_its_perplexity)
{
    if (is_slow()) {
        printf("skipped: the whole held-out text\n");
        return;
    }
    check_perplexity(BUNDLED, _i == 0 ? LCKV_PRECISION_FULL : LCKV_PRECISION_FAST, 2.66815,
                     _i == 0 ? 0.003 : 0.006);
}
END_TEST

static void check_continuation(const lckv_model *model, const char *item)
{
    static lckv_token prompt[MAX_TOKENS], expected[MAX_TOKENS], got[MAX_TOKENS];
    size_t length, n;
    char *text = json_string(json_get(item, "prompt"), &length);
    uint32_t n_vocab = info_of(model).n_vocab;
    size_t n_prompt = ids_of(json_get(item, "prompt_ids"), prompt);
    ck_assert_ok(lckv_tokenize(model, text, length, 0, got, MAX_TOKENS, &n));
    free(text);
    ck_assert_uint_eq(n, n_prompt);
    ck_assert(memcmp(got, prompt, n * sizeof *got) == 0);
    lckv_cache *cache = make_f32_cache(model);
    float *logits = logits_of(cache, prompt, n_prompt, n_vocab);
    const char *top = json_get(item, "top10_last_prompt_position");
    ck_assert_uint_eq(json_size(top), 10);
    for (const char *entry = json_first(top); entry != NULL; entry = json_next(entry)) {
        double logit = json_number(json_get(entry, "logit"));
        size_t id = (size_t)json_long(json_get(entry, "id"));
        ck_assert(fabs((double)logits[(n_prompt - 1) * n_vocab + id] - logit) < 2e-3);
    }
    free(logits);
    size_t n_expected = ids_of(json_get(item, "continuation_ids"), expected);
    lckv_session *session = make_session(cache);
    lckv_generate_options options = {
        .size = sizeof options, .max_tokens = n_expected, .ignore_end = 1};
    lckv_generate_report report = {.size = sizeof report};
    ck_assert_ok(lckv_generate(session, NULL, prompt, n_prompt, &options, &report));
    ck_assert_uint_eq(report.n_generated, n_expected);
    ck_assert_ok(lckv_session_tokens(session, got, MAX_TOKENS, &n));
    ck_assert_uint_eq(n, n_prompt + n_expected - 1); /* the last token is not evaluated */
    ck_assert(memcmp(got + n_prompt, expected, (n_expected - 1) * sizeof *got) == 0);
    char buffer[4096];
    ck_assert_ok(lckv_detokenize(model, expected, n_expected, 0, buffer, sizeof buffer, &n));
    char *continuation = json_string(json_get(item, "continuation_text"), &length);
    ck_assert(n == length && memcmp(buffer, continuation, n) == 0);
    free(continuation);
    lckv_session_release(session);
    lckv_cache_release(cache);
}

START_TEST(the_trained_models_give_their_references)
{
    static const struct {
        const char *name;
        double perplexity;
    } trained[] = {{"stories-lckv", 2.66815}, {"stories-mid", 2.65273}, {"stories-std", 2.66455}};
    const char *directory = getenv("LCKV_TEST_MODELS");
    char path[512];
    if (directory == NULL) {
        printf("skipped: LCKV_TEST_MODELS is not set\n");
        return;
    }
    snprintf(path, sizeof path, "%s/%s", directory, trained[_i].name);
    check_perplexity(path, LCKV_PRECISION_FULL, trained[_i].perplexity, 0.002);
    if (_i != 0)
        return;
    lckv_model *model = open_trained(path, LCKV_PRECISION_FULL);
    char *golden = read_whole("tests/data/golden-stories-lckv.json", NULL);
    const char *item = json_first(json_get(json_space(golden), "cases"));
    ck_assert_ptr_nonnull(item);
    for (; item != NULL; item = json_next(item))
        check_continuation(model, item);
    free(golden);
    lckv_model_release(model);
}
END_TEST

/*
 * Feeds the reference's ids. Compares the argmax where the margin is clear, and the top-10 logits.
 */
static void check_greedy(const lckv_model *model, const char *item, double margin, double tolerance)
{
    static lckv_token ids[MAX_TOKENS];
    uint32_t n_vocab = info_of(model).n_vocab;
    size_t n_prompt = ids_of(json_get(item, "prompt_ids"), ids);
    size_t n = n_prompt + ids_of(json_get(item, "ids"), ids + n_prompt);
    lckv_cache *cache = make_f32_cache(model);
    float *logits = logits_of(cache, ids, n, n_vocab);
    size_t i = 0;
    for (const char *value = json_first(json_get(item, "top1_minus_top2"));
         value != NULL && n_prompt + i < n; value = json_next(value), i++) {
        size_t best = most_likely(logits + (n_prompt - 1 + i) * n_vocab, n_vocab);
        if (json_number(value) > margin)
            ck_assert_uint_eq(best, ids[n_prompt + i]);
    }
    const char *top = json_get(item, "top10");
    for (const char *entry = json_first(top); entry != NULL; entry = json_next(entry)) {
        size_t id = (size_t)json_long(json_get(entry, "id"));
        double off = fabs((double)logits[(n_prompt - 1) * n_vocab + id] -
                          json_number(json_get(entry, "logit")));
        ck_assert_msg(off < tolerance, "logit of token %zu is off by %g", id, off);
    }
    free(logits);
    lckv_cache_release(cache);
}

/* Perplexity over windows of 512 tokens, of which the second half counts. */
static double windows_perplexity(const lckv_model *model, const char *reference)
{
    static lckv_token ids[MAX_TOKENS];
    uint32_t n_vocab = info_of(model).n_vocab;
    size_t n = ids_of(json_get(reference, "ids"), ids), counted = 0;
    double total = 0;
    lckv_cache *cache = make_f32_cache(model);
    for (size_t begin = 0; begin + 512 <= n; begin += 512) {
        float *logits = logits_of(cache, ids + begin, 512, n_vocab);
        for (size_t i = 256; i < 511; i++, counted++)
            total += nll(logits + i * n_vocab, n_vocab, ids[begin + i + 1]);
        free(logits);
    }
    lckv_cache_release(cache);
    ck_assert_uint_eq(counted, 2040);
    return exp(total / (double)counted);
}

static void check_tokens(const lckv_model *model, const char *item)
{
    static lckv_token expected[MAX_TOKENS], got[MAX_TOKENS];
    static const char *const lists[] = {"ids", "ids_no_parse_special"};
    size_t length;
    char *text = json_string(json_get(item, "text"), &length);
    for (uint32_t k = 0; k < 2; k++) {
        size_t n, n_expected = ids_of(json_get(item, lists[k]), expected);
        ck_assert_ok(lckv_tokenize(model, text, length, k == 1 ? LCKV_TOKENIZE_NO_SPECIAL : 0, got,
                                   MAX_TOKENS, &n));
        ck_assert_uint_eq(n, n_expected);
        ck_assert(memcmp(got, expected, n * sizeof *got) == 0);
    }
    free(text);
}

START_TEST(smollm2_gives_its_reference)
{
    const char *path = getenv("LCKV_TEST_SMOLLM2");
    if (path == NULL) {
        printf("skipped: LCKV_TEST_SMOLLM2 is not set\n");
        return;
    }
    bool full = _i == 0;
    lckv_model *model = open_trained(path, full ? LCKV_PRECISION_FULL : LCKV_PRECISION_FAST);
    char *whole = read_whole("tests/data/smollm2/reference.json", NULL);
    const char *reference = json_space(whole), *item;
    for (item = json_first(json_get(reference, "tokenize")); item != NULL; item = json_next(item))
        check_tokens(model, item);
    for (item = json_first(json_get(reference, "greedy")); item != NULL; item = json_next(item))
        check_greedy(model, item, full ? 0.05 : 1.5, full ? 2e-2 : 1.2);
    double got = windows_perplexity(model, json_get(reference, "perplexity"));
    ck_assert_msg(fabs(got / 18.34178 - 1) < (full ? 0.002 : 0.006), "perplexity %.5f", got);
    free(whole);
    lckv_model_release(model);
}
END_TEST

static void add_all(Suite *suite)
{
    TCase *tcase = tcase_create("models");
    tcase_set_timeout(tcase, 1200);
    tcase_add_loop_test(tcase, the_bundled_model_has_its_perplexity, 0, 2);
    tcase_add_loop_test(tcase, the_trained_models_give_their_references, 0, 3);
    tcase_add_loop_test(tcase, smollm2_gives_its_reference, 0, 2);
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("models", add_all)
