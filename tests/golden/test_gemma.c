/*
 * What only models like Gemma have: a table of embeddings for each layer, which stays in the
 * file, layers that compute no keys and values of their own, and others whose values are keys.
 */
#include "architectures.h"

#include <unistd.h>

#define N_TOKENS 23
#define N_VOCAB 97

struct golden {
    struct safetensors file;
    const lckv_token *tokens;
    const float *logits;
};

static struct golden open_golden_logits(const char *name)
{
    struct golden golden;
    safetensors_open(&golden.file, path_of(fixture_of(name), "/golden.safetensors"));
    golden.tokens = safetensors_find(&golden.file, "tokens")->data;
    golden.logits = safetensors_find(&golden.file, "logits")->data;
    return golden;
}

static const char *const folders[] = {"gemma4-inputs", "gemma4-keys"};

/* The layers above the last slot compute only the rows of which something is wanted. */
START_TEST(the_last_logits_alone_are_the_same)
{
    struct golden golden = open_golden_logits(folders[_i]);
    lckv_model *model = open_full(path_of(fixture_of(folders[_i]), ""));
    float *all = logits_of(model, golden.tokens, N_TOKENS, N_TOKENS);
    float last[N_VOCAB];
    lckv_cache *cache =
        make_cache(model, (lckv_cache_options){.kv_dtype = LCKV_DTYPE_F32, .n_threads = 2});
    lckv_session *session = make_session(cache);
    lckv_item item = make_item(session, golden.tokens, N_TOKENS, last, N_VOCAB);
    item.want = LCKV_WANT_LAST;
    ck_assert_ok(run(cache, &item, 1, LCKV_PREFILL_AUTO));
    ck_assert_mem_eq(last, all + (size_t)(N_TOKENS - 1) * N_VOCAB, sizeof last);
    free(all);
    lckv_session_release(session);
    lckv_cache_release(cache);
    lckv_model_release(model);
    safetensors_close(&golden.file);
}
END_TEST

/* The root of the mean square of the error of a model that is converted to another type. */
static double error_in(int i, lckv_dtype dtype, const struct golden *golden)
{
    lckv_model *model =
        convert_and_open(i, (lckv_convert_options){.dtype = dtype}, fixtures[i].architecture);
    float *logits = logits_of(model, golden->tokens, N_TOKENS, N_TOKENS);
    double sum = 0;
    for (size_t k = 0; k < (size_t)N_TOKENS * N_VOCAB; k++)
        sum += pow((double)logits[k] - (double)golden->logits[k], 2);
    free(logits);
    lckv_model_release(model);
    return sqrt(sum / (N_TOKENS * N_VOCAB));
}

/* Eight bits with a scale for 32 numbers cost about as much as the eight bits of bfloat16. */
START_TEST(eight_bits_cost_little)
{
    const int i = fixture_of(folders[_i]);
    struct golden golden = open_golden_logits(folders[_i]);
    const double in_q8_0 = error_in(i, LCKV_DTYPE_Q8_0, &golden);
    ck_assert_double_lt(error_in(i, LCKV_DTYPE_F32, &golden), 1e-4);
    ck_assert_double_lt(in_q8_0, 1.5 * error_in(i, LCKV_DTYPE_BF16, &golden));
    ck_assert_double_lt(in_q8_0, 0.15);
    safetensors_close(&golden.file);
}
END_TEST

/* The table is used in the file, or from memory, with the same result. Then the file may go. */
START_TEST(a_table_in_memory_gives_the_same_logits)
{
    struct golden golden = open_golden_logits("gemma4-inputs");
    const int i = fixture_of("gemma4-inputs");
    char path[FOLDER_PATH], second[FOLDER_PATH];
    size_t length;
    lckv_model *mapped = convert_and_open(i, (lckv_convert_options){.packed = 1}, "gemma4");
    const lckv_model_options copied = {
        .precision = LCKV_PRECISION_FULL, .gemm = LCKV_GEMM_OWN, .weights = LCKV_WEIGHTS_COPIED};
    char *bytes = read_whole(folder_join(path, "model.gguf"), &length);
    folder_write("second.gguf", bytes, length);
    lckv_model *in_memory = open_model(folder_join(second, "second.gguf"), copied);
    ck_assert_int_eq(truncate(second, 0), 0);
    free(bytes);
    float *expected = logits_of(mapped, golden.tokens, N_TOKENS, N_TOKENS);
    float *logits = logits_of(in_memory, golden.tokens, N_TOKENS, N_TOKENS);
    ck_assert_mem_eq(logits, expected, (size_t)N_TOKENS * N_VOCAB * sizeof *logits);
    ck_assert_uint_eq(info_of(mapped).weight_bytes, info_of(in_memory).weight_bytes);
    ck_assert_uint_lt(info_of(mapped).decode_bytes + 97 * 80 * sizeof(float),
                      info_of(mapped).weight_bytes + 1);
    ck_assert_int_eq(info_of(mapped).is_table_mapped, 1);
    ck_assert_int_eq(info_of(in_memory).is_table_mapped, 0);
    ck_assert_uint_eq(info_of(mapped).table_bytes, info_of(in_memory).table_bytes);
    ck_assert_uint_eq(info_of(mapped).weight_bytes - info_of(mapped).table_bytes,
                      info_of(mapped).decode_bytes);
    lckv_model_options without = {.size = sizeof without, .weights = LCKV_WEIGHTS_NONE};
    lckv_model *described = open_model(path, without);
    ck_assert_int_eq(info_of(described).is_table_mapped, 1);
    ck_assert_uint_eq(info_of(described).table_bytes, info_of(mapped).table_bytes);
    ck_assert_ptr_null(info_of(described).problem);
    ck_assert_uint_eq(info_of(described).weight_bytes, info_of(mapped).weight_bytes);
    lckv_model_options streamed = {.size = sizeof streamed, .weights = LCKV_WEIGHTS_STREAMED};
    lckv_model *model = NULL;
    ck_assert_int_eq(lckv_model_open(path, &streamed, &model), LCKV_UNSUPPORTED);
    ck_assert_error_has("cannot be streamed");
    free(expected);
    free(logits);
    lckv_model_release(described);
    lckv_model_release(mapped);
    lckv_model_release(in_memory);
    safetensors_close(&golden.file);
}
END_TEST

/* Older files of Gemma 3 do not list the kinds of layers. */
START_TEST(a_pattern_of_windows_says_the_same_as_a_list)
{
    static const char kinds[] = "\"layer_types\": [\n    \"sliding_attention\",\n    "
                                "\"sliding_attention\",\n    \"full_attention\"\n  ]";
    struct golden golden = open_golden_logits("gemma3");
    char path[FOLDER_PATH];
    ck_assert_ok(open_changed(fixture_of("gemma3"), kinds, "\"sliding_window_pattern\": 3"));
    lckv_model *model = open_full(folder_join(path, ""));
    float *logits = logits_of(model, golden.tokens, 64, 64);
    for (size_t i = 0; i < (size_t)64 * N_VOCAB; i++)
        ck_assert_float_eq_tol(logits[i], golden.logits[i], 1e-3f);
    free(logits);
    lckv_model_release(model);
    safetensors_close(&golden.file);
}
END_TEST

/* Scores of some models are not scaled by head_dim; conversion keeps their scale. */
START_TEST(a_scale_of_queries_is_kept)
{
    struct golden golden = open_golden_logits("gemma3");
    char path[FOLDER_PATH], converted[FOLDER_PATH];
    ck_assert_ok(open_changed(fixture_of("gemma3"), "\"query_pre_attn_scalar\": 16",
                              "\"query_pre_attn_scalar\": 4"));
    lckv_model *scaled = open_full(folder_join(path, ""));
    lckv_convert_options options = {.size = sizeof options};
    ck_assert_ok(lckv_convert(path, folder_join(converted, "model.gguf"), &options, NULL));
    lckv_model *again = open_full(converted);
    float *logits = logits_of(scaled, golden.tokens, 64, 64);
    float *of_again = logits_of(again, golden.tokens, 64, 64);
    ck_assert_mem_eq(of_again, logits, sizeof *logits * 64 * N_VOCAB);
    ck_assert_float_gt(fabsf(logits[5 * N_VOCAB] - golden.logits[5 * N_VOCAB]), 1e-3f);
    free(logits);
    free(of_again);
    lckv_model_release(scaled);
    lckv_model_release(again);
    safetensors_close(&golden.file);
}
END_TEST

/* GGUF has keys for the scaling of one rotation alone. */
START_TEST(scaled_rotations_in_windows_are_not_converted)
{
    static const char plain[] = "\"sliding_attention\": {\n      \"rope_theta\": 10000.0,\n"
                                "      \"rope_type\": \"default\"";
    char converted[FOLDER_PATH];
    ck_assert_ok(open_changed(fixture_of("gemma3"), plain,
                              "\"sliding_attention\": {\"rope_theta\": 10000.0, \"factor\": 2, "
                              "\"rope_type\": \"linear\""));
    lckv_convert_options options = {.size = sizeof options};
    ck_assert_int_eq(lckv_convert(folder, folder_join(converted, "model.gguf"), &options, NULL),
                     LCKV_UNSUPPORTED);
    ck_assert_error_has("layers with a window is scaled");
}
END_TEST

static void add_gemma(Suite *suite)
{
    TCase *tcase = tcase_create("gemma");
    tcase_add_checked_fixture(tcase, folder_make, folder_remove);
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, the_last_logits_alone_are_the_same, 0, COUNT(folders));
    tcase_add_loop_test(tcase, eight_bits_cost_little, 0, COUNT(folders));
    tcase_add_test(tcase, a_table_in_memory_gives_the_same_logits);
    tcase_add_test(tcase, a_pattern_of_windows_says_the_same_as_a_list);
    tcase_add_test(tcase, a_scale_of_queries_is_kept);
    tcase_add_test(tcase, scaled_rotations_in_windows_are_not_converted);
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("gemma", add_gemma)
