/*
 * Hyperparameters of Gemma 3n: what files say, what they may leave out, and under which name a
 * model is written. Also the sums and mixtures that its streams are computed by.
 */
#include "kernels/vectors.h"
#include "model/hparams.h"
#include "support.h"

#include <math.h>
#include <stdio.h>

#define N_LAYERS 30

static struct checkpoint checkpoint;
static const struct remarks no_remarks;

static void begin(void)
{
    lckv_allocator chosen;
    checkpoint = (struct checkpoint){.kind = CHECKPOINT_GGUF, .name = "made"};
    ck_assert_ok(memory_choose(NULL, &chosen));
    arena_init(&checkpoint.arena, &chosen);
    metadata_init(&checkpoint.metadata, &checkpoint.arena);
}

static void end(void)
{
    arena_release(&checkpoint.arena);
}

/* The keys that every file has. */
static void set_shape(void)
{
    static const struct {
        const char *key;
        uint32_t value;
    } counts[] = {
        {"gemma3n.block_count", N_LAYERS},
        {"gemma3n.embedding_length", 64},
        {"gemma3n.feed_forward_length", 128},
        {"gemma3n.attention.head_count", 2},
        {"gemma3n.attention.key_length", 8},
        {"gemma3n.attention.sliding_window", 4},
        {"gemma3n.embedding_length_per_layer_input", 2},
        {"gemma3n.vocab_size", 262400},
    };
    ck_assert_ok(metadata_set_text(&checkpoint.metadata, "general.architecture", "gemma3n", 7));
    ck_assert_ok(
        metadata_set_f32(&checkpoint.metadata, "gemma3n.attention.layer_norm_rms_epsilon", 1e-6f));
    ck_assert_ok(metadata_set_f32(&checkpoint.metadata, "gemma3n.rope.freq_base", 1e6f));
    for (size_t i = 0; i < COUNT(counts); i++)
        ck_assert_ok(metadata_set_u32(&checkpoint.metadata, counts[i].key, counts[i].value));
}

/* "0s_1s_2s_3s_4_5s_...", where layers from n_own on read the last own ones of their kind. */
static const char *expected_plan(uint32_t n_own)
{
    static char text[256];
    size_t used = 0;
    for (uint32_t i = 0; i < N_LAYERS; i++) {
        const bool slides = i % 5 != 4;
        const uint32_t source = i < n_own ? i : n_own - 1 - slides;
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%u%s", i > 0 ? "_" : "",
                                 source, slides ? "s" : "");
    }
    return text;
}

static void check_plan(const struct hparams *h, uint32_t n_own)
{
    const char *expected = expected_plan(n_own);
    ck_assert_uint_eq(h->plan.length, strlen(expected));
    ck_assert_mem_eq(h->plan.bytes, expected, h->plan.length);
}

START_TEST(released_files_may_lack_keys)
{
    struct hparams h;
    set_shape();
    ck_assert_ok(hparams_read(&checkpoint, &h, &no_remarks));
    check_plan(&h, 20);
    for (uint32_t i = 0; i < N_LAYERS; i++)
        ck_assert(h.layers[i].sparsity == (i < 10 ? 1.64485359f : -INFINITY));
    ck_assert_float_eq(h.scales[SCALE_SOFTCAP], 30);
    ck_assert_float_eq(h.scales[SCALE_EMBEDDING], 8);
    ck_assert_double_eq(h.ropes[0].theta, 1e6);
    ck_assert_double_eq(h.ropes[1].theta, 1e4);
    ck_assert_uint_eq(h.n_input_rows, 262400);
    ck_assert_uint_eq(h.n_input_tokens, 262144);
    ck_assert_uint_eq(h.n_side_streams, 3);
}
END_TEST

START_TEST(files_say_what_is_their_own)
{
    struct hparams h;
    float sparsity[N_LAYERS];
    for (int i = 0; i < N_LAYERS; i++)
        sparsity[i] = i == 7 ? 0.25f : -INFINITY;
    set_shape();
    ck_assert_ok(metadata_set_u32(&checkpoint.metadata, "gemma3n.attention.shared_kv_layers", 15));
    ck_assert_ok(metadata_set_f32s(&checkpoint.metadata, "gemma3n.activation_sparsity_scale",
                                   sparsity, N_LAYERS));
    ck_assert_ok(metadata_set_f32(&checkpoint.metadata, "gemma3n.final_logit_softcapping", 12.5f));
    ck_assert_ok(hparams_read(&checkpoint, &h, &no_remarks));
    check_plan(&h, 15);
    for (uint32_t i = 0; i < N_LAYERS; i++)
        ck_assert(h.layers[i].sparsity == sparsity[i]);
    ck_assert_float_eq(h.scales[SCALE_SOFTCAP], 12.5f);
}
END_TEST

static const struct {
    const char *key, *message;
    uint32_t value;
    lckv_status status;
} bad_counts[] = {
    {"gemma3n.altup.num_inputs", "altup_num_inputs is 3; expected 4", 3, LCKV_UNSUPPORTED},
    {"gemma3n.altup.num_inputs", "altup_num_inputs is 4294967295", UINT32_MAX, LCKV_UNSUPPORTED},
    {"gemma3n.altup.active_idx", "altup_active_idx is 4; expected 0", 4, LCKV_UNSUPPORTED},
    {"gemma3n.embedding_length_per_layer_input", "embeddings is 0; expected 1", 0, LCKV_BAD_FORMAT},
    {"gemma3n.attention.shared_kv_layers", "expected less than the number of layers", 30,
     LCKV_BAD_PLAN},
    {"gemma3n.activation_sparsity_scale", "expected an array of 30 f32", 1, LCKV_BAD_FORMAT},
    {"lckv.input_tokens", "lckv.input_tokens is 0; expected 1 to 262400", 0, LCKV_BAD_FORMAT},
    {"lckv.input_tokens", "lckv.input_tokens is 262401", 262401, LCKV_BAD_FORMAT},
};

START_TEST(counts_of_other_models_are_refused)
{
    struct hparams h;
    set_shape();
    ck_assert_ok(metadata_set_u32(&checkpoint.metadata, bad_counts[_i].key, bad_counts[_i].value));
    ck_assert_int_eq(hparams_read(&checkpoint, &h, &no_remarks), bad_counts[_i].status);
    ck_assert_error_has(bad_counts[_i].message);
}
END_TEST

static const float bad_quantiles[] = {NAN, INFINITY, 101, -101};

START_TEST(quantiles_out_of_bounds_are_refused)
{
    struct hparams h;
    float sparsity[N_LAYERS] = {0};
    sparsity[29] = bad_quantiles[_i];
    set_shape();
    ck_assert_ok(metadata_set_f32s(&checkpoint.metadata, "gemma3n.activation_sparsity_scale",
                                   sparsity, N_LAYERS));
    ck_assert_int_eq(hparams_read(&checkpoint, &h, &no_remarks), LCKV_BAD_FORMAT);
    ck_assert_error_has("activation_sparsity_scale: entry 29 is");
}
END_TEST

START_TEST(quantiles_must_be_as_many_as_layers)
{
    struct hparams h;
    const float sparsity[N_LAYERS + 1] = {0};
    set_shape();
    ck_assert_ok(metadata_set_f32s(&checkpoint.metadata, "gemma3n.activation_sparsity_scale",
                                   sparsity, N_LAYERS - 1 + 2 * (size_t)_i));
    ck_assert_int_eq(hparams_read(&checkpoint, &h, &no_remarks), LCKV_BAD_FORMAT);
    ck_assert_error_has("expected an array of 30 f32");
}
END_TEST

/* ---- config.json ---- */

#define CONFIG                                                                                 \
    "{\"model_type\":\"gemma3n_text\",\"vocab_size\":262400,\"hidden_size\":64,"               \
    "\"intermediate_size\":128,\"num_attention_heads\":2,\"head_dim\":8,"                      \
    "\"num_hidden_layers\":5,\"hidden_size_per_layer_input\":2,\"sliding_window\":4,"          \
    "\"sliding_window_pattern\":5,\"num_kv_shared_layers\":0,\"rope_theta\":1e6,\"rope_local_" \
    "base_freq\":1e4,"                                                                         \
    "\"activation_sparsity_pattern\":%s}"

static lckv_status read_config(const char *shares, struct hparams *h)
{
    static char config[1024];
    checkpoint.kind = CHECKPOINT_HF;
    checkpoint.config.bytes = config;
    checkpoint.config.length = (size_t)snprintf(config, sizeof config, CONFIG, shares);
    return hparams_read(&checkpoint, h, &no_remarks);
}

/* As torch.distributions.Normal(0, 1).icdf gives them in float32. */
START_TEST(shares_become_the_quantiles_of_pytorch)
{
    static const float expected[] = {1.64485359f, 1.28155148f, 0.524400473f, -0.674489737f,
                                     -INFINITY};
    struct hparams h;
    ck_assert_ok(read_config("[0.95, 0.9, 0.7, 0.25, 0]", &h));
    for (size_t i = 0; i < COUNT(expected); i++)
        ck_assert_msg(h.layers[i].sparsity == expected[i], "layer %zu: %.9g", i,
                      (double)h.layers[i].sparsity);
    ck_assert_uint_eq(h.n_input_rows, 262144);
    ck_assert_uint_eq(h.laurel_rank, 64);
    ck_assert_ok(read_config("null", &h)); /* fewer layers than are sparse if a file is silent */
    ck_assert(h.layers[0].sparsity == -INFINITY);
}
END_TEST

static const char *const bad_shares[] = {
    "[0.95, 0.9, 0.7, 0.25]",
    "[0.95, 0.9, 0.7, 0.25, 0, 0]",
    "[0.95, 0.9, 0.7, 0.25, 1]",
    "[0.95, 0.9, 0.7, 0.25, -0.1]",
    "[0.95, 0.9, 0.7, 0.25, \"0\"]",
    "0.95",
    "[0.95, 0.9, 0.7, 0.25, 0.9999999999]",
};

START_TEST(other_shares_are_refused)
{
    struct hparams h;
    ck_assert_int_eq(read_config(bad_shares[_i], &h), LCKV_BAD_FORMAT);
    ck_assert_error_has("activation_sparsity_pattern");
}
END_TEST

/* ---- Writing ---- */

static const char *written_name(struct hparams *h)
{
    struct lckv_plan *plan = NULL;
    struct metadata written;
    struct text name = {"", 0};
    static char text[32];
    metadata_init(&written, &checkpoint.arena);
    ck_assert_ok(
        plan_parse(h->plan.bytes, h->plan.length, h->n_layers, &checkpoint.arena.allocator, &plan));
    ck_assert_ok(hparams_to_metadata(h, plan, &written));
    ck_assert_ok(metadata_get_text(&written, "general.architecture", &name, NULL));
    snprintf(text, sizeof text, "%.*s", (int)name.length, name.bytes);
    plan_release(plan);
    return text;
}

/* Other programs take the sharing of layers and the sparsity of Gemma 3n for granted. */
START_TEST(only_what_other_programs_run_has_their_name)
{
    struct hparams h;
    set_shape();
    ck_assert_ok(hparams_read(&checkpoint, &h, &no_remarks));
    ck_assert_str_eq(written_name(&h), "gemma3n");
    const struct text plan = h.plan;
    const char *other = expected_plan(15);
    h.plan = (struct text){other, strlen(other)};
    ck_assert_str_eq(written_name(&h), "lckv-gemma3n");
    other = expected_plan(30);
    h.plan = (struct text){other, strlen(other)};
    ck_assert_str_eq(written_name(&h), "lckv-gemma3n");
    h.plan = plan;
    struct layer_hparams *layers = (struct layer_hparams *)(uintptr_t)h.layers;
    layers[3].sparsity = 1.5f;
    ck_assert_str_eq(written_name(&h), "lckv-gemma3n");
    layers[3].sparsity = 1.6448533535f; /* as others have it */
    ck_assert_str_eq(written_name(&h), "gemma3n");
    layers[10].sparsity = 1.6448533535f;
    ck_assert_str_eq(written_name(&h), "lckv-gemma3n");
}
END_TEST

/* ---- Sums and mixtures ---- */

static const size_t lengths[] = {0, 1, 3, 15, 16, 17, 64, 101};

START_TEST(sums_are_those_of_all_numbers)
{
    const size_t n = lengths[_i];
    float x[101], y[101];
    double all = 0, squares = 0, products = 0;
    for (size_t i = 0; i < n; i++) {
        x[i] = (float)i * 0.5f - 7;
        y[i] = 3 - (float)i;
        all += (double)x[i];
        squares += ((double)x[i] - 2) * ((double)x[i] - 2);
        products += (double)x[i] * (double)y[i];
    }
    ck_assert_double_eq(vector_sum(x, n), all); /* they are exact */
    ck_assert_double_eq(vector_squares(x, 2, n), squares);
    ck_assert_double_eq(vector_dot(x, y, n), products);
    vector_add_scaled(y, -2, x, n);
    for (size_t i = 0; i < n; i++)
        ck_assert_float_eq(y[i], 17 - 2 * (float)i);
    vector_scale(y, 0.5f, n);
    for (size_t i = 0; i < n; i++)
        ck_assert_float_eq(y[i], 8.5f - (float)i);
}
END_TEST

START_TEST(what_is_below_a_cutoff_becomes_0)
{
    const size_t n = lengths[_i];
    float x[102];
    for (size_t i = 0; i < n; i++)
        x[i] = (float)i;
    x[n] = NAN;
    vector_cut(x, 12.25, n + 1);
    for (size_t i = 0; i < n; i++)
        ck_assert_float_eq(x[i], i > 12 ? (float)i - 12.25f : 0);
    ck_assert(isnan(x[n]));
}
END_TEST

START_TEST(each_vector_gets_its_own_mixture)
{
    const size_t n = lengths[_i];
    float values[VECTORS_MIXED][101], factors[VECTORS_MIXED * VECTORS_MIXED];
    float *vectors[VECTORS_MIXED];
    for (size_t i = 0; i < COUNT(factors); i++)
        factors[i] = (float)i - 5;
    for (size_t j = 0; j < VECTORS_MIXED; j++) {
        vectors[j] = values[j];
        for (size_t i = 0; i < n; i++)
            values[j][i] = (float)(i * (j + 2));
    }
    vectors_mix(vectors, factors, n);
    for (size_t j = 0; j < VECTORS_MIXED; j++) {
        float factor = (float)(j + 2);
        for (size_t k = 0; k < VECTORS_MIXED; k++)
            factor += factors[VECTORS_MIXED * j + k] * (float)(k + 2);
        for (size_t i = 0; i < n; i++)
            ck_assert_float_eq(values[j][i], factor * (float)i);
    }
}
END_TEST

static void add_altup(Suite *suite)
{
    TCase *keys = tcase_create("keys");
    tcase_add_checked_fixture(keys, begin, end);
    tcase_add_test(keys, released_files_may_lack_keys);
    tcase_add_test(keys, files_say_what_is_their_own);
    tcase_add_loop_test(keys, counts_of_other_models_are_refused, 0, COUNT(bad_counts));
    tcase_add_loop_test(keys, quantiles_out_of_bounds_are_refused, 0, COUNT(bad_quantiles));
    tcase_add_loop_test(keys, quantiles_must_be_as_many_as_layers, 0, 2);
    tcase_add_test(keys, shares_become_the_quantiles_of_pytorch);
    tcase_add_loop_test(keys, other_shares_are_refused, 0, COUNT(bad_shares));
    tcase_add_test(keys, only_what_other_programs_run_has_their_name);
    suite_add_tcase(suite, keys);
    TCase *vectors = tcase_create("vectors");
    tcase_add_loop_test(vectors, sums_are_those_of_all_numbers, 0, COUNT(lengths));
    tcase_add_loop_test(vectors, what_is_below_a_cutoff_becomes_0, 0, COUNT(lengths));
    tcase_add_loop_test(vectors, each_vector_gets_its_own_mixture, 0, COUNT(lengths));
    suite_add_tcase(suite, vectors);
}

TEST_MAIN("altup", add_altup)
