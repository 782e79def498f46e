/*
 * Fingerprints of models: the same for the same numbers, whatever file they stand in, and another
 * one for every other number. Uses the public header only.
 */
#include "folder.h"
#include "json.h"
#include "sessions.h"

static lckv_model *open_converted(const char *input, const char *name, lckv_convert_options options)
{
    lckv_model *model;
    lckv_model_options opening = {.size = sizeof opening};
    options.size = sizeof options;
    ck_assert_ok(lckv_convert(input, folder_path(name), &options, NULL));
    ck_assert_ok(lckv_model_open(folder_path(name), &opening, &model));
    return model;
}

static uint64_t fingerprint_of(const lckv_model *model)
{
    uint64_t first, again;
    ck_assert_ok(lckv_model_fingerprint(model, &first));
    ck_assert_ok(lckv_model_fingerprint(model, &again));
    ck_assert_uint_eq(first, again);
    return first;
}

/* The same numbers have the same fingerprint in every kind of file; others have another. */
START_TEST(fingerprints_belong_to_the_numbers)
{
    const char *input = "tests/data/goldens/cla2";
    lckv_model *directory = open_golden("cla2", 0);
    const uint64_t of_directory = fingerprint_of(directory);
    lckv_model *gguf = open_converted(input, "a.gguf", (lckv_convert_options){0});
    ck_assert_uint_eq(fingerprint_of(gguf), of_directory);
    lckv_model_release(gguf);
    const char *set;
    for (size_t i = 0; (set = lckv_kernel_set_name(i)) != NULL; i++) {
        lckv_model *packed =
            open_converted(input, "p.gguf", (lckv_convert_options){.packed = 1, .kernel_set = set});
        ck_assert_uint_eq(fingerprint_of(packed), of_directory);
        lckv_model_release(packed);
    }
    lckv_model *f16 =
        open_converted(input, "f16.gguf", (lckv_convert_options){.dtype = LCKV_DTYPE_BF16});
    ck_assert_uint_ne(fingerprint_of(f16), of_directory);
    lckv_model_release(f16);
    lckv_model *other = open_golden("lckv-w2", 0);
    ck_assert_uint_ne(fingerprint_of(other), of_directory);
    lckv_model_release(other);
    ck_assert_status(lckv_model_fingerprint(NULL, &(uint64_t){0}), LCKV_INVALID_ARGUMENT);
    ck_assert_status(lckv_model_fingerprint(directory, NULL), LCKV_INVALID_ARGUMENT);
    lckv_model_release(directory);
}
END_TEST

static const char *const scales[] = {"\"logits_scaling\"", "\"residual_multiplier\"",
                                     "\"embedding_multiplier\""};

static void set_number(char *config, const char *key, char digit)
{
    char *value = strstr(config, key);
    ck_assert_ptr_nonnull(value);
    value = strchr(value, ':') + 1;
    memset(value, ' ', strcspn(value, ","));
    *value = digit;
}

/* The fingerprint of the granite model if one of its scales is that digit, and the others are 1. */
static uint64_t fingerprint_with(size_t scale, char digit)
{
    char *config = read_whole("tests/data/architectures/granite/config.json", NULL);
    size_t length;
    char *weights = read_whole("tests/data/architectures/granite/model.safetensors", &length);
    for (size_t i = 0; i < COUNT(scales); i++)
        set_number(config, scales[i], i == scale ? digit : '1');
    folder_write_text("config.json", config);
    folder_write("model.safetensors", weights, length);
    lckv_model *model;
    const lckv_model_options options = {.size = sizeof options};
    ck_assert_ok(lckv_model_open(folder, &options, &model));
    const uint64_t fingerprint = fingerprint_of(model);
    lckv_model_release(model);
    free(weights);
    free(config);
    return fingerprint;
}

/* The same number means something else in the place of another scale. */
START_TEST(fingerprints_tell_scales_apart)
{
    uint64_t of_two[COUNT(scales)];
    for (size_t i = 0; i < COUNT(scales); i++) {
        of_two[i] = fingerprint_with(i, '2');
        ck_assert_uint_ne(fingerprint_with(i, '4'), of_two[i]);
        for (size_t j = 0; j < i; j++)
            ck_assert_uint_ne(of_two[i], of_two[j]);
    }
}
END_TEST

/* ---- Every weight ---- */

static uint64_t fingerprint_of_folder(void)
{
    lckv_model *model = open_model(folder, (lckv_model_options){.gemm = LCKV_GEMM_OWN});
    const uint64_t fingerprint = fingerprint_of(model);
    lckv_model_release(model);
    return fingerprint;
}

static const char *const fixtures[] = {"gemma4-inputs", "gemma3n", "qwen3-biased", "qwen2"};

static char *read_fixture(const char *fixture, const char *name, size_t *length)
{
    char path[128];
    snprintf(path, sizeof path, "tests/data/architectures/%s/%s", fixture, name);
    return read_whole(path, length);
}

/* Changes the last number of each tensor in turn. It stands in a row that is looked at. */
START_TEST(each_tensor_counts)
{
    size_t length, n_config, n_tensors = 0;
    char *config = read_fixture(fixtures[_i], "config.json", &n_config);
    char *weights = read_fixture(fixtures[_i], "model.safetensors", &length);
    folder_write("config.json", config, n_config);
    folder_write("model.safetensors", weights, length);
    const uint64_t fingerprint = fingerprint_of_folder();
    uint64_t n_header;
    memcpy(&n_header, weights, sizeof n_header);
    char *header = strndup(weights + 8, n_header);
    ck_assert_ptr_nonnull(header);
    for (const char *name = json_first(header); name != NULL; name = json_next_name(name)) {
        if (json_is_text(name, "__metadata__"))
            continue;
        const char *value = json_value(name), *begin = json_first(json_get(value, "data_offsets"));
        char *last = weights + 8 + n_header + json_long(json_next(begin));
        const char before = last[-1]; /* the sign and high bits of the exponent */
        last[-1] ^= 0x40;
        folder_write("model.safetensors", weights, length);
        ck_assert_msg(fingerprint_of_folder() != fingerprint, "%.60s does not count", name);
        last[-1] = before;
        n_tensors++;
    }
    ck_assert_uint_gt(n_tensors, 20);
    free(header);
    free(weights);
    free(config);
}
END_TEST

/* ---- The configuration ---- */

static const struct {
    const char *fixture, *from, *to;
} changes[] = {
    {"qwen2", "\"rms_norm_eps\": 1e-06", "\"rms_norm_eps\": 2e-06"},
    {"qwen2", "\"rope_theta\": 10000.0", "\"rope_theta\": 10001.0"},
    {"qwen2", "\"model_type\": \"qwen2\"",
     "\"kv_source_layers\": [0, 0, 2], \"model_type\": \"qwen2\""},
    {"qwen3-yarn", "\"factor\": 8.0", "\"factor\": 7.0"},
    {"qwen3-yarn", "\"attention_factor\": 1.3", "\"attention_factor\": 1.4"},
    {"mistral", "\"sliding_window\": 11", "\"sliding_window\": null"},
    {"smollm3", "\"no_rope_layers\": [\n    1", "\"no_rope_layers\": [\n    0"},
    {"gemma3", "\"final_logit_softcapping\": 6.0", "\"final_logit_softcapping\": 5.0"},
    {"gemma3n", "0.8,", "0.7,"},
    {"gemma3n", "\"altup_correct_scale\": true", "\"altup_correct_scale\": false"},
    {"gemma3", "\"query_pre_attn_scalar\": 16", "\"query_pre_attn_scalar\": 4"},
};

/* The fingerprint of a fixture whose configuration has another text in the place of one. */
static uint64_t fingerprint_of_changed(const char *fixture, const char *from, const char *to)
{
    size_t n_config, n_weights;
    char *config = read_fixture(fixture, "config.json", &n_config);
    char *weights = read_fixture(fixture, "model.safetensors", &n_weights);
    const size_t size = n_config + strlen(to) + 1;
    char *at = strstr(config, from), *changed = malloc(size);
    ck_assert(at != NULL && changed != NULL);
    snprintf(changed, size, "%.*s%s%s", (int)(at - config), config, to, at + strlen(from));
    folder_write_text("config.json", changed);
    folder_write("model.safetensors", weights, n_weights);
    free(changed);
    free(config);
    free(weights);
    return fingerprint_of_folder();
}

START_TEST(numbers_of_the_configuration_count)
{
    const char *fixture = changes[_i].fixture, *from = changes[_i].from;
    ck_assert(fingerprint_of_changed(fixture, from, changes[_i].to) !=
              fingerprint_of_changed(fixture, from, from));
}
END_TEST

/* What a configuration leaves out, and what it might say instead. */
static const struct {
    const char *fixture, *from, *said;
} defaults[] = {
    {"qwen2", "\"rope_theta\": 10000.0,", "\"rope_theta\": 10000,"},
    {"smollm3", "\"rope_theta\": 10000.0,", "\"rope_theta\": 2e6,"},
    {"smollm3", "\"tie_word_embeddings\": true,", "\"tie_word_embeddings\": true,"},
    {"gemma3", "\"tie_word_embeddings\": true,", "\"tie_word_embeddings\": true,"},
    {"qwen3-yarn", "\"attention_factor\": 1.3,", "\"attention_factor\": 1.2079441541679836,"},
    {"llama-longrope", "\"rope_theta\": 10000.0,", "\"attention_factor\": 1.1547005383792515,"},
    {"llama-longrope", "\"original_max_position_embeddings\": 64,",
     "\"original_max_position_embeddings\": 64, \"factor\": 4,"},
};

START_TEST(defaults_are_known)
{
    const char *fixture = defaults[_i].fixture, *from = defaults[_i].from;
    const uint64_t left_out =
        fingerprint_of_changed(fixture, from, strstr(from, "original") != NULL ? from : "");
    ck_assert(fingerprint_of_changed(fixture, from, defaults[_i].said) == left_out);
}
END_TEST

/* A context that is longer than the model was trained for makes attention sharper, no other. */
START_TEST(longrope_does_not_change_shorter_contexts)
{
    static const char fixture[] = "llama-longrope";
    static const char from[] = "\"original_max_position_embeddings\": 64,";
    const uint64_t plain = fingerprint_of_changed(
        fixture, from, "\"original_max_position_embeddings\": 512, \"attention_factor\": 1,");
    ck_assert(fingerprint_of_changed(fixture, from, "\"original_max_position_embeddings\": 512,") ==
              plain);
    ck_assert(fingerprint_of_changed(fixture, from, "\"original_max_position_embeddings\": 256,") ==
              plain);
    ck_assert(fingerprint_of_changed(fixture, from, from) != plain);
}
END_TEST

static void add_all(Suite *suite)
{
    TCase *tcase = tcase_create("fingerprints");
    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, folder_make, folder_remove);
    tcase_add_test(tcase, fingerprints_belong_to_the_numbers);
    tcase_add_test(tcase, fingerprints_tell_scales_apart);
    tcase_add_loop_test(tcase, each_tensor_counts, 0, COUNT(fixtures));
    tcase_add_loop_test(tcase, numbers_of_the_configuration_count, 0, COUNT(changes));
    tcase_add_loop_test(tcase, defaults_are_known, 0, COUNT(defaults));
    tcase_add_test(tcase, longrope_does_not_change_shorter_contexts);
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("fingerprints", add_all)
