/*
 * Models of other architectures than llama give the logits of transformers, from a Hugging Face
 * directory and from a GGUF file. They run under the kernel set that LCKV_CPU names.
 */
#include "architectures.h"

START_TEST(logits_are_those_of_transformers)
{
    struct safetensors golden;
    safetensors_open(&golden, path_of(_i, "/golden.safetensors"));
    const struct safetensors_array *tokens = safetensors_find(&golden, "tokens");
    const struct safetensors_array *expected = safetensors_find(&golden, "logits");
    const size_t chunks[] = {tokens->n_elements, 1, 7};
    lckv_model *model = open_full(path_of(_i, ""));
    for (size_t c = 0; c < COUNT(chunks); c++) {
        float *logits = logits_of(model, tokens->data, tokens->n_elements, chunks[c]);
        const float *right = expected->data;
        for (size_t i = 0; i < expected->n_elements; i++)
            ck_assert_msg(fabsf(logits[i] - right[i]) < (float)TOLERANCE,
                          "chunks of %zu: logit %zu is %g, expected %g", chunks[c], i,
                          (double)logits[i], (double)right[i]);
        free(logits);
    }
    lckv_model_release(model);
    safetensors_close(&golden);
}
END_TEST

/* Files as llama.cpp writes them, in which q, k and v are one tensor, and gate and up. */
START_TEST(fused_gguf_files_have_the_same_bits)
{
    struct safetensors golden;
    safetensors_open(&golden, "tests/data/architectures/phi3-longrope/golden.safetensors");
    const struct safetensors_array *tokens = safetensors_find(&golden, "tokens");
    const size_t n = tokens->n_elements;
    lckv_model *models[] = {
        open_full("tests/data/architectures/phi3-longrope"),
        open_full("tests/data/architectures/phi3-longrope/fused.gguf"),
    };
    ck_assert_str_eq(info_of(models[1]).architecture, "phi3");
    ck_assert_uint_eq(info_of(models[0]).context_length, 64);
    ck_assert_uint_eq(info_of(models[1]).context_length, 64);
    float *expected = logits_of(models[0], tokens->data, n, n);
    float *logits = logits_of(models[1], tokens->data, n, n);
    ck_assert_mem_eq(logits, expected, n * info_of(models[0]).n_vocab * sizeof *logits);
    free(expected);
    free(logits);
    lckv_model_release(models[0]);
    lckv_model_release(models[1]);
    safetensors_close(&golden);
}
END_TEST

START_TEST(gguf_files_have_the_same_bits)
{
    struct safetensors golden;
    char own_name[64];
    safetensors_open(&golden, path_of(_i, "/golden.safetensors"));
    const struct safetensors_array *tokens = safetensors_find(&golden, "tokens");
    const size_t n = tokens->n_elements;
    const char *architecture = fixtures[_i].architecture;
    const bool is_own = strncmp(architecture, "lckv-", 5) == 0; /* it has windows */
    snprintf(own_name, sizeof own_name, "%s%s", is_own ? "" : "lckv-", architecture);
    lckv_model *models[] = {
        open_full(path_of(_i, "")),
        convert_and_open(_i, (lckv_convert_options){0}, architecture),
        convert_and_open(_i, (lckv_convert_options){.packed = 1}, architecture),
        convert_and_open(_i, (lckv_convert_options){.dtype = LCKV_DTYPE_F32}, architecture),
    };
    uint64_t fingerprints[2];
    for (size_t m = 0; m < 2; m++)
        ck_assert_ok(lckv_model_fingerprint(models[m], &fingerprints[m]));
    ck_assert(fingerprints[0] == fingerprints[1]);
    float *expected = logits_of(models[0], tokens->data, n, n);
    for (size_t m = 0; m < COUNT(models); m++) {
        const size_t n_bytes = n * info_of(models[m]).n_vocab * sizeof *expected;
        float *logits = logits_of(models[m], tokens->data, n, n);
        ck_assert_mem_eq(logits, expected, n_bytes);
        free(logits);
        lckv_model_release(models[m]);
    }
    lckv_model_release(convert_and_open(_i,
                                        (lckv_convert_options){.plan = fixtures[_i].plan,
                                                               .init = LCKV_CONVERT_COPY,
                                                               .sliding_window = 9},
                                        own_name));
    free(expected);
    safetensors_close(&golden);
}
END_TEST

/* Which layers do not rotate: a list says it, or an interval, or what is usual. */
static const struct {
    const char *from, *to;
} unrotated[] = {
    {"\"no_rope_layers\": [\n    1,\n    1,\n    1,\n    0,\n    1\n  ],\n", ""},
    {"\"no_rope_layer_interval\": 4,\n  \"no_rope_layers\": [\n    1,\n    1,\n    1,\n    0,\n"
     "    1\n  ],\n",
     ""},
};

START_TEST(an_interval_says_the_same_as_a_list)
{
    char path[FOLDER_PATH];
    struct safetensors golden;
    const int i = fixture_of("smollm3");
    ck_assert_ok(open_changed(i, unrotated[_i].from, unrotated[_i].to));
    safetensors_open(&golden, path_of(i, "/golden.safetensors"));
    const struct safetensors_array *tokens = safetensors_find(&golden, "tokens");
    lckv_model *listed = open_full(path_of(i, "")), *model = open_full(folder_join(path, ""));
    float *expected = logits_of(listed, tokens->data, tokens->n_elements, tokens->n_elements);
    float *logits = logits_of(model, tokens->data, tokens->n_elements, tokens->n_elements);
    ck_assert_mem_eq(logits, expected,
                     tokens->n_elements * info_of(model).n_vocab * sizeof *logits);
    free(expected);
    free(logits);
    lckv_model_release(listed);
    lckv_model_release(model);
    safetensors_close(&golden);
}
END_TEST

/* Layers that lose their window rotate as before, which shows in texts shorter than the window. */
START_TEST(rotation_stays_when_windows_go)
{
    const int i = fixture_of("gemma3");
    enum { N = 9 };
    lckv_token tokens[N];
    fill_tokens(tokens, N);
    for (size_t t = 0; t < N; t++)
        tokens[t] %= 97;
    lckv_model *windowed = open_full(path_of(i, ""));
    lckv_model *full = convert_and_open(
        i, (lckv_convert_options){.plan = "0_1_2", .init = LCKV_CONVERT_COPY}, "gemma3");
    lckv_model *moved = convert_and_open(
        i,
        (lckv_convert_options){.plan = "0_1s_2s", .sliding_window = N, .init = LCKV_CONVERT_COPY},
        "lckv-gemma3");
    float *expected = logits_of(windowed, tokens, N, N);
    float *of_full = logits_of(full, tokens, N, 1), *of_moved = logits_of(moved, tokens, N, N);
    ck_assert_mem_eq(of_full, expected, N * 97 * sizeof *expected);
    ck_assert_mem_eq(of_moved, expected, N * 97 * sizeof *expected);
    free(expected);
    free(of_full);
    free(of_moved);
    lckv_model_release(windowed);
    lckv_model_release(full);
    lckv_model_release(moved);
}
END_TEST

static const struct {
    const char *folder, *from, *to, *message;
    lckv_status status;
} bad_configs[] = {
    {"qwen3", "\"qwen3\"", "\"llama\"", "_norm.weight\" is not supported", LCKV_UNSUPPORTED},
    {"qwen2", "\"qwen2\"", "\"qwen3\"", "q_norm.weight is missing", LCKV_BAD_FORMAT},
    {"qwen3", "\"qwen3\"", "\"qwen2\"", "is not supported", LCKV_UNSUPPORTED},
    {"qwen2", "\"silu\"", "\"gelu\"", "expected silu", LCKV_UNSUPPORTED},
    {"gemma3", "\"gelu_pytorch_tanh\"", "\"silu\"", "expected gelu_pytorch_tanh", LCKV_UNSUPPORTED},
    {"gemma4-keys", "\"layer_types\"", "\"lost\"", "layer_types; expected a list of 10",
     LCKV_BAD_FORMAT},
    {"gemma3", "\"sliding_attention\": {", "\"lost\": {", "no sliding_attention", LCKV_BAD_FORMAT},
    {"gemma3", "\"final_logit_softcapping\": 6.0", "\"final_logit_softcapping\": -6.0",
     "a scale of the configuration is -6", LCKV_BAD_FORMAT},
    {"granite", "\"residual_multiplier\": 0.7", "\"residual_multiplier\": \"0.7\"",
     "residual_multiplier", LCKV_BAD_FORMAT},
    {"smollm3", "\"no_rope_layers\": [\n    1", "\"no_rope_layers\": [\n    1, 1", "no_rope_layers",
     LCKV_BAD_FORMAT},
    {"smollm3", "\"smollm3\"", "\"llama\"", "no_rope_layer_interval is given", LCKV_UNSUPPORTED},
    {"smollm3", "\"use_sliding_window\": false", "\"use_sliding_window\": true",
     "use_sliding_window is given", LCKV_UNSUPPORTED},
    {"qwen3-yarn", "\"rope_type\"", "\"truncate\": false, \"rope_type\"", "truncate is false",
     LCKV_UNSUPPORTED},
    {"qwen3-yarn", "\"rope_parameters\"",
     "\"original_max_position_embeddings\": 64, \"rope_parameters\"", "is 64, and 32 in",
     LCKV_UNSUPPORTED},
    {"qwen3-yarn", "\"attention_factor\": 1.3", "\"attention_factor\": 0", "attention factor is 0",
     LCKV_BAD_FORMAT},
    {"qwen3-yarn", "\"factor\": 8.0", "\"fact\": 8.0", "factor is missing", LCKV_BAD_FORMAT},
    {"llama-linear", "\"linear\"", "\"novel\"", "expected default, linear, dynamic, llama3",
     LCKV_UNSUPPORTED},
    {"llama-longrope", "\"short_factor\": [", "\"short_factor\": [1, ", "list of 8 numbers",
     LCKV_BAD_FORMAT},
    {"llama-longrope", "\"long_factor\": [", "\"long_factor\": [0, ", "list of 8 numbers",
     LCKV_BAD_FORMAT},
    {"llama-longrope", "1.25", "-1", "short_factor: entry 1", LCKV_BAD_FORMAT},
    {"llama-longrope", "\"original_max_position_embeddings\": 64",
     "\"original_max_position_embeddings\": 1e12", "is 1e+12", LCKV_BAD_FORMAT},
    {"llama-longrope", "\"original_max_position_embeddings\": 64",
     "\"original_max_position_embeddings\": 64.5", "whole number", LCKV_BAD_FORMAT},
    {"phi3", "\"num_key_value_heads\": 2", "\"num_key_value_heads\": 4",
     "qkv_proj.weight\" has 64 rows; expected 96", LCKV_BAD_FORMAT},
    {"phi3", "\"phi3\"", "\"llama\"", "k_proj.weight is missing", LCKV_BAD_PLAN},
    {"phi3-longrope", "\"partial_rotary_factor\": 0.75", "\"partial_rotary_factor\": 0.7",
     "11 of 16 elements", LCKV_BAD_FORMAT},
    {"phi3-longrope", "\"partial_rotary_factor\": 0.75", "\"partial_rotary_factor\": 2",
     "at most 1", LCKV_BAD_FORMAT},
    {"granite", "\"granite\"", "\"llama\"", "attention_multiplier is 0.5; expected",
     LCKV_UNSUPPORTED},
    {"gemma4-keys", "\"enable_moe_block\": false", "\"enable_moe_block\": true",
     "enable_moe_block: the model has experts", LCKV_UNSUPPORTED},
    {"gemma4-keys", "\"global_head_dim\": 32", "\"global_head_dim\": 64", "q_proj.weight has shape",
     LCKV_BAD_FORMAT},
    {"gemma4-keys", "\"global_head_dim\": 32,", "", "expected [2048, 48]", LCKV_BAD_FORMAT},
    {"gemma4-keys", "\"attention_k_eq_v\": true", "\"attention_k_eq_v\": false",
     "layers.4.self_attn.v_proj.weight is missing", LCKV_BAD_PLAN},
    {"gemma4-keys", "\"partial_rotary_factor\": 0.25", "\"partial_rotary_factor\": 2",
     "partial_rotary_factor is 2", LCKV_BAD_FORMAT},
    {"gemma4-keys", "\"rope_type\": \"proportional\"", "\"rope_type\": \"default\"",
     "partial_rotary_factor is 0.25", LCKV_UNSUPPORTED},
    {"gemma4-keys", "\"attention_dropout\"",
     "\"use_bidirectional_attention\": \"all\", \"attention_dropout\"",
     "use_bidirectional_attention is given", LCKV_UNSUPPORTED},
    {"gemma4-inputs", "\"use_double_wide_mlp\": true", "\"use_double_wide_mlp\": false",
     "layers.5.mlp.gate_proj.weight has shape [160, 48]; expected [80, 48]", LCKV_BAD_FORMAT},
    {"gemma4-inputs", "\"vocab_size_per_layer_input\": 97", "\"vocab_size_per_layer_input\": 98",
     "vocab_size_per_layer_input is 98; expected vocab_size, 97", LCKV_UNSUPPORTED},
    {"gemma4-inputs", "\"hidden_size_per_layer_input\": 8", "\"hidden_size_per_layer_input\": 16",
     "has shape [97, 80]; expected [97, 160]", LCKV_BAD_FORMAT},
    {"gemma3n", "\"altup_num_inputs\": 4", "\"altup_num_inputs\": 2",
     "altup_num_inputs is 2; expected 4", LCKV_UNSUPPORTED},
    {"gemma3n", "\"altup_active_idx\": 0", "\"altup_active_idx\": 1",
     "altup_active_idx is 1; expected 0", LCKV_UNSUPPORTED},
    {"gemma3n", "0.8,", "0.8, 0.8,", "activation_sparsity_pattern has 7 entries; expected 6",
     LCKV_BAD_FORMAT},
    {"gemma3n", "0.8,", "1.0,", "entry 0; expected a number from 0 to less than 1",
     LCKV_BAD_FORMAT},
    {"gemma3n", "\"laurel_rank\": 5", "\"laurel_rank\": 6",
     "laurel.linear_left.weight has shape [5, 32]; expected [6, 32]", LCKV_BAD_FORMAT},
    {"gemma3n", "\"laurel_rank\": 5", "\"laurel_rank\": 0", "laurel_rank is 0", LCKV_BAD_FORMAT},
    {"gemma3n", "\"laurel_rank\": 5", "\"laurel_rank\": 4294967295", "rank of Laurel is 4294967295",
     LCKV_BAD_FORMAT},
    {"gemma3n", "\"hidden_size_per_layer_input\": 4", "\"hidden_size_per_layer_input\": 0",
     "embeddings is 0", LCKV_BAD_FORMAT},
    {"gemma3n", "\"vocab_size_per_layer_input\": 90", "\"vocab_size_per_layer_input\": 98",
     "vocab_size_per_layer_input is 98; expected 1 to vocab_size, 97", LCKV_UNSUPPORTED},
    {"gemma3n", "\"vocab_size_per_layer_input\": 90", "\"vocab_size_per_layer_input\": 0",
     "vocab_size_per_layer_input is 0; expected 1 to", LCKV_UNSUPPORTED},
    {"gemma3n", "\"vocab_size_per_layer_input\": 90", "\"vocab_size_per_layer_input\": 89",
     "has shape [90, 24]; expected [89, 24]", LCKV_BAD_FORMAT},
    {"qwen3", "\"head_dim\": ", "\"laurel_rank\": 64, \"head_dim\": ", "laurel_rank is given",
     LCKV_UNSUPPORTED},
    {"gemma3", "\"head_dim\": ", "\"global_head_dim\": 8, \"head_dim\": ",
     "global_head_dim is given", LCKV_UNSUPPORTED},
    {"qwen3", "\"head_dim\": ", "\"hidden_size_per_layer_input\": 8, \"head_dim\": ",
     "hidden_size_per_layer_input is given", LCKV_UNSUPPORTED},
};

START_TEST(configurations_that_do_not_fit_are_refused)
{
    ck_assert_int_eq(
        open_changed(fixture_of(bad_configs[_i].folder), bad_configs[_i].from, bad_configs[_i].to),
        bad_configs[_i].status);
    ck_assert_error_has(bad_configs[_i].message);
}
END_TEST

static const struct {
    const char *from, *to;
    uint32_t window;
} mistral_windows[] = {
    {"\"sliding_window\": 11", "\"sliding_window\": 11", 11},
    {"\"sliding_window\": 11", "\"sliding_window\": 255", 255},
    {"\"sliding_window\": 11", "\"sliding_window\": 256", 0}, /* max_position_embeddings */
    {"\"sliding_window\": 11", "\"sliding_window\": null", 0},
    {"\"sliding_window\": 11,\n", "\n", 0}, /* 4096, which is longer than 256 */
    {"\"max_position_embeddings\": 256", "\"max_position_embeddings\": 8192", 11},
    {"\"max_position_embeddings\": 256", "\"layer_types\": \"0_1_2\"", 0},
};

START_TEST(all_layers_of_mistral_have_its_window)
{
    char path[FOLDER_PATH];
    ck_assert_ok(
        open_changed(fixture_of("mistral"), mistral_windows[_i].from, mistral_windows[_i].to));
    lckv_model *model = open_full(folder_join(path, ""));
    ck_assert_uint_eq(info_of(model).sliding_window, mistral_windows[_i].window);
    lckv_model_release(model);
}
END_TEST

static void add_architectures(Suite *suite)
{
    TCase *tcase = tcase_create("architectures");
    tcase_add_checked_fixture(tcase, folder_make, folder_remove);
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, logits_are_those_of_transformers, 0, N_FIXTURES);
    tcase_add_loop_test(tcase, gguf_files_have_the_same_bits, 0, N_FIXTURES);
    tcase_add_test(tcase, fused_gguf_files_have_the_same_bits);
    tcase_add_loop_test(tcase, an_interval_says_the_same_as_a_list, 0, COUNT(unrotated));
    tcase_add_test(tcase, rotation_stays_when_windows_go);
    tcase_add_loop_test(tcase, all_layers_of_mistral_have_its_window, 0, COUNT(mistral_windows));
    tcase_add_loop_test(tcase, configurations_that_do_not_fit_are_refused, 0, COUNT(bad_configs));
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("architectures", add_architectures)
