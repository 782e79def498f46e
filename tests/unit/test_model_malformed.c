/*
 * Models whose parts are well formed alone but do not fit together: configurations, GGUF keys,
 * plans, and tensors that contradict them. Each is refused with a status and a message that names
 * the culprit, and the good model still opens afterwards.
 */
#include "format/json.h"

#include <stdio.h>

#include "allocator.h"
#include "folder.h"
#include "support.h"

#define SOURCE "tests/data/goldens/lckv-w2" /* plan 0_6_6_6_6_6_6_7, hidden 64, 160 tokens */

struct bytes {
    char *data;
    size_t length;
};

/* Checks that the message names the place once, and a GGUF file without what it does not have. */
static void check_place(const char *place, bool is_gguf)
{
    const char *found = strstr(lckv_last_error(), place);
    ck_assert_error_has(place);
    ck_assert_msg(strstr(found + 1, place) == NULL, "names the place twice: %s", lckv_last_error());
    if (is_gguf)
        ck_assert_msg(strstr(lckv_last_error(), "config.json") == NULL, "%s", lckv_last_error());
}

/*
 * Checks that opening fails with this status and message, leaves the result alone, gives all memory
 * back, and does no harm to the next open.
 */
static void check_refused(const char *path, const struct bytes *gguf, lckv_status status,
                          const char *message)
{
    struct counting counting = {.n_allowed = SIZE_MAX};
    const lckv_allocator allocator = counting_allocator(&counting);
    const lckv_model_options options = {.size = sizeof options, .allocator = &allocator};
    lckv_model *model = NULL;
    if (path != NULL)
        ck_assert_status(lckv_model_open(path, &options, &model), status);
    else
        ck_assert_status(lckv_model_open_memory(gguf->data, gguf->length, &options, &model),
                         status);
    ck_assert_uint_eq(counting.out, 0);
    ck_assert_error_has(message);
    check_place(path != NULL ? folder : "memory", path == NULL);
    ck_assert_ptr_null(model);
    ck_assert_ok(lckv_model_open(SOURCE, NULL, &model));
    lckv_model_release(model);
}

/* ---- config.json: members replaced; "null" takes a member away ---- */

static void copy_weights(void)
{
    size_t length;
    char *weights = read_whole(SOURCE "/model.safetensors", &length);
    folder_write("model.safetensors", weights, length);
    free(weights);
}

#define YARN_OF(context, members)                            \
    "\"rope_scaling\":{\"rope_type\":\"yarn\",\"factor\":4," \
    "\"original_max_position_embeddings\":" context members "}"

static const struct {
    const char *changes;
    lckv_status status;
    const char *message;
} bad_configs[] = {
    {"{\"model_type\":\"mamba\"}", LCKV_UNSUPPORTED, "model_type \"mamba\""},
    {"{\"model_type\":null}", LCKV_UNSUPPORTED, "model_type \"\""},
    {"{\"model_type\":7}", LCKV_BAD_FORMAT, "model_type"},
    {"{\"num_hidden_layers\":null}", LCKV_BAD_FORMAT, "no num_hidden_layers"},
    {"{\"num_hidden_layers\":0}", LCKV_BAD_FORMAT, "number of layers is 0"},
    {"{\"num_hidden_layers\":1025}", LCKV_BAD_FORMAT, "number of layers is 1025"},
    {"{\"num_hidden_layers\":-1}", LCKV_BAD_FORMAT, "num_hidden_layers"},
    {"{\"num_hidden_layers\":\"8\"}", LCKV_BAD_FORMAT, "num_hidden_layers"},
    {"{\"num_hidden_layers\":8.5}", LCKV_BAD_FORMAT, "num_hidden_layers"},
    {"{\"num_hidden_layers\":7}", LCKV_BAD_PLAN, "8 entries"},
    {"{\"vocab_size\":null}", LCKV_BAD_FORMAT, "no vocab_size"},
    {"{\"vocab_size\":4294967295}", LCKV_BAD_FORMAT, "vocabulary size is 4294967295"},
    {"{\"vocab_size\":4294967296}", LCKV_BAD_FORMAT, "vocab_size"},
    {"{\"vocab_size\":4194305}", LCKV_BAD_FORMAT, "vocabulary size is 4194305"},
    {"{\"vocab_size\":4194304}", LCKV_BAD_FORMAT, "expected [4194304, 64]"},
    {"{\"vocab_size\":161}", LCKV_BAD_FORMAT, "expected [161, 64]"},
    {"{\"hidden_size\":null}", LCKV_BAD_FORMAT, "no hidden_size"},
    {"{\"hidden_size\":65537}", LCKV_BAD_FORMAT, "hidden size is 65537"},
    {"{\"hidden_size\":65536}", LCKV_BAD_FORMAT, "head dimension is 16384"},
    {"{\"hidden_size\":128}", LCKV_BAD_FORMAT, "has shape"},
    {"{\"intermediate_size\":0}", LCKV_BAD_FORMAT, "intermediate size is 0"},
    {"{\"intermediate_size\":127}", LCKV_BAD_FORMAT, "expected [127, 64]"},
    {"{\"intermediate_size\":[128]}", LCKV_BAD_FORMAT,
     "intermediate_size has 1 elements; expected 8"},
    {"{\"intermediate_size\":[128,128,128,128,128,128,128,\"128\"]}", LCKV_BAD_FORMAT,
     "intermediate_size: expected an integer"},
    {"{\"intermediate_size\":[128,128,128,64,128,128,128,128]}", LCKV_BAD_FORMAT,
     "model.layers.3.mlp.gate_proj.weight"},
    {"{\"num_key_value_heads\":[2,2,2,2,2,0,2,2]}", LCKV_BAD_FORMAT,
     "layer 5: the number of key-value heads is 0"},
    {"{\"intermediate_size\":null}", LCKV_BAD_FORMAT, "no intermediate_size"},
    {"{\"num_attention_heads\":null}", LCKV_BAD_FORMAT, "no num_attention_heads"},
    {"{\"num_attention_heads\":0}", LCKV_BAD_FORMAT, "attention heads is 0"},
    {"{\"num_attention_heads\":4097}", LCKV_BAD_FORMAT, "attention heads is 4097"},
    {"{\"num_key_value_heads\":3}", LCKV_BAD_FORMAT, "multiple of the 3"},
    {"{\"head_dim\":15}", LCKV_BAD_FORMAT, "even number"},
    {"{\"head_dim\":514}", LCKV_BAD_FORMAT, "head dimension is 514"},
    {"{\"head_dim\":32}", LCKV_BAD_FORMAT, "q_proj.weight"},
    {"{\"rms_norm_eps\":0}", LCKV_BAD_FORMAT, "epsilon is 0"},
    {"{\"rms_norm_eps\":-1e-5}", LCKV_BAD_FORMAT, "epsilon"},
    {"{\"rms_norm_eps\":\"1e-5\"}", LCKV_BAD_FORMAT, "rms_norm_eps"},
    {"{\"rope_theta\":0}", LCKV_BAD_FORMAT, "rope theta is 0"},
    {"{\"rope_theta\":1e300}", LCKV_BAD_FORMAT,
     "rope theta is 1e+300; expected a number from 1e-30 to 1e+30"},
    {"{\"rope_scaling\":7}", LCKV_BAD_FORMAT, "rope_scaling"},
    {"{\"rope_scaling\":{\"rope_type\":\"novel\"}}", LCKV_UNSUPPORTED, "\"novel\""},
    {"{\"rope_scaling\":{\"rope_type\":\"linear\"}}", LCKV_BAD_FORMAT,
     "rope scaling: factor is missing"},
    {"{\"rope_scaling\":{\"rope_type\":\"linear\",\"factor\":0}}", LCKV_BAD_FORMAT, "factor is 0"},
    {"{\"rope_scaling\":{\"rope_type\":\"llama3\"}}", LCKV_BAD_FORMAT,
     "rope scaling: factor is missing"},
    {"{\"rope_scaling\":{\"type\":\"linear\",\"factor\":-2}}", LCKV_BAD_FORMAT, "factor is -2"},
    {"{\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":8}}", LCKV_BAD_FORMAT,
     "low_freq_factor is missing"},
    {"{\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":8,\"low_freq_factor\":0,"
     "\"high_freq_factor\":4,\"original_max_position_embeddings\":64}}",
     LCKV_BAD_FORMAT, "low_freq_factor is 0"},
    {"{\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":8,\"low_freq_factor\":1,"
     "\"high_freq_factor\":4,\"original_max_position_embeddings\":0}}",
     LCKV_BAD_FORMAT, "original_max_position_embeddings is 0"},
    {"{" YARN_OF("64", ",\"beta_fast\":0") "}", LCKV_BAD_FORMAT, "beta_fast is 0"},
    {"{" YARN_OF("64", ",\"beta_slow\":-1") "}", LCKV_BAD_FORMAT, "beta_slow is -1"},
    {"{" YARN_OF("64", ",\"attention_factor\":0") "}", LCKV_BAD_FORMAT, "attention factor is 0"},
    {"{" YARN_OF("64.5", "") "}", LCKV_BAD_FORMAT, "original_max_position_embeddings is 64.5"},
    {"{" YARN_OF("4294967296", "") "}", LCKV_BAD_FORMAT, "expected a whole number of tokens"},
    {"{\"rope_theta\":1," YARN_OF("64", "") "}", LCKV_BAD_FORMAT,
     "rope theta is 1; expected more than 1 with yarn"},
    {"{\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":8,\"low_freq_factor\":4,"
     "\"high_freq_factor\":4,\"original_max_position_embeddings\":64}}",
     LCKV_BAD_FORMAT, "high_freq_factor must be greater"},
    {"{\"rope_scaling\":{\"factor\":2}}", LCKV_BAD_FORMAT, "factor is 2, but rope_type is missing"},
    {"{\"rope_parameters\":{\"full_attention\":{\"rope_type\":\"novel\",\"factor\":4}}}",
     LCKV_UNSUPPORTED, "\"novel\""},
    {"{\"rope_parameters\":{\"full_attention\":{\"rope_theta\":1e6},"
     "\"sliding_attention\":{\"rope_theta\":1e4}}}",
     LCKV_UNSUPPORTED, "rope_parameters differ between layer types"},
    {"{\"rope_scaling\":{\"rope_type\":\"linear\",\"factor\":2},"
     "\"rope_parameters\":{\"rope_type\":\"default\"}}",
     LCKV_UNSUPPORTED, "rope_scaling and rope_parameters differ"},
    {"{\"rope_theta\":1e4,\"rope_scaling\":{\"rope_theta\":1e6}}", LCKV_UNSUPPORTED,
     "rope_theta is 10000, and 1e+06 in rope_scaling"},
    {"{\"rope_theta\":1e4,\"rope_parameters\":{\"rope_theta\":1e6}}", LCKV_UNSUPPORTED,
     "rope_theta is 10000, and 1e+06 in rope_parameters"},
    {"{\"rope_scaling\":{\"full_attention\":{\"rope_type\":\"novel\",\"factor\":4}}}",
     LCKV_UNSUPPORTED, "\"novel\""},
    {"{\"rope_parameters\":{\"attention_factor\":1.5}}", LCKV_UNSUPPORTED,
     "attention_factor is 1.5"},
    {"{\"hidden_act\":\"silu\\u0000x\"}", LCKV_UNSUPPORTED, "hidden_act is \"silu"},
    {"{\"model_type\":\"llama\\u0000x\"}", LCKV_UNSUPPORTED, "model_type \"llama"},
    {"{\"layer_types\":\"0_6_6_6_6_6_6_7\\u0000\"}", LCKV_BAD_PLAN, "entry"},
    {"{\"rope_scaling\":{\"rope_type\":\"default\\u0000x\"}}", LCKV_UNSUPPORTED, "rope scaling"},
    {"{\"hidden_activation\":\"gelu_pytorch_tanh\"}", LCKV_UNSUPPORTED, "hidden_activation is"},
    {"{\"no_rope_layers\":[1,0]}", LCKV_UNSUPPORTED, "no_rope_layers"},
    {"{\"use_sliding_window\":true}", LCKV_UNSUPPORTED, "use_sliding_window"},
    {"{\"num_local_experts\":8}", LCKV_UNSUPPORTED, "num_local_experts"},
    {"{\"num_local_experts\":1}", LCKV_UNSUPPORTED, "the model has experts"},
    {"{\"is_causal\":false}", LCKV_UNSUPPORTED, "is_causal is 0; expected 1"},
    {"{\"num_kv_shared_layers\":8}", LCKV_BAD_PLAN, "num_kv_shared_layers"},
    {"{\"kv_source_layers\":[8,0,0,0,0,0,0,0]}", LCKV_BAD_PLAN, "kv_source_layers"},
    {"{\"attention_bias\":true}", LCKV_BAD_FORMAT,
     "model.layers.0.self_attn.q_proj.bias is missing, but config.json says attention_bias"},
    {"{\"mlp_bias\":true}", LCKV_BAD_FORMAT,
     "model.layers.0.mlp.gate_proj.bias is missing, but config.json says mlp_bias"},
    {"{\"attention_bias\":1}", LCKV_BAD_FORMAT, "attention_bias: expected true or false"},
    {"{\"hidden_act\":\"gelu\"}", LCKV_UNSUPPORTED, "hidden_act is \"gelu\""},
    {"{\"partial_rotary_factor\":0.5}", LCKV_UNSUPPORTED, "partial_rotary_factor is 0.5"},
    {"{\"rope_parameters\":{\"partial_rotary_factor\":0.25}}", LCKV_UNSUPPORTED,
     "partial_rotary_factor is 0.25"},
    {"{\"partial_rotary_factor\":\"1\"}", LCKV_BAD_FORMAT, "partial_rotary_factor"},
    {"{\"quantization_config\":{\"bits\":4}}", LCKV_UNSUPPORTED, "quantization_config"},
    {"{\"embedding_multiplier\":12}", LCKV_UNSUPPORTED, "embedding_multiplier is 12"},
    {"{\"residual_multiplier\":0.22}", LCKV_UNSUPPORTED, "residual_multiplier is 0.22"},
    {"{\"logit_scale\":0.0625}", LCKV_UNSUPPORTED, "logit_scale is 0.0625"},
    {"{\"logits_scaling\":8}", LCKV_UNSUPPORTED, "logits_scaling is 8"},
    {"{\"attention_multiplier\":1}", LCKV_UNSUPPORTED, "attention_multiplier is 1; expected 0.25"},
    {"{\"query_pre_attn_scalar\":144}", LCKV_UNSUPPORTED, "query_pre_attn_scalar is 144"},
    {"{\"final_logit_softcapping\":30.0}", LCKV_UNSUPPORTED, "final_logit_softcapping"},
    {"{\"attn_logit_softcapping\":50}", LCKV_UNSUPPORTED, "attn_logit_softcapping"},
    {"{\"tie_word_embeddings\":1}", LCKV_BAD_FORMAT, "tie_word_embeddings"},
    {"{\"force_nodiag\":\"no\"}", LCKV_BAD_FORMAT, "force_nodiag"},
    {"{\"forward_passes\":0,\"backward_passes\":0}", LCKV_BAD_FORMAT, "0 forward and 0 backward"},
    {"{\"forward_passes\":65}", LCKV_BAD_FORMAT, "65 forward"},
    {"{\"backward_passes\":65}", LCKV_BAD_FORMAT, "up to 64 of each"},
    {"{\"intermediate_size\":4097}", LCKV_BAD_FORMAT,
     "expected at most 4096 with a hidden size of 64"},
    {"{\"num_attention_heads\":16,\"head_dim\":512}", LCKV_BAD_FORMAT,
     "head dimension is 8192; expected at most 4096"},
    {"{\"layer_types\":\"\"}", LCKV_BAD_PLAN, "layer_types is empty"},
    {"{\"layer_types\":\"0_6_6_6_6_6_6_8\"}", LCKV_BAD_PLAN, "8"},
    {"{\"layer_types\":\"0_6_6_6_6_6_6\"}", LCKV_BAD_PLAN, "7 entries"},
    {"{\"layer_types\":\"0_6_6_x_6_6_6_7\"}", LCKV_BAD_PLAN, "entry 3"},
    {"{\"layer_types\":\"0_6_6_6_6_6_5_7\"}", LCKV_BAD_PLAN, "layer"},
    {"{\"layer_types\":[]}", LCKV_BAD_FORMAT, "layer_types has 0 entries"},
    {"{\"layer_types\":[7]}", LCKV_UNSUPPORTED, "layer_types entry 0"},
    {"{\"layer_types\":[\"mixed\"]}", LCKV_UNSUPPORTED, "entry 0 is \"mixed\""},
    {"{\"layer_types\":7}", LCKV_BAD_FORMAT, "layer_types"},
    {"{\"layer_types\":\"0_6s_6_6_6_6_6_7\",\"sliding_window\":0}", LCKV_BAD_FORMAT,
     "no sliding_window"},
    /* k and v of layers 0, 6 and 7 are there. */
    {"{\"layer_types\":\"0_1_6_6_6_6_6_7\"}", LCKV_BAD_PLAN, "layers.1.self_attn.k_proj.weight"},
};

/* Writes one member, and a comma before it unless it is the first. */
static void write_member(FILE *file, const struct json_value *value)
{
    char text[4096];
    struct text name = json_name(value);
    size_t length = json_write(value, text, sizeof text);
    ck_assert_uint_le(length, sizeof text);
    fprintf(file, "%s\"%s\": %.*s", ftell(file) > 1 ? ", " : "", name.bytes, (int)length, text);
}

/*
 * Makes a folder with the good weights and the good configuration, in which these members are
 * changed. A null takes a member away, unless `keep_null`.
 */
static void make_changed(const char *changes_text, bool keep_null)
{
    struct json_document config, changes;
    const lckv_allocator *allocator = &memory_default_allocator;
    size_t length;
    char *text = read_whole(SOURCE "/config.json", &length);
    ck_assert_ok(json_parse(text, length, "config.json", allocator, &config));
    ck_assert_ok(
        json_parse(changes_text, strlen(changes_text), "the changes", allocator, &changes));
    FILE *file = fopen(folder_path("config.json"), "w");
    ck_assert_ptr_nonnull(file);
    fputc('{', file);
    for (const struct json_value *value = json_first(config.root); value != NULL;
         value = json_next(config.root, value)) {
        if (json_find_text(changes.root, json_name(value)) == NULL)
            write_member(file, value);
    }
    for (const struct json_value *value = json_first(changes.root); value != NULL;
         value = json_next(changes.root, value)) {
        if (keep_null || !json_is(value, JSON_NULL))
            write_member(file, value);
    }
    fputc('}', file);
    ck_assert_int_eq(fclose(file), 0);
    json_release(&config);
    json_release(&changes);
    free(text);
    copy_weights();
}

START_TEST(a_bad_config_is_refused)
{
    make_changed(bad_configs[_i].changes, false);
    check_refused(folder, NULL, bad_configs[_i].status, bad_configs[_i].message);
    lckv_model *model = NULL;
    ck_assert_status(lckv_model_open(folder, NULL, &model), bad_configs[_i].status);
    if (strstr(lckv_last_error(), "tensor") == NULL) {
        char place[FOLDER_PATH];
        snprintf(place, sizeof place, "%s: config.json", folder);
        ck_assert_error_has(place);
    }
}
END_TEST

#define SCALING(theta, factor, low, high, context)                          \
    "{\"rope_type\":\"llama3\",\"rope_theta\":" theta ",\"factor\":" factor \
    ",\"low_freq_factor\":" low ",\"high_freq_factor\":" high               \
    ",\"original_max_position_embeddings\":" context "}"

#define YARN(factor, fast, slow, attention, context)                                       \
    "{\"rope_type\":\"yarn\",\"rope_theta\":1e4,\"factor\":" factor ",\"beta_fast\":" fast \
    ",\"beta_slow\":" slow ",\"attention_factor\":" attention                              \
    ",\"original_max_position_embeddings\":" context "}"

/* All layers rotate alike here, so a difference in any member must be seen. */
START_TEST(layer_types_that_rotate_differently_are_refused)
{
    static const char *const scalings[][7] = {
        {SCALING("1e4", "8", "1", "4", "64"), SCALING("1e5", "8", "1", "4", "64"),
         SCALING("1e4", "7", "1", "4", "64"), SCALING("1e4", "8", "2", "4", "64"),
         SCALING("1e4", "8", "1", "5", "64"), SCALING("1e4", "8", "1", "4", "65"),
         "{\"rope_theta\":1e4}"},
        {YARN("8", "32", "1", "1.5", "64"), YARN("7", "32", "1", "1.5", "64"),
         YARN("8", "31", "1", "1.5", "64"), YARN("8", "32", "2", "1.5", "64"),
         YARN("8", "32", "1", "1.25", "64"), YARN("8", "32", "1", "1.5", "32"),
         SCALING("1e4", "8", "1", "4", "64")},
    };
    for (size_t i = 0; i < 14; i++) {
        char changes[512];
        lckv_model *model = NULL;
        snprintf(changes, sizeof changes,
                 "{\"rope_parameters\":{\"full_attention\":%s,\"sliding_attention\":%s}}",
                 scalings[i / 7][0], scalings[i / 7][i % 7]);
        make_changed(changes, false);
        if (i % 7 > 0) {
            check_refused(folder, NULL, LCKV_UNSUPPORTED,
                          "rope_parameters differ between layer types");
        } else {
            ck_assert_ok(lckv_model_open(folder, NULL, &model));
            lckv_model_release(model);
        }
    }
}
END_TEST

/* Members of related models that change nothing here. */
START_TEST(neutral_members_are_accepted)
{
    make_changed("{\"partial_rotary_factor\":1.0,\"quantization_config\":null,"
                 "\"logit_scale\":1,\"attention_multiplier\":0.25,"
                 "\"query_pre_attn_scalar\":16,\"final_logit_softcapping\":null,"
                 "\"pretraining_tp\":2,\"attention_bias\":false,\"num_experts\":0,"
                 "\"no_rope_layers\":[],\"use_sliding_window\":false,"
                 "\"is_causal\":true}",
                 true);
    lckv_model *model;
    ck_assert_ok(lckv_model_open(folder, NULL, &model));
    lckv_model_release(model);
}
END_TEST

static const struct {
    const char *text, *message;
} bad_config_texts[] = {
    {"", "config.json"},
    {"[]", "config.json"},
    {"{\"model_type\":\"llama\"", "config.json"},
    {"{\"model_type\":\"llama\",\"rms_norm_eps\":NaN}", "config.json"},
    {"{\"model_type\":\"llama\",\"rope_theta\":1e999}", "config.json"},
    {"{\"model_type\":\"llama\",\"vocab_size\":99999999999999999999}", "config.json"},
};

START_TEST(a_config_that_is_no_config_is_refused)
{
    folder_write_text("config.json", bad_config_texts[_i].text);
    copy_weights();
    check_refused(folder, NULL, LCKV_BAD_FORMAT, bad_config_texts[_i].message);
}
END_TEST

/* ---- GGUF: bytes replaced by as many ---- */

/* Finds the first place of `what`, and overwrites what lies `offset` bytes behind it. */
static void replace(struct bytes *bytes, const char *what, size_t offset, const void *with,
                    size_t length)
{
    size_t n = strlen(what);
    for (size_t i = 0; i + n + offset + length <= bytes->length; i++) {
        if (memcmp(bytes->data + i, what, n) == 0) {
            memcpy(bytes->data + i + offset, with, length);
            return;
        }
    }
    ck_abort_msg("no %s", what);
}

static struct bytes good_gguf(void)
{
    const char *path = folder_path("model.gguf");
    struct bytes bytes;
    ck_assert_ok(lckv_convert(SOURCE, path, NULL, NULL));
    bytes.data = read_whole(path, &bytes.length);
    bytes.data = realloc(bytes.data, bytes.length); /* a read beyond the end is seen */
    return bytes;
}

static const struct {
    const char *what, *with;
    lckv_status status;
    const char *message;
} bad_names[] = {
    {"blk.0.attn_k.weight", "blk.1.attn_k.weight", LCKV_BAD_PLAN, "blk.0.attn_k.weight"},
    {"blk.6.attn_v.weight", "blk.6.attn_x.weight", LCKV_BAD_PLAN, "blk.6.attn_v.weight"},
    {"blk.3.attn_q.weight", "blk.3.attn_x.weight", LCKV_BAD_FORMAT, "blk.3.attn_q.weight"},
    {"blk.3.ffn_norm.weight", "blk.9.ffn_norm.weight", LCKV_BAD_FORMAT, "blk.3.ffn_norm.weight"},
    {"blk.3.ffn_norm.weight", "blk.2.ffn_norm.weight", LCKV_BAD_FORMAT, "blk.2.ffn_norm.weight"},
    {"token_embd.weight", "token_embx.weight", LCKV_BAD_FORMAT, "token_embd.weight"},
    {"output_norm.weight", "output_norx.weight", LCKV_BAD_FORMAT, "output_norm.weight"},
    {"0_6_6_6_6_6_6_7", "0_6_6_6_6_6_6_9", LCKV_BAD_PLAN, "9"},
    {"0_6_6_6_6_6_6_7", "0_6_6_6_6_6__67", LCKV_BAD_PLAN, "entry"},
    {"lckv-llama", "lckv-mamba", LCKV_UNSUPPORTED, "\"lckv-mamba\""},
};

START_TEST(a_gguf_with_wrong_names_is_refused)
{
    struct bytes gguf = good_gguf();
    replace(&gguf, bad_names[_i].what, 0, bad_names[_i].with, strlen(bad_names[_i].with));
    check_refused(NULL, &gguf, bad_names[_i].status, bad_names[_i].message);
    free(gguf.data);
}
END_TEST

enum { U32 = 4, F32 = 6 };

static const struct {
    const char *key;
    uint32_t type, bits;
    const char *message;
} bad_values[] = {
    {"lckv-llama.block_count", U32, 0, "number of layers is 0"},
    {"lckv-llama.block_count", U32, 0xffffffff, "number of layers"},
    {"lckv-llama.block_count", F32, 0x41000000, "lckv-llama.block_count"},
    {"lckv-llama.embedding_length", U32, 0x80000000, "hidden size"},
    {"lckv-llama.feed_forward_length", U32, 0, "intermediate size is 0"},
    {"lckv-llama.attention.head_count", U32, 0, "attention heads is 0"},
    {"lckv-llama.attention.layer_norm_rms_epsilon", F32, 0x7fc00000, "layer_norm_rms_epsilon"},
    {"lckv-llama.attention.layer_norm_rms_epsilon", F32, 0x7f800000, "layer_norm_rms_epsilon"},
    {"lckv-llama.attention.layer_norm_rms_epsilon", F32, 0x80000000, "epsilon"},
    {"lckv-llama.rope.freq_base", F32, 0xff800000, "rope.freq_base"},
    {"lckv-llama.rope.freq_base", F32, 0, "rope theta is 0"},
    {"lckv.forward_passes", U32, 0xffffffff, "forward"},
};

START_TEST(a_gguf_with_wrong_values_is_refused)
{
    struct bytes gguf = good_gguf();
    size_t at = strlen(bad_values[_i].key);
    const uint32_t pair[2] = {bad_values[_i].type, bad_values[_i].bits};
    replace(&gguf, bad_values[_i].key, at, pair, sizeof pair);
    check_refused(NULL, &gguf, LCKV_BAD_FORMAT, bad_values[_i].message);
    free(gguf.data);
}
END_TEST

static const char *const matrices[] = {"token_embd.weight", "blk.3.attn_q.weight"};

START_TEST(a_gguf_with_an_unknown_type_is_refused)
{
    struct bytes gguf = good_gguf();
    const uint32_t type = 99;
    const size_t at = strlen(matrices[_i]) + 4 + 2 * 8; /* behind the dimensions */
    replace(&gguf, matrices[_i], at, &type, sizeof type);
    check_refused(NULL, &gguf, LCKV_UNSUPPORTED, "unknown tensor type 99");
    ck_assert_error_has(matrices[_i]);
    free(gguf.data);
}
END_TEST

static void add_models(Suite *suite)
{
    TCase *tcase = tcase_create("models");
    tcase_add_checked_fixture(tcase, folder_make, folder_remove);
    tcase_add_test(tcase, layer_types_that_rotate_differently_are_refused);
    tcase_add_test(tcase, neutral_members_are_accepted);
    tcase_add_loop_test(tcase, a_bad_config_is_refused, 0,
                        sizeof bad_configs / sizeof bad_configs[0]);
    tcase_add_loop_test(tcase, a_config_that_is_no_config_is_refused, 0,
                        sizeof bad_config_texts / sizeof bad_config_texts[0]);
    tcase_add_loop_test(tcase, a_gguf_with_wrong_names_is_refused, 0,
                        sizeof bad_names / sizeof bad_names[0]);
    tcase_add_loop_test(tcase, a_gguf_with_an_unknown_type_is_refused, 0,
                        sizeof matrices / sizeof matrices[0]);
    tcase_add_loop_test(tcase, a_gguf_with_wrong_values_is_refused, 0,
                        sizeof bad_values / sizeof bad_values[0]);
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("model malformed", add_models)
