/*
 * Rotations that depend on the length of the text (longrope, dynamic). A model that is opened for
 * long texts computes what transformers computes of a text of that length in one pass; one that is
 * not refuses texts that are too long for it.
 */
#include "architectures.h"

#define N_VOCAB 97
#define MOST_TOKENS 272

static const struct {
    const char *folder, *from, *to; /* in config.json */
    size_t original, n_tokens;
    uint32_t context; /* which the file names */
} texts[] = {
    {"llama-longrope", "x", "x", 64, 80, 256},
    {"phi3-longrope", "x", "x", 64, 80, 256},
    {"llama-linear", "\"linear\"", "\"dynamic\"", 256, 272, 256},
};

static void make_tokens(lckv_token *tokens)
{
    for (size_t i = 0; i < MOST_TOKENS; i++)
        tokens[i] = (lckv_token)((7 * i * i + 3 * i) % N_VOCAB);
}

/* The fixture's directory, with its changes, is the folder's. */
static void write_model(int i)
{
    ck_assert_ok(open_changed(fixture_of(texts[i].folder), texts[i].from, texts[i].to));
}

static lckv_model *open_for(const char *path, uint64_t rope_context)
{
    return open_model(path, (lckv_model_options){.precision = LCKV_PRECISION_FULL,
                                                 .gemm = LCKV_GEMM_OWN,
                                                 .rope_context = rope_context});
}

static void check_long_logits(const lckv_model *model, int i, size_t chunk)
{
    struct safetensors golden;
    lckv_token tokens[MOST_TOKENS];
    const size_t rows[] = {3, texts[i].n_tokens - 1};
    make_tokens(tokens);
    safetensors_open(&golden, path_of(fixture_of(texts[i].folder), "/long.safetensors"));
    const float *right = safetensors_find(&golden, "logits")->data;
    float *logits = logits_of(model, tokens, texts[i].n_tokens, chunk);
    for (size_t r = 0; r < COUNT(rows); r++) {
        for (size_t v = 0; v < N_VOCAB; v++)
            ck_assert_msg(fabsf(logits[rows[r] * N_VOCAB + v] - right[r * N_VOCAB + v]) <
                              (float)TOLERANCE,
                          "token %zu: logit %zu is %g, expected %g", rows[r], v,
                          (double)logits[rows[r] * N_VOCAB + v], (double)right[r * N_VOCAB + v]);
    }
    free(logits);
    safetensors_close(&golden);
}

START_TEST(long_texts_are_those_of_transformers)
{
    char converted[FOLDER_PATH];
    write_model(_i);
    lckv_convert_options options = {.size = sizeof options};
    ck_assert_ok(lckv_convert(folder, folder_join(converted, "m.gguf"), &options, NULL));
    const char *paths[] = {folder, converted};
    for (size_t p = 0; p < COUNT(paths); p++) {
        lckv_model *model = open_for(paths[p], texts[_i].n_tokens);
        ck_assert_uint_eq(info_of(model).context_length, texts[_i].n_tokens > texts[_i].context
                                                             ? texts[_i].n_tokens
                                                             : texts[_i].context);
        check_long_logits(model, _i, texts[_i].n_tokens);
        check_long_logits(model, _i, 7);
        lckv_model_release(model);
    }
}
END_TEST

static lckv_status evaluate(lckv_session *session, lckv_cache *cache, size_t n)
{
    lckv_token tokens[MOST_TOKENS + 1];
    float logits[N_VOCAB];
    make_tokens(tokens);
    tokens[MOST_TOKENS] = 0;
    lckv_item item = make_item(session, tokens, n, logits, N_VOCAB);
    item.want = LCKV_WANT_LAST;
    return run(cache, &item, 1, LCKV_PREFILL_AUTO);
}

/* A cache with and without a context window that is as short as the texts that are allowed. */
static void check_limit(const lckv_model *model, size_t limit)
{
    for (int windowed = 0; windowed < 2; windowed++) {
        lckv_cache *cache = make_cache(
            model,
            (lckv_cache_options){.n_threads = 1, .context_window = windowed ? (uint32_t)limit : 0});
        lckv_session *session = make_session(cache);
        ck_assert_ok(evaluate(session, cache, limit));
        if (windowed) {
            ck_assert_ok(evaluate(session, cache, 1));
        } else {
            ck_assert_int_eq(evaluate(session, cache, 1), LCKV_UNSUPPORTED);
            char message[96];
            snprintf(message, sizeof message, "would have %zu tokens", limit + 1);
            ck_assert_error_has(message);
            snprintf(message, sizeof message, "up to %zu: open it with rope_context", limit);
            ck_assert_error_has(message);
            ck_assert_uint_eq(length_of(session), limit); /* nothing is lost */
        }
        lckv_session_release(session);
        lckv_cache_release(cache);
    }
}

START_TEST(texts_that_are_too_long_are_refused)
{
    write_model(_i);
    lckv_model *model = open_for(folder, 0);
    ck_assert_uint_eq(info_of(model).context_length, texts[_i].original);
    check_limit(model, texts[_i].original);
    lckv_model *same = open_for(folder, texts[_i].original);
    lckv_model *other = open_for(folder, texts[_i].n_tokens);
    uint64_t fingerprints[3];
    ck_assert_ok(lckv_model_fingerprint(model, &fingerprints[0]));
    ck_assert_ok(lckv_model_fingerprint(same, &fingerprints[1]));
    ck_assert_ok(lckv_model_fingerprint(other, &fingerprints[2]));
    ck_assert(fingerprints[0] == fingerprints[1] && fingerprints[0] != fingerprints[2]);
    lckv_model_release(same);
    lckv_model_release(other);
    lckv_model_release(model);
}
END_TEST

/* Dynamic scaling ends where the texts end that it was chosen for; longrope's is for any length. */
START_TEST(longer_texts_than_those_chosen)
{
    write_model(_i);
    if (texts[_i].original == 256) {
        lckv_model *model = open_for(folder, 260);
        check_limit(model, 260);
        lckv_model_release(model);
        return;
    }
    lckv_model *model = open_for(folder, texts[_i].original + 1);
    check_long_logits(model, _i, texts[_i].n_tokens);
    lckv_model_release(model);
}
END_TEST

/* Within the original context, dynamic scaling is none. */
START_TEST(short_texts_are_not_scaled)
{
    lckv_token tokens[MOST_TOKENS];
    make_tokens(tokens);
    ck_assert_ok(open_changed(fixture_of("llama-linear"), "\"linear\"", "\"default\""));
    lckv_model *plain = open_full(folder);
    float *expected = logits_of(plain, tokens, 256, 256);
    ck_assert_ok(open_changed(fixture_of("llama-linear"), "\"linear\"", "\"dynamic\""));
    lckv_model *model = open_full(folder);
    float *logits = logits_of(model, tokens, 256, 7);
    ck_assert_mem_eq(logits, expected, (size_t)256 * N_VOCAB * sizeof *logits);
    free(expected);
    free(logits);
    lckv_model_release(plain);
    lckv_model_release(model);
}
END_TEST

/* All other models ignore the choice. */
START_TEST(other_rotations_do_not_change)
{
    uint64_t fingerprints[2];
    for (uint64_t i = 0; i < 2; i++) {
        lckv_model *model =
            open_for(path_of(fixture_of("qwen2-yarn"), ""), i * UINT32_C(4000000000));
        ck_assert_ok(lckv_model_fingerprint(model, &fingerprints[i]));
        lckv_model_release(model);
    }
    ck_assert(fingerprints[0] == fingerprints[1]);
    lckv_model *model = NULL;
    lckv_model_options options = {.size = sizeof options, .rope_context = UINT64_C(1) << 32};
    ck_assert_int_eq(lckv_model_open(path_of(0, ""), &options, &model), LCKV_INVALID_ARGUMENT);
    ck_assert_error_has("rope_context is 4294967296; expected less than 2^32");
}
END_TEST

static const struct {
    const char *from, *to, *message;
    lckv_status status;
} refused[] = {
    {"\"factor\": 2.5,\n    \"rope_theta\": 10000.0,\n    \"rope_type\": \"linear\"",
     "\"rope_type\": \"dynamic\"", "rope scaling: factor is missing", LCKV_BAD_FORMAT},
    {"\"linear\"", "\"dynamic\", \"original_max_position_embeddings\": 64",
     "original_max_position_embeddings is 64; expected max_position_embeddings, 256",
     LCKV_UNSUPPORTED},
    {"\"factor\": 2.5,\n    \"rope_theta\": 10000.0,\n    \"rope_type\": \"linear\"",
     "\"rope_type\": \"dynamic\", \"factor\": -1", "the rope scaling's factor is -1",
     LCKV_BAD_FORMAT},
};

START_TEST(dynamic_scaling_that_makes_no_sense_is_refused)
{
    ck_assert_int_eq(open_changed(fixture_of("llama-linear"), refused[_i].from, refused[_i].to),
                     refused[_i].status);
    ck_assert_error_has(refused[_i].message);
}
END_TEST

#define OLDER(lists)                                                     \
    "\"rope_scaling\": {\"type\": \"longrope\", \"rope_theta\": 10000, " \
    "\"original_max_position_embeddings\": 64, " lists "},\n  \"rope_parameters\""
#define LONG_LIST "\"long_factor\": [1.5, 2, 3, 4, 6, 8, 12, 16]"
#define SHORT_LIST "\"short_factor\": [1, 1.25, 1.5, 1.75, 2, 2.5, 3, 3.5]"

/* What stands in rope_parameters and in the older rope_scaling must agree. */
START_TEST(two_descriptions_of_longrope_must_agree)
{
    const int i = fixture_of("llama-longrope");
    static const char from[] = "\"rope_parameters\"";
    ck_assert_ok(open_changed(i, from, OLDER(LONG_LIST ", " SHORT_LIST)));
    ck_assert_int_eq(
        open_changed(i, from, OLDER(LONG_LIST ", \"short_factor\": [1, 1, 1, 1, 1, 1, 1, 1]")),
        LCKV_UNSUPPORTED);
    ck_assert_error_has("short_factor differs between rope_parameters and rope_scaling");
    ck_assert_int_eq(
        open_changed(i, from, OLDER("\"long_factor\": [2, 2, 2, 2, 2, 2, 2, 2], " SHORT_LIST)),
        LCKV_UNSUPPORTED);
    ck_assert_error_has("long_factor differs");
}
END_TEST

/* Only the rotation of layers without a window may depend on the length of the text. */
START_TEST(windowed_layers_have_no_longrope)
{
    ck_assert_int_eq(open_changed(fixture_of("gemma3"),
                                  "\"rope_theta\": 10000.0,\n      "
                                  "\"rope_type\": \"default\"",
                                  "\"rope_theta\": 10000.0, \"rope_type\": \"longrope\", "
                                  "\"original_max_position_embeddings\": 64, " LONG_LIST
                                  ", " SHORT_LIST),
                     LCKV_UNSUPPORTED);
    ck_assert_error_has("rope scaling of layers with a window is longrope");
}
END_TEST

/* A text that becomes as long as the rotation allows is no failure. */
START_TEST(generation_ends_where_the_rotation_does)
{
    lckv_model *model = open_for(path_of(fixture_of("llama-longrope"), ""), 0);
    lckv_cache *cache = make_cache(model, (lckv_cache_options){.n_tokens = 256, .n_threads = 1});
    lckv_session *session = make_session(cache);
    lckv_sampler *sampler = NULL;
    lckv_token prompt[60];
    for (size_t i = 0; i < COUNT(prompt); i++)
        prompt[i] = (lckv_token)(i % 90 + 3);
    lckv_generate_options options = {.size = sizeof options, .max_tokens = 20, .ignore_end = 1};
    lckv_generate_report report = {.size = sizeof report};
    ck_assert_ok(lckv_sampler_create(NULL, &sampler));
    ck_assert_ok(lckv_generate(session, sampler, prompt, COUNT(prompt), &options, &report));
    ck_assert_int_eq(report.reason, LCKV_STOP_FULL);
    ck_assert_uint_eq(report.n_generated, 64 - COUNT(prompt) + 1);
    lckv_sampler_release(sampler);
    lckv_session_release(session);
    lckv_cache_release(cache);
    lckv_model_release(model);
}
END_TEST

static void add_long_texts(Suite *suite)
{
    TCase *tcase = tcase_create("long texts");
    tcase_add_checked_fixture(tcase, folder_make, folder_remove);
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, long_texts_are_those_of_transformers, 0, COUNT(texts));
    tcase_add_loop_test(tcase, texts_that_are_too_long_are_refused, 0, COUNT(texts));
    tcase_add_loop_test(tcase, longer_texts_than_those_chosen, 0, COUNT(texts));
    tcase_add_test(tcase, short_texts_are_not_scaled);
    tcase_add_test(tcase, other_rotations_do_not_change);
    tcase_add_loop_test(tcase, dynamic_scaling_that_makes_no_sense_is_refused, 0, COUNT(refused));
    tcase_add_test(tcase, two_descriptions_of_longrope_must_agree);
    tcase_add_test(tcase, windowed_layers_have_no_longrope);
    tcase_add_test(tcase, generation_ends_where_the_rotation_does);
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("long_texts", add_long_texts)
