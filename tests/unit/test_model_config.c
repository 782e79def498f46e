/*
 * What a good config.json may hold: rotations in each of their spellings, members that are not
 * known, numbers as they are written. Also the model's name, which is that of its directory.
 */
#include "sessions.h"

#include <limits.h>
#include <unistd.h>

#include "folder.h"

#define SOURCE "tests/data/goldens/rope-llama3-tied"

static char remarks[8192];

static void keep_remark(void *user, const char *text, size_t length)
{
    size_t used = strlen(remarks);
    (void)user;
    snprintf(remarks + used, sizeof remarks - used, "%.*s\n", (int)length, text);
}

static lckv_model *open_it(const char *path)
{
    remarks[0] = '\0';
    return open_model(path,
                      (lckv_model_options){.log = keep_remark, .precision = LCKV_PRECISION_FULL});
}

static void link_weights(const char *directory)
{
    char place[2 * FOLDER_PATH], weights[PATH_MAX];
    snprintf(place, sizeof place, "%s/model.safetensors", directory);
    ck_assert_ptr_nonnull(realpath(SOURCE "/model.safetensors", weights));
    unlink(place);
    ck_assert_int_eq(symlink(weights, place), 0);
}

/* Writes the source's config.json with other members in place of its rotation. */
static void write_config(const char *members)
{
    static char config[8192];
    char *text = read_whole(SOURCE "/config.json", NULL);
    char *begin = strstr(text, "\"rope_theta\""), *end = strstr(text, "\"tie_word_embeddings\"");
    ck_assert(begin != NULL && end != NULL && begin < end);
    int length =
        snprintf(config, sizeof config, "%.*s%s,%s", (int)(begin - text), text, members, end);
    ck_assert_int_lt(length, (int)sizeof config);
    free(text);
    folder_write_text("config.json", config);
    link_weights(folder);
}

static void logits_of(const char *members, float *logits, size_t n_vocab)
{
    static const lckv_token tokens[4] = {3, 5, 9, 2};
    write_config(members);
    lckv_model *model = open_it(folder);
    ck_assert_uint_eq(info_of(model).n_vocab, n_vocab);
    lckv_cache *cache = make_cache(model, (lckv_cache_options){0});
    lckv_session *session = make_session(cache);
    lckv_item item = make_item(session, tokens, 4, logits, n_vocab);
    ck_assert_ok(run(cache, &item, 1, LCKV_PREFILL_AUTO));
    lckv_session_release(session);
    lckv_cache_release(cache);
    lckv_model_release(model);
}

START_TEST(rotations_are_read_in_every_spelling)
{
    enum { VOCAB = 160 };
    static float plain[4 * VOCAB], other[4 * VOCAB];
    static const char *const spellings[] = {
        "\"rope_theta\":1e6,\"rope_scaling\":{\"type\":\"linear\",\"factor\":2}",
        "\"rope_parameters\":{\"rope_theta\":1000000,\"rope_type\":\"linear\",\"factor\":2.0}",
        "\"rope_parameters\":{\"full_attention\":"
        "{\"rope_theta\":1e6,\"rope_type\":\"linear\",\"factor\":2}}",
        "\"rope_parameters\":{\"original_max_position_embeddings\":64,\"sliding_attention\":"
        "{\"rope_theta\":1e6,\"rope_type\":\"linear\",\"factor\":2},\"full_attention\":"
        "{\"rope_theta\":1e6,\"rope_type\":\"linear\",\"factor\":2}}",
        "\"rope_scaling\":{\"rope_theta\":1e6,\"rope_type\":\"linear\",\"factor\":2}",
        "\"rope_theta\":1e6,\"rope_scaling\":{\"full_attention\":{\"type\":\"linear\",\"factor\":2}"
        "}",
        "\"rope_scaling\":{\"rope_type\":\"linear\",\"factor\":2},"
        "\"rope_parameters\":{\"rope_theta\":1e6,\"rope_type\":\"linear\",\"factor\":2}",
        "\"rope_theta\":1e6,\"rope_scaling\":{\"rope_type\":\"linear\",\"factor\":2},"
        "\"rope_parameters\":{\"rope_theta\":1e6,\"rope_type\":\"linear\",\"factor\":2}",
    };
    logits_of("\"rope_theta\":1e6", other, VOCAB);
    for (size_t i = 0; i < COUNT(spellings); i++) {
        logits_of(spellings[i], i == 0 ? plain : other, VOCAB);
        ck_assert_str_eq(remarks, "");
        ck_assert(i == 0 || memcmp(plain, other, sizeof plain) == 0);
    }
    logits_of("\"rope_theta\":1e6", other, VOCAB);
    ck_assert(memcmp(plain, other, sizeof plain) != 0);
}
END_TEST

START_TEST(unknown_members_get_a_remark)
{
    write_config("\"rope_theta\":1e4,\"novelty\":1,\"rope_parameters\":{\"wavelength\":2}");
    lckv_model_release(open_it(folder));
    ck_assert_msg(strstr(remarks, "\"novelty\" of the configuration is not known") != NULL, "%s",
                  remarks);
    ck_assert_msg(strstr(remarks, "\"wavelength\" is not known") != NULL, "%s", remarks);
    ck_assert_ptr_null(strstr(remarks, "torch_dtype"));
}
END_TEST

START_TEST(numbers_are_shown_as_written)
{
    static const char *const numbers[] = {"1e-05", "0.10", "1E+2", "3.0000000000000001"};
    for (size_t i = 0; i < COUNT(numbers); i++) {
        char members[128], text[64];
        size_t length;
        snprintf(members, sizeof members, "\"rope_theta\":10000.0,\"embd_pdrop\":%s", numbers[i]);
        write_config(members);
        lckv_model *model = open_it(folder);
        ck_assert_ok(lckv_model_metadata(model, "embd_pdrop", text, sizeof text, &length));
        ck_assert_str_eq(text, numbers[i]);
        lckv_model_release(model);
    }
}
END_TEST

static void check_written(const lckv_model *model, const char *key, const char *expected)
{
    char text[64] = "";
    size_t length;
    const lckv_status status = lckv_model_metadata(model, key, text, sizeof text, &length);
    ck_assert_msg(status == (expected != NULL ? LCKV_OK : LCKV_INVALID_ARGUMENT), "%s: %s", key,
                  text);
    if (expected != NULL)
        ck_assert_str_eq(text, expected);
}

/*
 * What a configuration leaves out has a default. In GGUF, others than the usual ones are written;
 * the factor of attention is relative to what the factor of the rotation gives.
 */
START_TEST(what_is_left_out_has_a_default)
{
    static const struct {
        const char *members, *fast, *slow, *attention;
    } cases[] = {
        {"", NULL, NULL, NULL},
        {",\"beta_fast\":32,\"beta_slow\":1,\"attention_factor\":1.0", NULL, NULL, NULL},
        {",\"beta_fast\":31,\"beta_slow\":2,\"attention_factor\":1.5", "31", "2", "1.3173733"},
        {",\"beta_fast\":33", "33", NULL, NULL},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char config[1024];
        snprintf(config, sizeof config,
                 "{\"model_type\":\"lckv-llama\",\"vocab_size\":160,\"hidden_size\":64,"
                 "\"intermediate_size\":128,\"num_hidden_layers\":8,\"layer_types\":\"0_6_6_6_6_6_"
                 "6_7\",\"num_attention_heads\":4,"
                 "\"num_key_value_heads\":2,\"tie_word_embeddings\":true,\"rope_scaling\":{"
                 "\"rope_type\":\"yarn\",\"factor\":4,\"original_max_position_embeddings\":64%s}}",
                 cases[i].members);
        folder_write_text("config.json", config);
        link_weights(folder);
        ck_assert_ok(lckv_convert(folder, folder_path("out.gguf"), NULL, NULL));
        lckv_model *model = open_it(folder_path("out.gguf"));
        check_written(model, "lckv-llama.rope.scaling.factor", "4");
        check_written(model, "lckv-llama.rope.scaling.yarn_beta_fast", cases[i].fast);
        check_written(model, "lckv-llama.rope.scaling.yarn_beta_slow", cases[i].slow);
        if (i != 1) /* 1 is not what the factor gives */
            check_written(model, "lckv-llama.rope.scaling.attn_factor", cases[i].attention);
        check_written(model, "lckv-llama.attention.layer_norm_rms_epsilon", "1e-6");
        check_written(model, "lckv-llama.rope.freq_base", "10000");
        lckv_model_release(model);
    }
}
END_TEST

/* The windows of both configurations are above 0, but only the second plan has windowed layers. */
START_TEST(a_window_that_no_layer_has_is_not_shown)
{
    lckv_model *without = open_it("tests/data/goldens/lckv-w2");
    lckv_model *with = open_it("tests/data/goldens/yoco-windows");
    ck_assert_uint_eq(info_of(without).sliding_window, 0);
    ck_assert_uint_eq(info_of(with).sliding_window, 7);
    lckv_model_release(without);
    lckv_model_release(with);
}
END_TEST

static void check_name(const char *path, const char *name)
{
    lckv_model *model = open_it(path);
    ck_assert_str_eq(info_of(model).name, name);
    lckv_model_release(model);
}

START_TEST(a_model_has_the_name_of_its_directory)
{
    char begun[PATH_MAX], path[2 * FOLDER_PATH];
    ck_assert_ptr_nonnull(getcwd(begun, sizeof begun));
    const char *name = strrchr(folder, '/') + 1;
    write_config("\"rope_theta\":1e4");
    check_name(folder, name);
    snprintf(path, sizeof path, "%s//", folder);
    check_name(path, name);
    snprintf(path, sizeof path, "%s/.", folder);
    check_name(path, name);
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    check_name(path, name);
    ck_assert_int_eq(mkdir(folder_path("inside"), 0700), 0);
    snprintf(path, sizeof path, "%s/inside/..", folder);
    check_name(path, name);
    snprintf(path, sizeof path, "%s/inside/../", folder);
    check_name(path, name);
    ck_assert_int_eq(symlink(folder, folder_path("inside/another-name")), 0);
    check_name(folder_path("inside/another-name"), "another-name");
    ck_assert_int_eq(chdir(folder), 0);
    check_name(".", name);
    check_name("./", name);
    check_name("model.safetensors", name);
    ck_assert_int_eq(chdir("inside"), 0);
    check_name("..", name);
    ck_assert_int_eq(chdir(begun), 0);
}
END_TEST

static void add_configs(Suite *suite)
{
    TCase *tcase = tcase_create("configurations");
    tcase_add_checked_fixture(tcase, folder_make, folder_remove);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, rotations_are_read_in_every_spelling);
    tcase_add_test(tcase, unknown_members_get_a_remark);
    tcase_add_test(tcase, numbers_are_shown_as_written);
    tcase_add_test(tcase, what_is_left_out_has_a_default);
    tcase_add_test(tcase, a_window_that_no_layer_has_is_not_shown);
    tcase_add_test(tcase, a_model_has_the_name_of_its_directory);
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("model config", add_configs)
