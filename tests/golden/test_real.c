/*
 * Models that people have: those that tests/real/get_models.py puts into the folder that
 * LCKV_TEST_REAL names (make check-real does both). Tokens, conversations, greedy text and how
 * likely a text is are held against what llama.cpp gave for the same files (tests/real/README.md).
 * Uses the public header only.
 */
#include "folder.h"
#include "golden/trained.h"

#include <stdbool.h>

static const char *const names[] = {"gemma-3-270m-q4_k_m", "qwen2.5-coder-0.5b-q4_k_m",
                                    "qwen2.5-coder-1.5b-q4_k_m"};

/* How far results may be from those in float32, or from llama.cpp's with 8-bit activations. */
struct tolerances {
    double margin; /* by which the most likely token must be so to be it here, too */
    double logit;
    double likelihood; /* of perplexities, relative */
};

static const struct tolerances of_f32[] = {
    [LCKV_PRECISION_FULL] = {0.01, 0.01, 1e-4},
    [LCKV_PRECISION_FAST] = {0.4, 0.6, 0.005},
};
static const struct tolerances of_peer = {.margin = 0.5, .likelihood = 0.01};

#define MAX_BYTES 65536
#define MAX_MESSAGES 8

/* What a JSON string says; the bytes live until all strings are freed. */
struct strings {
    char *texts[2 * MAX_MESSAGES];
    size_t n;
};

static const char *keep(struct strings *strings, const char *value, size_t *length)
{
    ck_assert_uint_lt(strings->n, COUNT(strings->texts));
    return strings->texts[strings->n++] = json_string(value, length);
}

/* The conversation gives the text and the ids that Jinja and llama.cpp give. */
static void check_conversation(const lckv_model *model, const char *item, const lckv_token *prompt,
                               size_t n_prompt)
{
    static char got_text[MAX_BYTES];
    static lckv_token got[MAX_TOKENS];
    struct strings strings = {.n = 0};
    lckv_message messages[MAX_MESSAGES];
    size_t n_messages = 0, n, length;
    const char *text = keep(&strings, json_get(item, "text"), &length);
    const char *turn = json_first(json_get(item, "messages"));
    for (; turn != NULL; turn = json_next(turn), n_messages++) {
        lckv_message *message = &messages[n_messages];
        const char *role = json_first(turn);
        message->role = keep(&strings, role, &message->role_length);
        message->content = keep(&strings, json_next(role), &message->content_length);
    }
    ck_assert_ok(lckv_chat_format(model, messages, sizeof *messages, n_messages, LCKV_CHAT_ANSWER,
                                  got_text, sizeof got_text, &n));
    ck_assert(n == length && memcmp(got_text, text, n) == 0);
    ck_assert_ok(lckv_chat_tokenize(model, messages, sizeof *messages, n_messages, LCKV_CHAT_ANSWER,
                                    got, MAX_TOKENS, &n));
    ck_assert(n == n_prompt && memcmp(got, prompt, n * sizeof *got) == 0);
    while (strings.n > 0)
        free(strings.texts[--strings.n]);
}

static void check_tokens(const lckv_model *model, const char *item, const lckv_token *prompt,
                         size_t n_prompt)
{
    static lckv_token got[MAX_TOKENS];
    size_t n, length;
    char *text = json_string(json_get(item, "text"), &length);
    ck_assert_ok(lckv_tokenize(model, text, length, 0, got, MAX_TOKENS, &n));
    ck_assert(n == n_prompt && memcmp(got, prompt, n * sizeof *got) == 0);
    free(text);
}

/* Where the margins exceed the tolerance, the most likely tokens are the expected ones. */
static void check_best(const lckv_token *got, const char *expected, const char *margins,
                       double tolerance, const char *what)
{
    size_t i = 0;
    const char *id = json_first(expected), *margin = json_first(margins);
    for (; id != NULL; id = json_next(id), margin = json_next(margin), i++)
        ck_assert_msg(json_number(margin) <= tolerance || got[i] == json_long(id),
                      "token %zu is %d, not %ld as in %s, with a margin of %g", i, got[i],
                      json_long(id), what, json_number(margin));
}

/* Feeds llama.cpp's greedy text, so that a close decision does not change what follows. */
static void check_logits(const lckv_model *model, const char *item, const lckv_token *prompt,
                         size_t n_prompt, const struct tolerances *tolerances)
{
    static lckv_token ids[MAX_TOKENS], best[MAX_TOKENS];
    uint32_t n_vocab = info_of(model).n_vocab;
    memcpy(ids, prompt, n_prompt * sizeof *ids);
    size_t n = ids_of(json_get(item, "ids"), ids + n_prompt);
    lckv_cache *cache = make_f32_cache(model);
    float *logits = logits_of(cache, ids, n_prompt + n - 1, n_vocab);
    const float *last = logits + (n_prompt - 1) * n_vocab;
    for (size_t i = 0; i < n; i++)
        best[i] = (lckv_token)most_likely(last + i * n_vocab, n_vocab);
    check_best(best, json_get(item, "f32_best"), json_get(item, "f32_margins"), tolerances->margin,
               "float32");
    check_best(best, json_get(item, "ids"), json_get(item, "margins"), of_peer.margin, "llama.cpp");
    const char *entry = json_first(json_get(item, "top"));
    for (; entry != NULL; entry = json_next(entry)) {
        const char *id = json_first(entry);
        double off = (double)last[json_long(id)] - json_number(json_next(id));
        ck_assert_msg(fabs(off) < tolerances->logit, "logit of token %ld is off by %g",
                      json_long(id), off);
    }
    free(logits);
    lckv_cache_release(cache);
}

/* Generates with the defaults: as llama.cpp does up to its first close decision. */
static void check_generated(const lckv_model *model, const char *item, const lckv_token *prompt,
                            size_t n_prompt)
{
    static lckv_token expected[MAX_TOKENS], got[MAX_TOKENS];
    size_t n = 0, length;
    ids_of(json_get(item, "ids"), expected);
    const char *margin = json_first(json_get(item, "margins"));
    for (; margin != NULL && json_number(margin) > of_peer.margin; margin = json_next(margin))
        n++;
    if (n == 0)
        return;
    lckv_cache *cache = make_cache(model, (lckv_cache_options){.size = 0});
    lckv_session *session = make_session(cache);
    lckv_generate_options options = {.size = sizeof options, .max_tokens = n + 1, .ignore_end = 1};
    ck_assert_ok(lckv_generate(session, NULL, prompt, n_prompt, &options, NULL));
    ck_assert_ok(lckv_session_tokens(session, got, MAX_TOKENS, &length));
    ck_assert_uint_eq(length, n_prompt + n);
    ck_assert(memcmp(got + n_prompt, expected, n * sizeof *got) == 0);
    lckv_session_release(session);
    lckv_cache_release(cache);
}

static void check_prompt(const lckv_model *model, const char *item,
                         const struct tolerances *tolerances)
{
    static lckv_token prompt[MAX_TOKENS];
    size_t n_prompt = ids_of(json_get(item, "prompt_ids"), prompt);
    check_tokens(model, item, prompt, n_prompt);
    if (json_get(item, "messages") != NULL)
        check_conversation(model, item, prompt, n_prompt);
    check_logits(model, item, prompt, n_prompt, tolerances);
    check_generated(model, item, prompt, n_prompt);
}

/* The perplexity of the second half of all chunks, as llama-perplexity computes it. */
static void check_text(const lckv_model *model, const char *chunks,
                       const struct tolerances *tolerances)
{
    static lckv_token ids[MAX_TOKENS];
    uint32_t n_vocab = info_of(model).n_vocab;
    lckv_cache *cache = make_f32_cache(model);
    double got = 0, f32 = 0, peer = 0;
    size_t counted = 0;
    for (const char *chunk = json_first(chunks); chunk != NULL; chunk = json_next(chunk)) {
        size_t n = ids_of(json_get(chunk, "ids"), ids);
        float *logits = logits_of(cache, ids, n, n_vocab);
        for (size_t i = n / 2; i + 1 < n; i++, counted++)
            got -= nll(logits + i * n_vocab, n_vocab, ids[i + 1]);
        free(logits);
        f32 += json_number(json_get(chunk, "f32_log_probability"));
        peer += json_number(json_get(chunk, "log_probability"));
    }
    lckv_cache_release(cache);
    ck_assert_uint_gt(counted, 1000);
    double of_all = exp(-got / (double)counted);
    double to_f32 = exp((f32 - got) / (double)counted) - 1;
    double to_peer = exp((peer - got) / (double)counted) - 1;
    printf("perplexity %.4f, %+.4f %% of float32, %+.4f %% of llama.cpp\n", of_all, 100 * to_f32,
           100 * to_peer);
    ck_assert_msg(fabs(to_f32) < tolerances->likelihood && fabs(to_peer) < of_peer.likelihood,
                  "perplexity %.4f, %+.4f %% of float32, %+.4f %% of llama.cpp", of_all,
                  100 * to_f32, 100 * to_peer);
}

/* Everything in these files is understood. */
static void expect_no_remark(void *user, const char *text, size_t length)
{
    (void)user;
    ck_abort_msg("a remark: %.*s", (int)length, text);
}

START_TEST(a_real_model_gives_what_llama_cpp_gives)
{
    const char *path = getenv("LCKV_TEST_REAL");
    if (path == NULL) {
        printf("skipped: LCKV_TEST_REAL is not set\n");
        return;
    }
    const char *name = names[_i / 2];
    lckv_precision precision = _i % 2 == 0 ? LCKV_PRECISION_FULL : LCKV_PRECISION_FAST;
    char model_path[512], reference_path[512];
    snprintf(model_path, sizeof model_path, "%s/%s.gguf", path, name);
    snprintf(reference_path, sizeof reference_path, "tests/real/%s.json", name);
    lckv_model *model = open_model(
        model_path, (lckv_model_options){.precision = precision, .log = expect_no_remark});
    char *whole = read_whole(reference_path, NULL);
    const char *reference = json_space(whole);
    const char *item = json_first(json_get(reference, "greedy"));
    ck_assert_ptr_nonnull(item);
    for (; item != NULL; item = json_next(item))
        check_prompt(model, item, &of_f32[precision]);
    check_text(model, json_get(reference, "text"), &of_f32[precision]);
    free(whole);
    lckv_model_release(model);
}
END_TEST

static void add_all(Suite *suite)
{
    TCase *tcase = tcase_create("real models");
    tcase_set_timeout(tcase, 1200);
    tcase_add_loop_test(tcase, a_real_model_gives_what_llama_cpp_gives, 0, 2 * COUNT(names));
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("real models", add_all)
