/*
 * What a GGUF file has beside the model, or lacks: tensors that nothing reads, keys that change the
 * computation, texts that only look like the right ones. What changes nothing is skipped with a
 * remark; what changes something is refused by name.
 */
#include "small_model.h"

#include <math.h>
#include <unistd.h>

#include "allocator.h"
#include "sessions.h"

#define MOST_REMARKS 64

static struct {
    char texts[MOST_REMARKS][256];
    size_t n;
} said;

static void keep_remark(void *user, const char *text, size_t length)
{
    (void)user;
    ck_assert_uint_lt(said.n, MOST_REMARKS);
    snprintf(said.texts[said.n++], sizeof said.texts[0], "%.*s", (int)length, text);
}

static void ck_assert_said(const char *part)
{
    for (size_t i = 0; i < said.n; i++) {
        if (strstr(said.texts[i], part) != NULL)
            return;
    }
    ck_abort_msg("no remark has \"%s\" (%zu remarks, the first is %s)", part, said.n,
                 said.n > 0 ? said.texts[0] : "not there");
}

static const char *path(void)
{
    static char file[FOLDER_PATH];
    return folder_join(file, "small.gguf");
}

/* An open that fails gives back all that it took. */
static lckv_status try_open(lckv_model **model)
{
    static struct counting counting;
    counting = (struct counting){.n_allowed = SIZE_MAX};
    const lckv_allocator allocator = counting_allocator(&counting);
    lckv_model_options options = {
        .size = sizeof options, .log = keep_remark, .allocator = &allocator};
    said.n = 0;
    *model = NULL;
    lckv_status status = lckv_model_open(path(), &options, model);
    ck_assert(status == LCKV_OK || counting.out == 0);
    return status;
}

/* Computes the logits of four tokens, [4, SMALL_VOCAB]. */
static void compute(float *logits)
{
    static const lckv_token tokens[4] = {1, 40, 7, 7};
    lckv_model *model;
    ck_assert_ok(try_open(&model));
    lckv_cache *cache = make_cache(model, (lckv_cache_options){0});
    lckv_session *session = make_session(cache);
    lckv_item item = make_item(session, tokens, 4, logits, SMALL_VOCAB);
    ck_assert_ok(run(cache, &item, 1, LCKV_PREFILL_AUTO));
    lckv_session_release(session);
    lckv_cache_release(cache);
    lckv_model_release(model);
}

static void check_refused(struct small_model *model, lckv_status status, const char *message)
{
    lckv_model *opened;
    small_write(model, path());
    ck_assert_status(try_open(&opened), status);
    ck_assert_error_has(message);
    ck_assert_error_has(path());
    ck_assert_status(lckv_convert(path(), folder_path("converted.gguf"), NULL, NULL), status);
}

/* Overwrites the bytes of the file that lie `offset` behind the beginning of the first `what`. */
static void patch(const char *what, size_t offset, const void *with, size_t length)
{
    size_t n_bytes, n = strlen(what);
    char *bytes = read_whole(path(), &n_bytes);
    for (size_t i = 0; i + n + offset + length <= n_bytes; i++) {
        if (memcmp(bytes + i, what, n) == 0) {
            memcpy(bytes + i + offset, with, length);
            folder_write("small.gguf", bytes, n_bytes);
            free(bytes);
            return;
        }
    }
    ck_abort_msg("no %s", what);
}

static void use_plan(struct small_model *model, const char *plan)
{
    ck_assert_ok(metadata_set_text(&model->metadata, "lckv.layer_types", plan, strlen(plan)));
}

/* ---- Tensors ---- */

START_TEST(tensors_that_nothing_reads_are_skipped)
{
    static float without[4 * SMALL_VOCAB], with[4 * SMALL_VOCAB];
    const uint32_t type_i32 = 26;
    struct small_model model;
    small_begin(&model);
    small_write(&model, path());
    compute(without);
    ck_assert_uint_eq(said.n, 0);
    small_begin(&model);
    small_add(&model, "vision.patch.weight", LCKV_DTYPE_F32, 3, 3);
    small_add(&model, "blk.2.attn_q.weight", LCKV_DTYPE_F32, 5, 5);
    small_add(&model, "blk.01.attn_q.weight", LCKV_DTYPE_F32, 5, 5);
    small_add(&model, "mtp.steps", LCKV_DTYPE_F32, 16, 0);
    small_write(&model, path());
    patch("mtp.steps", strlen("mtp.steps") + 4 + 8, &type_i32, sizeof type_i32);
    compute(with);
    ck_assert_int_eq(memcmp(without, with, sizeof with), 0);
    ck_assert_uint_eq(said.n, 4);
    ck_assert_said("tensor \"mtp.steps\" is not used: the model has no such part");
    ck_assert_said("vision.patch.weight");
    ck_assert_said("blk.2.attn_q.weight");
    ck_assert_said("blk.01.attn_q.weight");
    ck_assert_ok(lckv_convert(path(), folder_path("converted.gguf"), NULL, NULL));
}
END_TEST

/* A file may say that it has no tokenizer, which needs no remark; others are missed. */
START_TEST(a_file_may_say_that_it_has_no_tokenizer)
{
    static const struct {
        const char *name;
        size_t n_remarks;
    } cases[] = {{"none", 0}, {"no_vocab", 0}, {"gpt2", 1}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct small_model model;
        lckv_model *opened;
        small_begin(&model);
        ck_assert_ok(metadata_set_text(&model.metadata, "tokenizer.ggml.model", cases[i].name,
                                       strlen(cases[i].name)));
        small_write(&model, path());
        ck_assert_ok(try_open(&opened));
        ck_assert_uint_eq(said.n, cases[i].n_remarks);
        ck_assert_int_eq(info_of(opened).has_tokenizer, 0);
        lckv_model_release(opened);
    }
}
END_TEST

START_TEST(many_skipped_tensors_are_counted)
{
    struct small_model model;
    lckv_model *opened;
    small_begin(&model);
    for (int i = 0; i < 50; i++) {
        char name[32];
        snprintf(name, sizeof name, "v.blk.%d.weight", i);
        small_add(&model, name, LCKV_DTYPE_F32, 2, 0);
    }
    small_write(&model, path());
    ck_assert_ok(try_open(&opened));
    ck_assert_uint_eq(said.n, 17);
    ck_assert_said("34 more tensors are not used");
    const uint64_t queries = SMALL_HEADS * SMALL_HEAD_DIM,
                   keys_of = SMALL_KV_HEADS * SMALL_HEAD_DIM;
    const uint64_t in_layer = SMALL_HIDDEN * (2 + 2 * queries + 2 * keys_of + 3 * SMALL_FFN);
    ck_assert_uint_eq(info_of(opened).n_parameters,
                      SMALL_VOCAB * SMALL_HIDDEN + SMALL_HIDDEN + SMALL_LAYERS * in_layer);
    lckv_model_release(opened);
}
END_TEST

/* Layer 0 reads layer 1: its own keys and values are not part of the model. */
START_TEST(keys_and_values_that_no_layer_reads_are_skipped)
{
    static float without[4 * SMALL_VOCAB], with[4 * SMALL_VOCAB];
    struct small_model model;
    for (int redundant = 0; redundant < 2; redundant++) {
        small_begin(&model);
        use_plan(&model, "1_1");
        if (redundant) {
            small_find(&model, "blk.0.attn_k.weight")->shape[0] = 7; /* of any shape */
            small_add(&model, "blk.0.attn_k.bias", LCKV_DTYPE_F32, 3, 0);
        } else {
            small_remove(&model, "blk.0.attn_k.weight");
            small_remove(&model, "blk.0.attn_v.weight");
        }
        small_write(&model, path());
        compute(redundant ? with : without);
    }
    ck_assert_int_eq(memcmp(without, with, sizeof with), 0);
    ck_assert_uint_eq(said.n, 3);
    ck_assert_said("tensor \"blk.0.attn_k.weight\" is not used: no layer of the plan reads");
    ck_assert_ok(lckv_convert(path(), folder_path("converted.gguf"), NULL, NULL));
}
END_TEST

START_TEST(keys_and_values_that_a_layer_reads_must_be_there)
{
    struct small_model model;
    small_begin(&model);
    use_plan(&model, "1_1");
    small_remove(&model, "blk.1.attn_v.weight");
    check_refused(&model, LCKV_BAD_PLAN, "blk.1.attn_v.weight is missing");
}
END_TEST

static const char *const foreign[] = {
    "blk.1.attn_q_norm.weight", "blk.0.attn_norm.bias", "output_norm.bias",
    "blk.1.attn_q.scale",       "position_embd.weight", "blk.0.ffn_gate_inp.weight",
    "token_embd_norm.weight",   "blk.0.attn_v.lora_a",
};

START_TEST(parts_of_other_models_are_refused)
{
    struct small_model model;
    small_begin(&model);
    small_add(&model, foreign[_i], LCKV_DTYPE_F32, 4, 0);
    check_refused(&model, LCKV_UNSUPPORTED, foreign[_i]);
}
END_TEST

START_TEST(factors_for_long_texts_need_those_for_short_ones)
{
    struct small_model model;
    small_begin(&model);
    small_add(&model, "rope_factors_long.weight", LCKV_DTYPE_F32, 4, 0);
    check_refused(&model, LCKV_BAD_FORMAT, "rope_factors_long.weight; expected f32 [128]");
    small_begin(&model);
    small_add(&model, "rope_factors_long.weight", LCKV_DTYPE_F32, SMALL_HEAD_DIM / 2, 0);
    check_refused(&model, LCKV_BAD_FORMAT, "");
}
END_TEST

START_TEST(needed_tensors_of_unknown_types_are_refused)
{
    const uint32_t type_i32 = 26;
    struct small_model model;
    lckv_model *opened;
    small_begin(&model);
    small_write(&model, path());
    patch("blk.1.attn_k.weight", strlen("blk.1.attn_k.weight") + 4 + 16, &type_i32, 4);
    ck_assert_status(try_open(&opened), LCKV_UNSUPPORTED);
    ck_assert_error_has("blk.1.attn_k.weight");
    ck_assert_error_has("i32");
}
END_TEST

/* A name with a NUL in it is not the name before the NUL. */
START_TEST(names_are_compared_whole)
{
    struct small_model model;
    lckv_model *opened;
    small_begin(&model);
    small_add(&model, "blk.1.attn_k.biasXX", LCKV_DTYPE_F32, SMALL_HEAD_DIM, 0);
    small_write(&model, path());
    patch("blk.1.attn_k.biasXX", strlen("blk.1.attn_k.bias"), "\0", 1);
    ck_assert_status(try_open(&opened), LCKV_BAD_FORMAT);
    ck_assert_error_has("blk.1.attn_k.bias\\x00X");
}
END_TEST

/* ---- Rotation ---- */

START_TEST(factors_of_the_rotation_are_positive)
{
    static const float bad[] = {0, -0.0f, -1, NAN, INFINITY};
    struct small_model model;
    struct checkpoint file;
    lckv_model *opened;
    float factors[SMALL_HEAD_DIM / 2];
    small_begin(&model);
    small_add(&model, "rope_freqs.weight", LCKV_DTYPE_F32, SMALL_HEAD_DIM / 2, 0);
    small_write(&model, path());
    ck_assert_ok(checkpoint_open(&file, path(), &memory_default_allocator));
    long offset = (long)checkpoint_find(&file, "rope_freqs.weight")->offset;
    checkpoint_close(&file);
    for (size_t b = 0; b <= COUNT(bad); b++) {
        for (size_t i = 0; i < COUNT(factors); i++)
            factors[i] = 2;
        if (b < COUNT(bad))
            factors[COUNT(factors) - 1] = bad[b];
        FILE *stream = fopen(path(), "r+b");
        ck_assert_ptr_nonnull(stream);
        ck_assert_int_eq(fseek(stream, offset, SEEK_SET), 0);
        ck_assert_uint_eq(fwrite(factors, sizeof factors, 1, stream), 1);
        ck_assert_int_eq(fclose(stream), 0);
        ck_assert_status(try_open(&opened), b < COUNT(bad) ? LCKV_BAD_FORMAT : LCKV_OK);
        if (b < COUNT(bad))
            ck_assert_error_has("rope_freqs.weight: element 127");
        lckv_model_release(opened);
    }
}
END_TEST

/* Without a type, scaling is linear. The factor also has an old name. */
START_TEST(linear_scaling_is_read_in_every_spelling)
{
    static const struct {
        const char *type, *factor;
    } spellings[] = {
        {"linear", "llama.rope.scaling.factor"}, {NULL, "llama.rope.scaling.factor"},
        {"linear", "llama.rope.scale_linear"},   {NULL, "llama.rope.scale_linear"},
        {"none", "llama.rope.scaling.factor"},
    };
    static float scaled[4 * SMALL_VOCAB], logits[4 * SMALL_VOCAB];
    for (size_t i = 0; i < COUNT(spellings); i++) {
        struct small_model model;
        const char *type = spellings[i].type;
        small_begin(&model);
        ck_assert_ok(metadata_set_f32(&model.metadata, spellings[i].factor, 2));
        if (type != NULL)
            ck_assert_ok(
                metadata_set_text(&model.metadata, "llama.rope.scaling.type", type, strlen(type)));
        small_write(&model, path());
        compute(i == 0 ? scaled : logits);
        bool same = i == 0 || memcmp(scaled, logits, sizeof logits) == 0;
        ck_assert_msg(same == (i < 4), "spelling %zu", i);
    }
}
END_TEST

START_TEST(a_norm_needs_its_epsilon)
{
    struct small_model model;
    lckv_model *opened;
    small_begin(&model);
    small_write(&model, path());
    patch("layer_norm_rms_epsilon", 0, "layer_norm_abc_epsilon", strlen("layer_norm_abc_epsilon"));
    ck_assert_status(try_open(&opened), LCKV_BAD_FORMAT);
    ck_assert_error_has("no key llama.attention.layer_norm_rms_epsilon");
}
END_TEST

/* ---- Keys ---- */

#define TEXT(text) (text), sizeof(text) - 1, 0
#define FLOAT(number) NULL, 0, (number)

static const struct {
    const char *key, *text; /* `text` is NULL for a number */
    size_t length;
    float number;
    lckv_status status;
    const char *message;
} keys[] = {
    {"llama.rope.scaling.type", TEXT("dynamic"), LCKV_UNSUPPORTED, "type is \"dynamic\""},
    {"lckv.rope_dynamic_factor", TEXT("2"), LCKV_BAD_FORMAT, "lckv.rope_dynamic_factor"},
    {"lckv.rope_dynamic_factor", FLOAT(-1), LCKV_BAD_FORMAT, "the rope scaling's factor is -1"},
    {"llama.rope.scaling.yarn_ext_factor", FLOAT(0.5f), LCKV_UNSUPPORTED, "ext_factor is 0.5"},
    {"llama.rope.scaling.yarn_log_multiplier", FLOAT(0.1f), LCKV_UNSUPPORTED, "log_multiplier"},
    {"llama.rope.scaling.type", TEXT("linear\0x"), LCKV_UNSUPPORTED, "rope.scaling.type is"},
    {"llama.rope.scaling.factor", FLOAT(0), LCKV_BAD_FORMAT, "factor is 0"},
    {"llama.rope.scaling.factor", FLOAT(-2), LCKV_BAD_FORMAT, "factor is -2"},
    {"llama.rope.scale_linear", FLOAT(-2), LCKV_BAD_FORMAT, "factor is -2"},
    {"llama.rope.scaling.attn_factor", FLOAT(0), LCKV_BAD_FORMAT, "attention factor is 0"},
    {"llama.attention.scale", FLOAT(0.125f), LCKV_UNSUPPORTED, "attention.scale is 0.125"},
    {"llama.attention.scale", FLOAT(0.0625f), LCKV_OK, NULL}, /* 1 / sqrt(256) */
    {"llama.logit_scale", FLOAT(0.5f), LCKV_UNSUPPORTED, "logit_scale is 0.5; expected 1"},
    {"llama.logit_scale", FLOAT(1), LCKV_OK, NULL},
    {"llama.expert_count", FLOAT(8), LCKV_UNSUPPORTED, "expert_count"},
    {"llama.expert_count", FLOAT(0), LCKV_OK, NULL},
    {"llama.attention.sliding_window", FLOAT(8), LCKV_BAD_FORMAT, "attention.sliding_window"},
    {"llama.attention.causal", FLOAT(0), LCKV_UNSUPPORTED, "attention.causal is 0"},
    {"llama.embedding_scale", TEXT("2"), LCKV_BAD_FORMAT, "embedding_scale: expected a number"},
    {"llama.attention.clamp_kqv", FLOAT(8), LCKV_UNSUPPORTED, "attention.clamp_kqv"},
    {"llama.tensor_data_layout", TEXT("Meta AI original pth"), LCKV_OK, NULL},
    {"general.architecture", TEXT("llama\0x"), LCKV_UNSUPPORTED, "general.architecture is"},
};

START_TEST(keys_that_change_the_computation_are_refused)
{
    struct small_model model;
    lckv_model *opened;
    small_begin(&model);
    if (keys[_i].text != NULL)
        ck_assert_ok(
            metadata_set_text(&model.metadata, keys[_i].key, keys[_i].text, keys[_i].length));
    else
        ck_assert_ok(metadata_set_f32(&model.metadata, keys[_i].key, keys[_i].number));
    if (keys[_i].status != LCKV_OK) {
        check_refused(&model, keys[_i].status, keys[_i].message);
        return;
    }
    small_write(&model, path());
    ck_assert_ok(try_open(&opened));
    ck_assert_uint_eq(said.n, 0);
    lckv_model_release(opened);
}
END_TEST

START_TEST(unknown_keys_get_a_remark)
{
    struct small_model model;
    lckv_model *opened;
    small_begin(&model);
    ck_assert_ok(metadata_set_u32(&model.metadata, "llama.novelty", 1));
    ck_assert_ok(metadata_set_u32(&model.metadata, "lckv.novelty", 1));
    ck_assert_ok(metadata_set_u32(&model.metadata, "other.novelty", 1));
    ck_assert_ok(metadata_set_u32(&model.metadata, "novelty", 1));
    ck_assert_ok(metadata_set_u32(&model.metadata, "general.novelty", 1));
    small_write(&model, path());
    ck_assert_ok(try_open(&opened));
    ck_assert_uint_eq(said.n, 4);
    ck_assert_said("\"llama.novelty\" of the configuration is not known");
    ck_assert_said("\"lckv.novelty\"");
    ck_assert_said("\"other.novelty\"");
    ck_assert_said("\"novelty\"");
    lckv_model_release(opened);
}
END_TEST

/* Gemma 3's rope_parameters hold all of the rotation; older keys beside them are not read. */
START_TEST(older_keys_of_ropes_get_a_remark)
{
    const lckv_model_options none = {
        .size = sizeof none, .weights = LCKV_WEIGHTS_NONE, .log = keep_remark};
    char *config = read_whole("tests/data/architectures/gemma3/config.json", NULL);
    char file[FOLDER_PATH];
    ck_assert_ptr_nonnull(strchr(config, '{'));
    FILE *both = fopen(folder_join(file, "config.json"), "w");
    ck_assert_ptr_nonnull(both);
    fprintf(both, "{\"rope_theta\": 5.0, \"rope_local_base_freq\": 7.0, %s",
            strchr(config, '{') + 1);
    ck_assert_int_eq(fclose(both), 0);
    free(config);
    lckv_model *model;
    said.n = 0;
    ck_assert_ok(lckv_model_open(folder, &none, &model));
    ck_assert_said("rope_theta is not used beside rope_parameters");
    ck_assert_said("rope_local_base_freq is not used beside rope_parameters");
    lckv_model_release(model);
    ck_assert_int_eq(remove(file), 0);
}
END_TEST

/* With weights there are 16 remarks of each kind and one for the rest; without them, all. */
START_TEST(without_weights_all_that_is_not_used_is_named)
{
    enum { N = 20 };
    const lckv_model_options none = {
        .size = sizeof none, .weights = LCKV_WEIGHTS_NONE, .log = keep_remark};
    struct small_model model;
    lckv_model *opened;
    char name[32];
    small_begin(&model);
    for (int i = 0; i < N; i++) {
        snprintf(name, sizeof name, "llama.novelty%d", i);
        ck_assert_ok(metadata_set_u32(&model.metadata, name, 1));
        snprintf(name, sizeof name, "novelty%d", i);
        small_add(&model, name, LCKV_DTYPE_F32, 3, 0);
    }
    small_write(&model, path());
    ck_assert_ok(try_open(&opened));
    lckv_model_release(opened);
    ck_assert_uint_eq(said.n, 2 * (16 + 1));
    said.n = 0;
    ck_assert_ok(lckv_model_open(path(), &none, &opened));
    lckv_model_release(opened);
    ck_assert_uint_eq(said.n, 2 * N);
    for (int i = 0; i < N; i++) {
        snprintf(name, sizeof name, "\"llama.novelty%d\" of", i);
        ck_assert_said(name);
        snprintf(name, sizeof name, "tensor \"novelty%d\" is", i);
        ck_assert_said(name);
    }
}
END_TEST

/* ---- The tokenizer ---- */

/*
 * The tokenizer has one token more than the embedding has rows, such as a padding token that was
 * added later.
 */
START_TEST(more_tokens_than_rows_open_with_a_remark)
{
    struct small_model model;
    struct text tokens[SMALL_VOCAB + 1];
    int32_t types[SMALL_VOCAB + 1];
    char names[SMALL_VOCAB + 1][8];
    lckv_model *opened;
    small_begin(&model);
    for (size_t i = 0; i <= SMALL_VOCAB; i++) {
        int length = snprintf(names[i], sizeof names[i], "t%zu", i);
        tokens[i] = (struct text){names[i], (size_t)length};
        types[i] = 1;
    }
    ck_assert_ok(metadata_set_text(&model.metadata, "tokenizer.ggml.model", "gpt2", 4));
    ck_assert_ok(metadata_set_text(&model.metadata, "tokenizer.ggml.pre", "gpt-2", 5));
    ck_assert_ok(
        metadata_set_texts(&model.metadata, "tokenizer.ggml.tokens", tokens, COUNT(tokens)));
    ck_assert_ok(
        metadata_set_i32s(&model.metadata, "tokenizer.ggml.token_type", types, COUNT(types)));
    ck_assert_ok(metadata_set_texts(&model.metadata, "tokenizer.ggml.merges", tokens, 0));
    small_write(&model, path());
    ck_assert_ok(try_open(&opened));
    ck_assert_said("the tokenizer has 49 tokens and the embedding 48 rows");
    ck_assert_int_eq(info_of(opened).has_tokenizer, 1);
    lckv_model_release(opened);
}
END_TEST

static void add_parts(Suite *suite)
{
    TCase *tcase = tcase_create("parts");
    tcase_add_checked_fixture(tcase, folder_make, folder_remove);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, tensors_that_nothing_reads_are_skipped);
    tcase_add_test(tcase, a_file_may_say_that_it_has_no_tokenizer);
    tcase_add_test(tcase, many_skipped_tensors_are_counted);
    tcase_add_test(tcase, keys_and_values_that_no_layer_reads_are_skipped);
    tcase_add_test(tcase, keys_and_values_that_a_layer_reads_must_be_there);
    tcase_add_test(tcase, factors_for_long_texts_need_those_for_short_ones);
    tcase_add_loop_test(tcase, parts_of_other_models_are_refused, 0, COUNT(foreign));
    tcase_add_test(tcase, needed_tensors_of_unknown_types_are_refused);
    tcase_add_test(tcase, names_are_compared_whole);
    tcase_add_test(tcase, factors_of_the_rotation_are_positive);
    tcase_add_test(tcase, linear_scaling_is_read_in_every_spelling);
    tcase_add_test(tcase, a_norm_needs_its_epsilon);
    tcase_add_loop_test(tcase, keys_that_change_the_computation_are_refused, 0, COUNT(keys));
    tcase_add_test(tcase, unknown_keys_get_a_remark);
    tcase_add_test(tcase, older_keys_of_ropes_get_a_remark);
    tcase_add_test(tcase, without_weights_all_that_is_not_used_is_named);
    tcase_add_test(tcase, more_tokens_than_rows_open_with_a_remark);
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("model parts", add_parts)
