/*
 * Models that are opened without weights (LCKV_WEIGHTS_NONE): they tell the same as models with
 * weights and cannot compute. Files that cannot be opened with weights open, too, and the model
 * says why they could not. Public header only.
 */
#include "folder.h"
#include "support.h"

#include <string.h>

#define MODEL "examples/models/stories-lckv-q8_0.gguf"
#define GOLDEN "tests/data/goldens/standard-llama"

static const lckv_model_options none = {.size = sizeof none, .weights = LCKV_WEIGHTS_NONE};

static lckv_model_info info_of(const lckv_model *model)
{
    lckv_model_info info = {.size = sizeof info};
    ck_assert_ok(lckv_model_get_info(model, &info));
    return info;
}

/* All numbers of the info, which stand in one piece of it, and its texts. */
static void check_same_info(lckv_model_info a, lckv_model_info b)
{
    ck_assert_mem_eq(&a, &b, offsetof(lckv_model_info, architecture));
    ck_assert_str_eq(a.architecture, b.architecture);
    ck_assert_str_eq(a.name, b.name);
    ck_assert_str_eq(a.kernel_set, b.kernel_set);
    ck_assert_str_eq(a.weight_dtypes, b.weight_dtypes);
    ck_assert_int_eq(a.is_mapped, b.is_mapped);
    ck_assert_int_eq(a.is_repacked, b.is_repacked);
    ck_assert_uint_eq(a.decode_bytes, b.decode_bytes);
    ck_assert_uint_eq(a.resident_bytes, b.resident_bytes);
    ck_assert_uint_eq(a.ring_bytes, b.ring_bytes);
}

static void check_same_text(const lckv_model *a, const lckv_model *b)
{
    static const char text[] = "Once upon a time, there was a\n\xC3\xA9 <s> 12";
    lckv_token of_a[64], of_b[64];
    size_t n_a, n_b;
    ck_assert_ok(lckv_tokenize(a, text, sizeof text, 0, of_a, COUNT(of_a), &n_a));
    ck_assert_ok(lckv_tokenize(b, text, sizeof text, 0, of_b, COUNT(of_b), &n_b));
    ck_assert_uint_eq(n_a, n_b);
    ck_assert_mem_eq(of_a, of_b, n_a * sizeof *of_a);
    for (lckv_special s = LCKV_SPECIAL_BOS; s <= LCKV_SPECIAL_EOT; s++)
        ck_assert_int_eq(lckv_model_special_token(a, s), lckv_model_special_token(b, s));
}

static void check_same_plan(const lckv_plan *a, const lckv_plan *b)
{
    char of_a[256], of_b[256];
    size_t length;
    ck_assert_ok(lckv_plan_text(a, of_a, sizeof of_a, &length));
    ck_assert_ok(lckv_plan_text(b, of_b, sizeof of_b, &length));
    ck_assert_str_eq(of_a, of_b);
}

/* As it is, packed for the kernel set in use, packed for another one, and a directory. */
START_TEST(tells_what_the_model_with_weights_tells)
{
    const char *packed = folder_path("packed.gguf");
    const char *path = _i == 3 ? GOLDEN : _i == 0 ? MODEL : packed;
    const lckv_convert_options packing = {
        .size = sizeof packing, .packed = 1, .kernel_set = _i == 2 ? "portable" : NULL};
    lckv_model *with, *without;
    if (path == packed)
        ck_assert_ok(lckv_convert(MODEL, packed, &packing, NULL));
    ck_assert_ok(lckv_model_open(path, NULL, &with));
    ck_assert_ok(lckv_model_open(path, &none, &without));
    const lckv_model_info info = info_of(without);
    check_same_info(info_of(with), info);
    ck_assert_ptr_null(info.problem);
    ck_assert_int_eq(info.has_weights, 0);
    ck_assert_int_eq(info_of(with).has_weights, 1);
    check_same_plan(lckv_model_plan(with), lckv_model_plan(without));
    if (_i != 3)
        check_same_text(with, without);
    const lckv_cache_options options = {.size = sizeof options, .budget_bytes = 1 << 23};
    lckv_cache_estimate_report a = {.size = sizeof a}, b = {.size = sizeof b};
    ck_assert_ok(lckv_cache_estimate(with, &options, 100, &a));
    ck_assert_ok(lckv_cache_estimate(without, &options, 100, &b));
    ck_assert_mem_eq(&a, &b, sizeof a);
    lckv_model_release(with);
    lckv_model_release(without);
}
END_TEST

START_TEST(refuses_to_compute)
{
    lckv_model *model;
    lckv_cache *cache;
    uint64_t fingerprint;
    ck_assert_ok(lckv_model_open(MODEL, &none, &model));
    ck_assert_status(lckv_cache_create(model, NULL, &cache), LCKV_UNSUPPORTED);
    ck_assert_error_has("was opened without weights");
    ck_assert_status(lckv_model_fingerprint(model, &fingerprint), LCKV_UNSUPPORTED);
    ck_assert_error_has("was opened without weights");
    lckv_model_release(model);
}
END_TEST

/* The bundled file, of which a test changes some bytes. */
static char *read_model(size_t *length)
{
    return read_whole(MODEL, length);
}

/* The number of tensors stands behind the magic and the version; what lies behind is not read. */
static void drop_tensors(char *bytes)
{
    memset(bytes + 8, 0, 8);
}

START_TEST(opens_a_vocabulary_by_itself)
{
    size_t length;
    lckv_model *with, *vocabulary = NULL, *counted = NULL;
    char *bytes = read_model(&length);
    drop_tensors(bytes);
    ck_assert_status(lckv_model_open_memory(bytes, length, NULL, &vocabulary), LCKV_UNSUPPORTED);
    ck_assert_error_has("has no tensors");
    ck_assert_error_has("lckv tokenize");
    ck_assert_ok(lckv_model_open_memory(bytes, length, &none, &vocabulary));
    folder_write("vocabulary.gguf", bytes, length);
    /* If no key says how many tokens there are, they are counted. */
    char *key = memmem(bytes, length, "vocab_size", 10);
    ck_assert_ptr_nonnull(key);
    key[9] = 'x';
    ck_assert_ok(lckv_model_open_memory(bytes, length, &none, &counted));
    ck_assert_uint_eq(info_of(counted).n_vocab, info_of(vocabulary).n_vocab);
    check_same_plan(lckv_model_plan(vocabulary), lckv_model_plan(counted));
    lckv_model_release(counted);
    free(bytes);
    ck_assert_status(
        lckv_convert(folder_path("vocabulary.gguf"), folder_path("out.gguf"), NULL, NULL),
        LCKV_UNSUPPORTED);
    ck_assert_error_has("has no tensors");
    ck_assert_ok(lckv_model_open(MODEL, NULL, &with));
    check_same_text(with, vocabulary);
    check_same_plan(lckv_model_plan(with), lckv_model_plan(vocabulary));
    const lckv_model_info info = info_of(vocabulary);
    ck_assert_ptr_nonnull(strstr(info.problem, "has no tensors"));
    ck_assert_uint_eq(info.n_vocab, info_of(with).n_vocab);
    ck_assert_uint_eq(info.n_layers, info_of(with).n_layers);
    ck_assert_uint_eq(info.n_parameters, 0);
    ck_assert_uint_eq(info.weight_bytes, 0);
    lckv_cache_estimate_report report = {.size = sizeof report};
    ck_assert_status(lckv_cache_estimate(vocabulary, NULL, 0, &report), LCKV_UNSUPPORTED);
    ck_assert_error_has("has no tensors");
    lckv_model_release(with);
    lckv_model_release(vocabulary);
}
END_TEST

START_TEST(opens_the_text_of_an_unknown_architecture)
{
    size_t length;
    lckv_model *with, *unknown;
    char *bytes = read_model(&length), architecture[64];
    for (size_t i = 0; i + 10 < length; i++) {
        if (memcmp(bytes + i, "lckv-llama", 10) == 0)
            bytes[i] = 'x';
    }
    ck_assert_status(lckv_model_open_memory(bytes, length, NULL, &unknown), LCKV_UNSUPPORTED);
    ck_assert_ok(lckv_model_open_memory(bytes, length, &none, &unknown));
    free(bytes);
    ck_assert_ok(lckv_model_open(MODEL, NULL, &with));
    check_same_text(with, unknown);
    const lckv_model_info info = info_of(unknown);
    ck_assert_str_eq(info.architecture, "xckv-llama");
    ck_assert_str_eq(info.name, info_of(with).name);
    ck_assert_ptr_nonnull(strstr(info.problem, "general.architecture is \"xckv-llama\""));
    ck_assert_uint_eq(info.n_layers, 0);
    ck_assert_uint_eq(info.hidden_size, 0);
    ck_assert_uint_eq(info.sliding_window, 0);
    ck_assert_uint_eq(info.n_vocab, info_of(with).n_vocab);
    ck_assert_uint_ge(info.n_parameters, info_of(with).n_parameters);
    ck_assert_ptr_null(lckv_model_plan(unknown));
    ck_assert_ok(lckv_model_metadata(unknown, "general.architecture", architecture,
                                     sizeof architecture, &length));
    ck_assert_str_eq(architecture, "xckv-llama");
    lckv_model_release(with);
    lckv_model_release(unknown);
}
END_TEST

/* ---- Directories ---- */

#define TOKENIZER                                                                               \
    "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"ab\":2},\"merges\":[\"a b\"]},"  \
    "\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":true}," \
    "\"decoder\":{\"type\":\"ByteLevel\"}}"

static void copy(const char *name)
{
    char path[256];
    size_t length;
    snprintf(path, sizeof path, GOLDEN "/%s", name);
    char *bytes = read_whole(path, &length);
    folder_write(name, bytes, length);
    free(bytes);
}

static void check_ab(const lckv_model *model)
{
    lckv_token tokens[4];
    size_t n;
    ck_assert_ok(lckv_tokenize(model, "aba", 3, 0, tokens, COUNT(tokens), &n));
    ck_assert_uint_eq(n, 2);
    ck_assert_int_eq(tokens[0], 2);
    ck_assert_int_eq(tokens[1], 0);
}

/* Weights that are missing, that are no weights, and of which a shard is missing. */
START_TEST(opens_a_directory_without_its_weights)
{
    static const char *const problems[] = {"neither model.safetensors nor", "an HTML or XML page",
                                           "no-such.safetensors"};
    lckv_model *model;
    copy("config.json");
    folder_write_text("tokenizer.json", TOKENIZER);
    if (_i == 1)
        folder_write_text("model.safetensors", "<html>not found</html>");
    if (_i == 2)
        folder_write_text("model.safetensors.index.json",
                          "{\"weight_map\":{\"a\":\"no-such.safetensors\"}}");
    ck_assert_int_ne(lckv_model_open(folder, NULL, &model), LCKV_OK);
    ck_assert_ok(lckv_model_open(folder, &none, &model));
    const lckv_model_info info = info_of(model);
    ck_assert_msg(strstr(info.problem, problems[_i]) != NULL, "%s", info.problem);
    ck_assert_uint_gt(info.n_layers, 0);
    ck_assert_str_eq(info.architecture, "llama");
    check_ab(model);
    lckv_model_release(model);
}
END_TEST

START_TEST(opens_a_tokenizer_by_itself)
{
    lckv_model *model;
    ck_assert_status(lckv_model_open(folder, &none, &model), LCKV_IO);
    ck_assert_error_has("no config.json");
    folder_write_text("tokenizer.json", TOKENIZER);
    ck_assert_status(lckv_model_open(folder, NULL, &model), LCKV_IO);
    ck_assert_error_has("no config.json");
    ck_assert_ok(lckv_model_open(folder, &none, &model));
    const lckv_model_info info = info_of(model);
    ck_assert_ptr_nonnull(info.problem);
    ck_assert_uint_eq(info.n_vocab, 3);
    ck_assert_str_eq(info.architecture, "");
    ck_assert_ptr_null(lckv_model_plan(model));
    check_ab(model);
    lckv_model_release(model);
}
END_TEST

START_TEST(opens_a_directory_of_an_unknown_architecture)
{
    lckv_model *model;
    char value[64];
    size_t length;
    folder_write_text("config.json", "{\"model_type\":\"mystery\",\"answer\":42}");
    folder_write_text("tokenizer.json", TOKENIZER);
    ck_assert_ok(lckv_model_open(folder, &none, &model));
    const lckv_model_info info = info_of(model);
    ck_assert_str_eq(info.architecture, "mystery");
    ck_assert_uint_eq(info.n_layers, 0);
    ck_assert_ok(lckv_model_metadata(model, "answer", value, sizeof value, &length));
    ck_assert_str_eq(value, "42");
    check_ab(model);
    lckv_model_release(model);
}
END_TEST

static void add_same(Suite *suite)
{
    TCase *tests = tcase_create("same");
    tcase_add_checked_fixture(tests, folder_make, folder_remove);
    tcase_add_loop_test(tests, tells_what_the_model_with_weights_tells, 0, 4);
    tcase_add_test(tests, refuses_to_compute);
    suite_add_tcase(suite, tests);
}

static void add_more(Suite *suite)
{
    TCase *tests = tcase_create("more");
    tcase_add_checked_fixture(tests, folder_make, folder_remove);
    tcase_add_test(tests, opens_a_vocabulary_by_itself);
    tcase_add_test(tests, opens_the_text_of_an_unknown_architecture);
    tcase_add_loop_test(tests, opens_a_directory_without_its_weights, 0, 3);
    tcase_add_test(tests, opens_a_tokenizer_by_itself);
    tcase_add_test(tests, opens_a_directory_of_an_unknown_architecture);
    suite_add_tcase(suite, tests);
}

TEST_MAIN("without weights", add_same, add_more)
