/*
 * What only Gemma 3n has: streams beside the residual stream, a map beside attention, gates that
 * are sparse, and tokens without embeddings of their own for the layers.
 */
#include "allocator.h"
#include "architectures.h"

#define N_TOKENS 64
#define N_VOCAB 97
#define N_LOGITS ((size_t)N_TOKENS * N_VOCAB)

static struct safetensors golden;
static const lckv_token *tokens;
static const float *expected;
static int fixture;

static void begin(void)
{
    folder_make();
    fixture = fixture_of("gemma3n");
    safetensors_open(&golden, path_of(fixture, "/golden.safetensors"));
    tokens = safetensors_find(&golden, "tokens")->data;
    expected = safetensors_find(&golden, "logits")->data;
}

static void end(void)
{
    safetensors_close(&golden);
    folder_remove();
}

static double most_difference(const float *logits, const float *others)
{
    double most = 0;
    for (size_t i = 0; i < N_LOGITS; i++)
        most = fmax(most, fabs((double)logits[i] - (double)others[i]));
    return most;
}

/* The layers above the last slot compute only the rows of which something is wanted. */
START_TEST(the_last_logits_alone_are_the_same)
{
    lckv_model *model = open_full(path_of(fixture, ""));
    float *all = logits_of(model, tokens, N_TOKENS, N_TOKENS);
    float last[N_VOCAB], second[2 * N_VOCAB], hidden[32];
    lckv_cache *cache = make_cache(
        model, (lckv_cache_options){
                   .kv_dtype = LCKV_DTYPE_F32, .n_threads = 2, .max_sessions = 2, .max_rows = 29});
    lckv_session *sessions[] = {make_session(cache), make_session(cache)};
    lckv_item items[] = {make_item(sessions[0], tokens, N_TOKENS, last, N_VOCAB),
                         make_item(sessions[1], tokens, 41, second, N_VOCAB)};
    for (size_t i = 0; i < COUNT(items); i++)
        items[i].want = LCKV_WANT_LAST;
    items[1].want |= LCKV_WANT_HIDDEN;
    items[1].hidden = hidden;
    items[1].hidden_capacity = COUNT(hidden);
    ck_assert_ok(run(cache, items, COUNT(items), LCKV_PREFILL_AUTO));
    ck_assert_mem_eq(last, all + (size_t)(N_TOKENS - 1) * N_VOCAB, sizeof last);
    ck_assert_mem_eq(second, all + (size_t)40 * N_VOCAB, sizeof last);
    free(all);
    for (size_t i = 0; i < COUNT(sessions); i++)
        lckv_session_release(sessions[i]);
    lckv_cache_release(cache);
    lckv_model_release(model);
}
END_TEST

/* The root of the mean square of the error of a model that is converted to another type. */
static double error_in(lckv_dtype dtype, uint32_t packed)
{
    lckv_model *model = convert_and_open(
        fixture, (lckv_convert_options){.dtype = dtype, .packed = packed}, "lckv-gemma3n");
    float *logits = logits_of(model, tokens, N_TOKENS, N_TOKENS);
    double sum = 0;
    for (size_t k = 0; k < N_LOGITS; k++)
        sum += pow((double)logits[k] - (double)expected[k], 2);
    free(logits);
    lckv_model_release(model);
    return sqrt(sum / N_LOGITS);
}

/* Eight bits with a scale for 32 numbers cost little. */
START_TEST(eight_bits_cost_little)
{
    const double in_q8_0 = error_in(LCKV_DTYPE_Q8_0, 0), in_q4_0 = error_in(LCKV_DTYPE_Q4_0, 0);
    ck_assert_double_lt(error_in(LCKV_DTYPE_F32, 0), 1e-4);
    ck_assert_double_lt(error_in(LCKV_DTYPE_F16, 0), 0.01);
    ck_assert_double_lt(in_q8_0, 0.2);
    ck_assert_double_lt(in_q8_0, in_q4_0 / 4);
    ck_assert_double_eq(error_in(LCKV_DTYPE_Q8_0, 1), in_q8_0);
    ck_assert_double_eq(error_in(LCKV_DTYPE_Q4_0, 1), in_q4_0);
}
END_TEST

/* Cyclic groups begin again with all streams; after as many iterations as tokens all is exact. */
START_TEST(streams_are_kept_over_iterations)
{
    enum { N = 12 };
    lckv_model *model = convert_and_open(
        fixture, (lckv_convert_options){.plan = "0s_3_2s_3_2s_3", .init = LCKV_CONVERT_COPY},
        "lckv-gemma3n");
    float *logits[2];
    for (int i = 0; i < 2; i++) {
        lckv_evaluate_options options = {
            .size = sizeof options,
            .prefill = i == 0 ? LCKV_PREFILL_EXACT : LCKV_PREFILL_ITERATED,
            .forward_passes = i == 0 ? 0 : N,
        };
        logits[i] = calloc((size_t)N * N_VOCAB, sizeof(float));
        ck_assert_ptr_nonnull(logits[i]);
        lckv_cache *cache =
            make_cache(model, (lckv_cache_options){.kv_dtype = LCKV_DTYPE_F32, .n_threads = 2});
        lckv_session *session = make_session(cache);
        const lckv_item item = make_item(session, tokens, N, logits[i], N_VOCAB);
        ck_assert_ok(lckv_evaluate(cache, &item, sizeof item, 1, &options, NULL));
        lckv_session_release(session);
        lckv_cache_release(cache);
    }
    for (size_t k = 0; k < (size_t)N * N_VOCAB; k++)
        ck_assert_float_eq_tol(logits[1][k], logits[0][k], 1e-4f);
    free(logits[0]);
    free(logits[1]);
    lckv_model_release(model);
}
END_TEST

/* The logits of the last of many tokens and of one more, if a pass takes up to `max_rows`. */
static void logits_of_many(const lckv_model *model, uint32_t max_rows, float *logits)
{
    enum { N = 240 };
    lckv_token many[N];
    for (size_t i = 0; i < N; i++)
        many[i] = tokens[i % N_TOKENS];
    lckv_evaluate_options options = {
        .size = sizeof options, .prefill = LCKV_PREFILL_ITERATED, .forward_passes = 2};
    lckv_cache *cache = make_cache(
        model, (lckv_cache_options){.n_tokens = 2 * N, .max_rows = max_rows, .n_threads = 2});
    lckv_session *session = make_session(cache);
    lckv_item item = make_item(session, many, N, logits, N_VOCAB);
    item.want = LCKV_WANT_LAST;
    ck_assert_ok(lckv_evaluate(cache, &item, sizeof item, 1, &options, NULL));
    item = make_item(session, many, 1, logits + N_VOCAB, N_VOCAB);
    ck_assert_ok(run(cache, &item, 1, LCKV_PREFILL_AUTO));
    lckv_session_release(session);
    lckv_cache_release(cache);
}

/* Rounded rows lie as close as one stream is wide, and leave what lies behind them alone. */
START_TEST(as_many_rows_as_there_is_room_for_give_the_same)
{
    static const lckv_dtype dtypes[] = {LCKV_DTYPE_Q8_0, LCKV_DTYPE_BF16};
    char path[FOLDER_PATH];
    for (size_t i = 0; i < COUNT(dtypes); i++) {
        lckv_convert_options options = {.size = sizeof options,
                                        .dtype = dtypes[i],
                                        .plan = "0s_3_2s_3_2s_3",
                                        .init = LCKV_CONVERT_COPY};
        ck_assert_ok(
            lckv_convert(path_of(fixture, ""), folder_join(path, "model.gguf"), &options, NULL));
        lckv_model *model = open_model(path, (lckv_model_options){.gemm = LCKV_GEMM_OWN});
        float few[2 * N_VOCAB], many[2 * N_VOCAB];
        logits_of_many(model, 240, few);
        logits_of_many(model, 2048, many);
        ck_assert_mem_eq(few, many, sizeof few);
        lckv_model_release(model);
    }
}
END_TEST

/* That so many layers share is taken for granted only where no member says which. */
START_TEST(listed_sources_count_before_what_is_usual)
{
    static const char from[] = "\"num_kv_shared_layers\": 2,";
    ck_assert_ok(open_changed(fixture, from, "\"kv_source_layers\": [0, 1, 2, 3, 2, 3],"));
    ck_assert_int_eq(open_changed(fixture, from, ""), LCKV_BAD_PLAN);
    ck_assert_error_has("num_kv_shared_layers (by default) is 15");
}
END_TEST

/* GGUF files of models without windows say so, and open. */
START_TEST(models_without_windows_can_be_converted)
{
    static const char from[] = "\"sliding_attention\",\n    \"sliding_attention\",\n    "
                               "\"sliding_attention\",\n    \"full_attention\",\n    "
                               "\"sliding_attention\",\n    \"full_attention\"";
    static const char to[] =
        "\"full_attention\", \"full_attention\", \"full_attention\", \"full_attention\", "
        "\"full_attention\", \"full_attention\"";
    char source[FOLDER_PATH], path[FOLDER_PATH];
    ck_assert_ok(open_changed(fixture, from, to));
    ck_assert_ok(lckv_convert(folder_join(source, ""), folder_join(path, "full.gguf"), NULL, NULL));
    lckv_model *models[] = {open_full(source), open_full(path)};
    float *logits[2];
    for (int i = 0; i < 2; i++)
        logits[i] = logits_of(models[i], tokens, N_TOKENS, N_TOKENS);
    for (size_t k = 0; k < N_LOGITS; k++)
        ck_assert_float_eq_tol(logits[1][k], logits[0][k], 1e-4f);
    for (int i = 0; i < 2; i++) {
        free(logits[i]);
        lckv_model_release(models[i]);
    }
}
END_TEST

/* A scale that config.json switches off is one of ones in GGUF files. */
START_TEST(corrections_may_stay_unscaled)
{
    char path[FOLDER_PATH], converted[FOLDER_PATH];
    ck_assert_ok(
        open_changed(fixture, "\"altup_correct_scale\": true", "\"altup_correct_scale\": false"));
    lckv_model *models[2] = {open_full(folder_join(path, "")), NULL};
    lckv_convert_options options = {.size = sizeof options};
    ck_assert_ok(lckv_convert(path, folder_join(converted, "model.gguf"), &options, NULL));
    models[1] = open_full(converted);
    uint64_t fingerprints[2];
    float *logits[2];
    for (int i = 0; i < 2; i++) {
        ck_assert_ok(lckv_model_fingerprint(models[i], &fingerprints[i]));
        logits[i] = logits_of(models[i], tokens, N_TOKENS, N_TOKENS);
        lckv_model_release(models[i]);
    }
    ck_assert_uint_eq(fingerprints[0], fingerprints[1]);
    ck_assert_mem_eq(logits[1], logits[0], N_LOGITS * sizeof(float));
    ck_assert_double_gt(most_difference(logits[0], expected), 1e-2);
    free(logits[0]);
    free(logits[1]);
}
END_TEST

/* ---- Files with one thing changed ---- */

/* The first place of `text` in a file; fails the test if there is none. */
static size_t find(const char *bytes, size_t length, const char *text)
{
    const size_t n = strlen(text);
    for (size_t i = 0; i + n <= length; i++) {
        if (memcmp(bytes + i, text, n) == 0)
            return i;
    }
    ck_abort_msg("no \"%s\"", text);
}

/* Writes the weights with one text replaced by another that is as long, beside config.json. */
static const char *with_weights(const char *from, const char *to)
{
    static char path[FOLDER_PATH];
    size_t length;
    char *config = read_whole(path_of(fixture, "/config.json"), NULL);
    char *weights = read_whole(path_of(fixture, "/model.safetensors"), &length);
    ck_assert_uint_eq(strlen(from), strlen(to));
    memcpy(weights + find(weights, length, from), to, strlen(to));
    folder_write_text("config.json", config);
    folder_write("model.safetensors", weights, length);
    free(config);
    free(weights);
    return folder_join(path, "");
}

static const struct {
    const char *from, *to, *message;
} bad_weights[] = {
    {"model.layers.0.altup.modality_router", "model.layers.0.altup.modality_r0uter",
     "model.layers.0.altup.modality_router.weight is missing"},
    {"model.layers.3.altup.router_norm", "model.layers.3.altup.router_n0rm",
     "model.layers.3.altup.router_norm.weight is missing"},
    {"model.layers.5.altup.correct_output_scale", "model.layers.5.altup.correct_output_scal3",
     "model.layers.5.altup.correct_output_scale is missing"},
    {"model.layers.1.laurel.linear_right", "model.layers.1.laurel.linear_rig_t",
     "model.layers.1.laurel.linear_right.weight is missing"},
    {"model.altup_projections.1", "model.altup_projections.7",
     "model.altup_projections.1.weight is missing"},
    {"model.altup_unembed_projections.2", "model.altup_unembed_projections.9",
     "model.altup_unembed_projections.2.weight is missing"},
    {"\"shape\":[16,4]", "\"shape\":[4,16]",
     "altup.prediction_coefs.weight has shape [4, 16]; expected [16, 4]"},
    {"\"shape\":[4,4]", "\"shape\":[16] ",
     "altup.correction_coefs.weight has shape [16]; expected [4, 4]"},
    {"\"shape\":[4,32]", "\"shape\":[32,4]", "has shape [32, 4]; expected ["},
};

START_TEST(weights_must_be_there_and_fit)
{
    lckv_model *model = NULL;
    const char *path = with_weights(bad_weights[_i].from, bad_weights[_i].to);
    ck_assert_int_eq(lckv_model_open(path, NULL, &model), LCKV_BAD_FORMAT);
    ck_assert_error_has(bad_weights[_i].message);
}
END_TEST

/* Writes a GGUF file of the fixture, and gives its bytes. */
static char *converted_bytes(size_t *length, char path[FOLDER_PATH])
{
    lckv_convert_options options = {.size = sizeof options, .dtype = LCKV_DTYPE_F16};
    ck_assert_ok(
        lckv_convert(path_of(fixture, ""), folder_join(path, "model.gguf"), &options, NULL));
    return read_whole(path, length);
}

/* As other programs have them: one tensor of three dimensions for all streams. */
START_TEST(matrices_of_streams_are_stacked_in_gguf_files)
{
    static const char *const names[] = {"altup_proj.weight", "altup_unembd_proj.weight"};
    static const uint64_t shape[] = {32, 32, 3};
    char path[FOLDER_PATH];
    size_t length;
    char *bytes = converted_bytes(&length, path);
    for (size_t i = 0; i < COUNT(names); i++) {
        const size_t at = find(bytes, length, names[i]) + strlen(names[i]);
        uint32_t n_dims;
        memcpy(&n_dims, bytes + at, sizeof n_dims);
        ck_assert_uint_eq(n_dims, 3);
        ck_assert_mem_eq(bytes + at + sizeof n_dims, shape, sizeof shape);
    }
    free(bytes);
}
END_TEST

static const struct {
    const char *name; /* of a tensor */
    int dimension;    /* -1: it gets another name; else it has so many numbers more there */
    int more;
    const char *message;
} bad_tensors[] = {
    {"altup_proj.weight", -1, 0, "tensor altup_proj.0.weight is missing"},
    {"altup_unembd_proj.weight", -1, 0, "tensor altup_unembd_proj.0.weight is missing"},
    {"altup_proj.weight", 2, -1, "three, [3, 32, 32]"},
    {"altup_unembd_proj.weight", 1, -1, "three, [3, 32, 32]"},
    {"blk.0.laurel_l.weight", -1, 0, "tensor blk.0.laurel_l.weight is missing"},
    {"blk.0.laurel_l.weight", 1, -1, "shape [32, 5]; expected [32, 4]"},
    {"blk.2.altup_predict_coef.weight", 1, -1, "shape [15, 4]; expected [16, 4]"},
    {"blk.2.altup_correct_coef.weight", 0, -1, "shape [4, 3]; expected [4, 4]"},
    {"per_layer_token_embd.weight", 1, -7, "shape [90, 24]; expected [97, 24]"},
};

START_TEST(tensors_of_gguf_files_must_fit)
{
    char path[FOLDER_PATH];
    size_t length;
    char *bytes = converted_bytes(&length, path);
    const char *name = bad_tensors[_i].name;
    char *at = bytes + find(bytes, length, name);
    if (bad_tensors[_i].dimension < 0) {
        at[0] = 'z';
    } else {
        uint64_t size;
        at += strlen(name) + sizeof(uint32_t) + (size_t)bad_tensors[_i].dimension * sizeof size;
        memcpy(&size, at, sizeof size);
        size = (uint64_t)((int64_t)size + bad_tensors[_i].more);
        memcpy(at, &size, sizeof size);
    }
    folder_write("model.gguf", bytes, length);
    free(bytes);
    lckv_model *model = NULL;
    ck_assert_int_eq(lckv_model_open(path, NULL, &model), LCKV_BAD_FORMAT);
    ck_assert_error_has(bad_tensors[_i].message);
}
END_TEST

/* ---- Keys and values that nobody reads ---- */

static size_t n_named;

static void count_named(void *user, const char *message, size_t length)
{
    (void)user;
    (void)length;
    n_named += strstr(message, "model.layers.3.self_attn.") != NULL;
}

/*
 * Released files have keys and values of layers that share those of others; here a layer of the
 * fixture is made to be one.
 */
START_TEST(dead_keys_and_values_are_named_and_not_used)
{
    char path[FOLDER_PATH];
    lckv_model_options options = {.size = sizeof options, .log = count_named};
    ck_assert_ok(open_changed(fixture, "\"num_kv_shared_layers\": 2",
                              "\"kv_source_layers\": [0, 1, 2, 0, 2, 0], \"num_kv_shared_layers\": "
                              "0"));
    lckv_model *model = NULL;
    n_named = 0;
    ck_assert_ok(lckv_model_open(folder_join(path, ""), &options, &model));
    ck_assert_uint_eq(n_named, 3);
    lckv_model_release(model);
}
END_TEST

/* ---- Memory that runs out ---- */

START_TEST(every_allocation_may_fail)
{
    char path[FOLDER_PATH];
    struct counting counting = {.n_allowed = 0};
    const lckv_allocator allocator = counting_allocator(&counting);
    lckv_convert_options convert = {.size = sizeof convert, .allocator = &allocator};
    lckv_status status = LCKV_OUT_OF_MEMORY;
    folder_join(path, "model.gguf");
    for (size_t n = 0; status != LCKV_OK; n++) {
        counting.n_allowed = n;
        status = lckv_convert(path_of(fixture, ""), path, &convert, NULL);
        ck_assert(status == LCKV_OK || status == LCKV_OUT_OF_MEMORY);
        ck_assert_uint_eq(counting.out, 0);
    }
    lckv_model_options open = {.size = sizeof open, .allocator = &allocator};
    lckv_model *model = NULL;
    status = LCKV_OUT_OF_MEMORY;
    for (size_t n = 0; status != LCKV_OK; n++) {
        counting.n_allowed = n;
        status = lckv_model_open(path, &open, &model);
        ck_assert(status == LCKV_OK || status == LCKV_OUT_OF_MEMORY);
        ck_assert(status == LCKV_OK || counting.out == 0);
    }
    counting.n_allowed = SIZE_MAX;
    lckv_model_release(model);
    ck_assert_uint_eq(counting.out, 0);
}
END_TEST

static void add_gemma3n(Suite *suite)
{
    TCase *tcase = tcase_create("gemma3n");
    tcase_add_checked_fixture(tcase, begin, end);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, the_last_logits_alone_are_the_same);
    tcase_add_test(tcase, eight_bits_cost_little);
    tcase_add_test(tcase, streams_are_kept_over_iterations);
    tcase_add_test(tcase, as_many_rows_as_there_is_room_for_give_the_same);
    tcase_add_test(tcase, listed_sources_count_before_what_is_usual);
    tcase_add_test(tcase, models_without_windows_can_be_converted);
    tcase_add_test(tcase, corrections_may_stay_unscaled);
    tcase_add_loop_test(tcase, weights_must_be_there_and_fit, 0, COUNT(bad_weights));
    tcase_add_test(tcase, matrices_of_streams_are_stacked_in_gguf_files);
    tcase_add_loop_test(tcase, tensors_of_gguf_files_must_fit, 0, COUNT(bad_tensors));
    tcase_add_test(tcase, dead_keys_and_values_are_named_and_not_used);
    tcase_add_test(tcase, every_allocation_may_fail);
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("gemma3n", add_gemma3n)
