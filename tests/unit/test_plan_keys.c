/*
 * Plans in the keys of other programs: what each spelling means, in config.json and in GGUF, which
 * of them contradict each other, and what a conversion writes.
 */
#include "model/hparams_plan.h"
#include "small_model.h"

#include <stdio.h>

/* ---- config.json ---- */

#define SHAPE                                                                              \
    "\"model_type\":\"llama\",\"vocab_size\":8,\"hidden_size\":8,\"intermediate_size\":8," \
    "\"num_attention_heads\":2,\"num_hidden_layers\":"

static lckv_model *describe(const char *path)
{
    const lckv_model_options none = {.size = sizeof none, .weights = LCKV_WEIGHTS_NONE};
    lckv_model *model;
    ck_assert_ok(lckv_model_open(path, &none, &model));
    return model;
}

static lckv_model *describe_config(int n_layers, const char *members)
{
    char config[1024];
    int length = snprintf(config, sizeof config, "{" SHAPE "%d,%s}", n_layers, members);
    ck_assert_int_lt(length, (int)sizeof config);
    folder_write_text("config.json", config);
    folder_write_text("tokenizer.json", "{}"); /* is not looked into for a plan */
    return describe(folder);
}

static void check_plan(const lckv_model *model, const char *expected)
{
    char plan[1024];
    size_t length;
    lckv_model_info info = {.size = sizeof info};
    ck_assert_ok(lckv_model_get_info(model, &info));
    ck_assert_msg(lckv_model_plan(model) != NULL, "%s", info.problem);
    ck_assert_ok(lckv_plan_text(lckv_model_plan(model), plan, sizeof plan, &length));
    ck_assert_str_eq(plan, expected);
}

static void check_problem(const lckv_model *model, const char *expected)
{
    lckv_model_info info = {.size = sizeof info};
    ck_assert_ok(lckv_model_get_info(model, &info));
    ck_assert_ptr_null(lckv_model_plan(model));
    ck_assert_msg(strstr(info.problem, expected) != NULL, "%s lacks %s", info.problem, expected);
}

#define S "\"sliding_attention\""
#define F "\"full_attention\""
#define WINDOW ",\"sliding_window\":4"

static const struct {
    const char *members, *plan;
    int n_layers;
} spellings[] = {
    {"\"use_cla\":false", "0_1_2_3", 4},
    {"\"num_kv_shared_layers\":0,\"num_kv_reuse_layers\":0,\"kv_source_layers\":null", "0_1", 2},
    {"\"num_kv_shared_layers\":3", "0_1_2_2_2_2", 6},
    {"\"num_kv_shared_layers\":4" WINDOW ",\"layer_types\":[" S "," S "," F "," S "," F "," S "," S
     "]",
     "0s_1s_2_1s_2_1s_1s", 7},
    {"\"layer_types\":[" F "," S "]" WINDOW ",\"num_kv_shared_layers\":0", "0_1s", 2},
    {"\"num_kv_reuse_layers\":2", "0_1_2_2_2", 5},
    {"\"num_kv_reuse_layers\":2" WINDOW ",\"layer_types\":[" F "," S "," F "," S "]", "0_1s_1_1s",
     4},
    {"\"use_cla\":true,\"cla_share_factor\":2", "0_0_2_2_4", 5},
    {"\"use_cla\":true,\"cla_share_factor\":3", "0_0_0_3_3_3_6", 7},
    {"\"use_cla\":true", "0_1", 2},
    {"\"use_cla\":false,\"cla_share_factor\":2", "0_1", 2},
    {"\"kv_source_layers\":[0,2,2,2]", "0_2_2_2", 4},
    {"\"kv_source_layers\":[0,0,1]" WINDOW ",\"layer_types\":[" F "," S "," F "]", "0_0s_1", 3},
    /* several that say the same */
    {"\"kv_source_layers\":[0,0,2,2],\"use_cla\":true,\"cla_share_factor\":2", "0_0_2_2", 4},
    {"\"num_kv_shared_layers\":2,\"num_kv_reuse_layers\":2", "0_1_1_1", 4},
    {"\"layer_types\":\"0_3_3_3\",\"kv_source_layers\":[0,3,3,3]", "0_3_3_3", 4},
};

START_TEST(config_json_may_spell_a_plan_in_many_ways)
{
    lckv_model *model = describe_config(spellings[_i].n_layers, spellings[_i].members);
    check_plan(model, spellings[_i].plan);
    lckv_model_release(model);
}
END_TEST

static const struct {
    const char *members, *message;
} refused[] = {
    {"\"num_kv_shared_layers\":4", "num_kv_shared_layers is 4; expected less than the number"},
    {"\"num_kv_shared_layers\":4294967295", "num_kv_shared_layers is 4294967295; expected less"},
    {"\"num_kv_shared_layers\":-1", "num_kv_shared_layers: expected an integer"},
    {"\"num_kv_shared_layers\":2" WINDOW ",\"layer_types\":[" S "," S "," S "," F "]",
     "none of the first 2 layers is full as layer 3 is"},
    {"\"num_kv_shared_layers\":2" WINDOW ",\"layer_types\":[" F "," F "," S "," F "]",
     "none of the first 2 layers is sliding as layer 2 is"},
    {"\"num_kv_reuse_layers\":4", "num_kv_reuse_layers is 4; expected less"},
    {"\"use_cla\":true,\"cla_share_factor\":0", "cla_share_factor is 0"},
    {"\"use_cla\":1", "use_cla: expected true or false"},
    {"\"kv_source_layers\":[0,1,2]", "kv_source_layers has 3 elements; expected 4"},
    {"\"kv_source_layers\":[0,1,2,4]", "kv_source_layers gives layer 3 the source 4"},
    {"\"kv_source_layers\":[0,1,2,true]", "kv_source_layers: expected an integer"},
    {"\"kv_source_layers\":3", "kv_source_layers: expected an array"},
    {"\"num_kv_shared_layers\":1,\"num_kv_reuse_layers\":2",
     "num_kv_shared_layers and num_kv_reuse_layers contradict each other: layer 2 reads layer 2 by "
     "the one and layer 1"},
    {"\"layer_types\":\"0_3_3_3\",\"kv_source_layers\":[0,3,3,2]",
     "layer_types and kv_source_layers contradict each other: layer 3"},
    {"\"layer_types\":[" S "," F "]", "layer_types has 2 entries; expected 4"},
    {"\"layer_types\":[]", "layer_types has 0 entries; expected 4"},
};

START_TEST(config_json_must_not_contradict_itself)
{
    lckv_model *model = describe_config(4, refused[_i].members);
    check_problem(model, refused[_i].message);
    lckv_model_release(model);
}
END_TEST

/* Mistral has a window that files do not name; null says that there is none. */
START_TEST(a_usual_window_may_be_taken_away)
{
    static const struct {
        const char *member, *plan;
    } windows[] = {
        {"", "0s_1s"},
        {",\"sliding_window\":4096", "0s_1s"},
        {",\"sliding_window\":null", "0_1"},
        {",\"sliding_window\":8192", "0_1"}, /* all that it was trained for */
    };
    for (size_t i = 0; i < COUNT(windows); i++) {
        char config[1024];
        snprintf(config, sizeof config,
                 "{\"model_type\":\"mistral\",\"vocab_size\":8,\"hidden_size\":8,"
                 "\"intermediate_size\":8,\"num_attention_heads\":2,\"num_hidden_layers\":2,"
                 "\"max_position_embeddings\":8192%s}",
                 windows[i].member);
        folder_write_text("config.json", config);
        folder_write_text("tokenizer.json", "{}");
        lckv_model *model = describe(folder);
        check_plan(model, windows[i].plan);
        lckv_model_release(model);
    }
}
END_TEST

/* ---- GGUF ---- */

/* What a test says in the keys of a file of four layers, which has tensors for two. */
struct keys {
    const char *plan;          /* lckv.layer_types, or NULL */
    uint32_t own_window;       /* lckv.sliding_window; 0: none */
    int n_sources, sources[4]; /* kv_source_layers */
    int n_kinds;               /* sliding_window_pattern */
    bool sliding[4];
    uint32_t n_shared, window;
    const char *expected, *problem;
    uint32_t expected_window;
};

static const struct keys keys[] = {
    {.n_shared = 2, .expected = "0_1_1_1"},
    {.n_sources = 4, .sources = {0, 3, 3, 3}, .expected = "0_3_3_3"},
    {.n_shared = 2,
     .n_kinds = 4,
     .sliding = {true, false, true, false},
     .window = 7,
     .expected = "0s_1_0s_1",
     .expected_window = 7},
    {.n_kinds = 4, .window = 7, .expected = "0_1_2_3"},
    {.plan = "0_1_1_1",
     .n_shared = 2,
     .n_sources = 4,
     .sources = {0, 1, 1, 1},
     .expected = "0_1_1_1"},
    {.plan = "0s_1_2_3",
     .own_window = 5,
     .window = 7,
     .expected = "0s_1_2_3",
     .expected_window = 5},
    {.plan = "0s_1_2_3", .window = 7, .expected = "0s_1_2_3", .expected_window = 7},
    {.plan = "0_3_3_3", .n_shared = 2, .problem = "lckv.layer_types and llama.attention.shared_kv"},
    {.plan = "0_3_3_3", .n_sources = 4, .problem = "contradict each other: layer 1 reads layer 3"},
    {.plan = "0s_1_2_3",
     .n_kinds = 4,
     .own_window = 3,
     .problem = "lckv.layer_types contradicts the kinds of layers: layer 0 is full"},
    {.n_shared = 4, .problem = "shared_kv_layers is 4; expected less"},
    {.n_sources = 3, .problem = "kv_source_layers\": expected an integer, or an array of 4"},
    {.n_sources = 4, .sources = {0, 1, 2, -1}, .problem = "element 3 is negative"},
    {.n_sources = 4, .sources = {0, 1, 2, 9}, .problem = "gives layer 3 the source 9"},
    {.n_kinds = 3, .window = 7, .problem = "expected an array of 4 bools"},
    {.n_kinds = 4, .sliding = {true}, .problem = "no sliding_window is given"},
    {.window = 7, .problem = "attention.sliding_window is 7, but no key says which layers"},
};

static void write_keys(const struct keys *say)
{
    struct small_model model;
    small_begin(&model);
    struct metadata *m = &model.metadata;
    ck_assert_ok(metadata_set_u32(m, "llama.vocab_size", 8));
    ck_assert_ok(metadata_set_u32(m, "llama.block_count", 4));
    if (say->plan != NULL)
        ck_assert_ok(metadata_set_text(m, "lckv.layer_types", say->plan, strlen(say->plan)));
    if (say->own_window != 0)
        ck_assert_ok(metadata_set_u32(m, "lckv.sliding_window", say->own_window));
    if (say->n_sources != 0)
        ck_assert_ok(metadata_set_i32s(m, "llama.attention.kv_source_layers", say->sources,
                                       (size_t)say->n_sources));
    if (say->n_kinds != 0)
        ck_assert_ok(metadata_set_bools(m, "llama.attention.sliding_window_pattern", say->sliding,
                                        (size_t)say->n_kinds));
    if (say->n_shared != 0)
        ck_assert_ok(metadata_set_u32(m, "llama.attention.shared_kv_layers", say->n_shared));
    if (say->window != 0)
        ck_assert_ok(metadata_set_u32(m, "llama.attention.sliding_window", say->window));
    small_write(&model, folder_path("keys.gguf"));
}

START_TEST(gguf_may_spell_a_plan_in_many_ways)
{
    write_keys(&keys[_i]);
    lckv_model *model = describe(folder_path("keys.gguf"));
    if (keys[_i].problem != NULL) {
        check_problem(model, keys[_i].problem);
    } else {
        lckv_model_info info = {.size = sizeof info};
        check_plan(model, keys[_i].expected);
        ck_assert_ok(lckv_model_get_info(model, &info));
        ck_assert_uint_eq(info.sliding_window, keys[_i].expected_window);
    }
    lckv_model_release(model);
}
END_TEST

/* ---- What a conversion writes ---- */

static const struct {
    const char *plan, *sources, *shared, *window, *pattern; /* NULL: there is no such key */
} written[] = {
    {"0_1_2_3_4_5_6_7", NULL, NULL, NULL, NULL},
    {"0_6_6_6_6_6_6_7", "[0, 6, 6, 6, 6, 6, 6, 7]", NULL, NULL, NULL},
    {"0_1_2_3_3_3_3_3", "[0, 1, 2, 3, 3, 3, 3, 3]", "4", NULL, NULL},
    {"0s_1s_2s_3_3_3_3_3", "[0, 1, 2, 3, 3, 3, 3, 3]", "4", "9",
     "[true, true, true, false, false, false, false, false]"},
    {"0s_1_2s_3_2s_3_2s_3", "[0, 1, 2, 3, 2, 3, 2, 3]", "4", "9",
     "[true, false, true, false, true, false, true, false]"},
    {"0s_1_2s_3_2s_3_2s_1", "[0, 1, 2, 3, 2, 3, 2, 1]", NULL, "9",
     "[true, false, true, false, true, false, true, false]"},
    {"0s_1_2_3_4_5_6_7", NULL, NULL, "9",
     "[true, false, false, false, false, false, false, false]"},
};

static void check_key(const lckv_model *model, const char *suffix, const char *expected)
{
    char key[96], value[256] = "";
    size_t length;
    snprintf(key, sizeof key, "lckv-llama.attention.%s", suffix);
    lckv_status status = lckv_model_metadata(model, key, value, sizeof value, &length);
    ck_assert_int_eq(status, expected != NULL ? LCKV_OK : LCKV_INVALID_ARGUMENT);
    if (expected != NULL)
        ck_assert_str_eq(value, expected);
}

START_TEST(conversions_write_the_keys_of_others_too)
{
    const lckv_convert_options options = {
        .size = sizeof options, .plan = written[_i].plan, .sliding_window = 9};
    ck_assert_ok(
        lckv_convert("tests/data/goldens/standard-llama", folder_path("out.gguf"), &options, NULL));
    lckv_model *model = describe(folder_path("out.gguf"));
    check_plan(model, written[_i].plan);
    check_key(model, "kv_source_layers", written[_i].sources);
    check_key(model, "shared_kv_layers", written[_i].shared);
    check_key(model, "sliding_window", written[_i].window);
    check_key(model, "sliding_window_pattern", written[_i].pattern);
    lckv_model_release(model);
}
END_TEST

/* ---- Which plans other programs run ---- */

/* The first layers of a model of 25 in which the last five share, four of five with a window. */
#define FIVE(a, b, c, d, e) #a "s_" #b "s_" #c "s_" #d "s_" #e "_"
#define FIFTEEN FIVE(0, 1, 2, 3, 4) FIVE(5, 6, 7, 8, 9) FIVE(10, 11, 12, 13, 14)

static const struct {
    const char *architecture, *plan;
    const char *ropes; /* "s": as layers with a window rotate; NULL: by the windows of the plan */
    bool is_common;
} commons[] = {
    {"llama", "0_1", NULL, false},
    {"gemma4", "0_1", NULL, true},
    {"gemma4", "0_1", "fs", false}, /* has lost its window */
    {"gemma4", "0s_1", "ff", false},
    {"gemma4", "0s_1_2s_3", NULL, true},
    {"gemma4", "0s_1_2s_3_2s_3", NULL, true},
    {"gemma4", "0s_1_2s_3_0s_3", NULL, false}, /* not the last of its kind */
    {"gemma4", "0s_1_2s_3_2s_1", NULL, false},
    {"gemma4", "0s_1_1", NULL, true},
    {"gemma4", "0s_1s_1s", NULL, false}, /* without a full one that is not shared */
    {"gemma4", "0_1_1", NULL, false},
    {"gemma4", "0_1s_0", NULL, false},
    {"gemma4", "0_0", NULL, false},
    {"gemma4", "1_1", NULL, false},
    {"gemma3n", FIFTEEN "15s_16s_17s_18s_19_18s_18s_18s_18s_19", NULL, true},
    {"gemma3n", FIFTEEN "15s_16s_17s_18s_19_20s_20s_20s_20s_19", NULL, false},
    {"gemma3n", FIFTEEN "15s_16s_17s_18s_19_20s_21s_22s_23s_24", NULL, false},
    {"gemma3n", FIFTEEN "15s_16s_17s_18_19s_19s_19s_19s_19s_18", NULL, false},
    {"gemma3n", FIVE(0, 1, 2, 3, 4) "5s", NULL, true},
    {"gemma3n", FIVE(0, 1, 2, 3, 4) "5", NULL, false},
    {"gemma3n", FIVE(0, 1, 2, 3, 4) "3s", NULL, false},
};

START_TEST(other_programs_run_plans_of_these_kinds)
{
    static struct hparams h;
    static struct layer_hparams layers[32];
    struct lckv_plan *plan;
    const char *name = commons[_i].architecture, *text = commons[_i].plan;
    uint32_t n_layers = 1;
    for (const char *c = text; *c != '\0'; c++)
        n_layers += *c == '_';
    ck_assert_ok(plan_parse(text, strlen(text), n_layers, &memory_default_allocator, &plan));
    h.architecture = architecture_from_gguf((struct text){name, strlen(name)});
    h.n_layers = n_layers;
    h.layers = layers;
    for (uint32_t i = 0; i < n_layers; i++) {
        const char *ropes = commons[_i].ropes;
        layers[i].rope = ropes != NULL ? ropes[i] == 's' : plan->layers[i].windowed;
    }
    ck_assert_int_eq(hparams_plan_is_common(&h, plan), commons[_i].is_common);
    plan_release(plan);
}
END_TEST

/* ---- Configurations of models without weights, and of those that cannot run ---- */

/* Bytes of keys and values of a token in bf16: in full slots, and in rings of 512. */
static void check_gemma(const char *path, uint64_t full, uint64_t ring, uint32_t n_windowed,
                        uint32_t n_slots)
{
    lckv_kv_shape shapes[64];
    lckv_model *model = describe(path);
    lckv_model_info info = {.size = sizeof info};
    lckv_plan_info plan = {.size = sizeof plan};
    lckv_memory_report report = {.size = sizeof report}, longer = {.size = sizeof longer};
    ck_assert_ok(lckv_model_get_info(model, &info));
    ck_assert_ok(lckv_plan_get_info(lckv_model_plan(model), &plan));
    ck_assert_uint_eq(plan.n_slots, n_slots);
    ck_assert_uint_eq(plan.n_windowed_slots, n_windowed);
    ck_assert_uint_eq(info.sliding_window, 512);
    for (uint32_t i = 0; i < info.n_layers; i++) {
        lckv_model_layer layer = {.size = sizeof layer};
        ck_assert_ok(lckv_model_get_layer(model, i, &layer));
        shapes[i] = layer.kv_shape;
    }
    lckv_memory_request request = {.size = sizeof request,
                                   .plan = lckv_model_plan(model),
                                   .kv_dtype = LCKV_DTYPE_BF16,
                                   .sliding_window = info.sliding_window,
                                   .kv_shapes = shapes,
                                   .n_kv_shapes = info.n_layers,
                                   .context = 65536};
    ck_assert_ok(lckv_memory_estimate(&request, &report));
    ck_assert_uint_eq(report.full_bytes_per_token, full);
    ck_assert_uint_eq(report.bytes_per_token, full + ring);
    request.context *= 2; /* the rings are full: twice the tokens take only so much more */
    ck_assert_ok(lckv_memory_estimate(&request, &longer));
    ck_assert_uint_eq(longer.bytes_per_session - report.bytes_per_session, 65536 * full);
    lckv_model_release(model);
}

/* 12 and 20 sliding layers, and 3 and 4 full ones, have keys and values of their own. */
START_TEST(the_caches_of_gemma_4_are_planned_without_weights)
{
    check_gemma("tests/data/gemma4-e2b", 3 * 2048, 12 * 1024, 12, 15);
    check_gemma("tests/data/gemma4-e4b", 4 * 4096, 20 * 2048, 20, 24);
}
END_TEST

#define GEMMA                                                                           \
    "{\"model_type\":\"gemma4\",\"text_config\":{\"enable_moe_block\":true,"            \
    "\"intermediate_size\":8,\"vocab_size\":8,\"hidden_size\":8,"                       \
    "\"hidden_size_per_layer_input\":0,"                                                \
    "\"num_attention_heads\":2,\"max_position_embeddings\":64,\"num_hidden_layers\":4," \
    "\"num_kv_shared_layers\":2,\"layer_types\":[" S "," F "," S "," F "],\"sliding_window\":4,"

static const struct {
    const char *members;
    uint32_t heads[4], dims[4];
    bool refused;
} gemmas[] = {
    {"\"head_dim\":16,\"global_head_dim\":32,\"num_key_value_heads\":2",
     {2, 2, 2, 2},
     {16, 32, 16, 32},
     false},
    /* full layers have heads of 512 elements if nothing is said about them */
    {"\"head_dim\":16,\"num_key_value_heads\":2,\"num_global_key_value_heads\":1",
     {2, 2, 2, 2},
     {16, 512, 16, 512},
     false},
    {"\"head_dim\":16,\"num_key_value_heads\":2,\"num_global_key_value_heads\":1,"
     "\"attention_k_eq_v\":true",
     {2, 1, 2, 1},
     {16, 512, 16, 512},
     false},
    {"\"head_dim\":16,\"num_key_value_heads\":2,\"per_layer_config\":{\"1\":{\"head_dim\":8},"
     "\"3\":{\"head_dim\":8,\"num_key_value_heads\":2}}",
     {2, 2, 2, 2},
     {16, 8, 16, 8},
     false},
    /* what is said of all full layers does not count beside per_layer_config */
    {"\"head_dim\":16,\"global_head_dim\":32,\"num_key_value_heads\":2,\"per_layer_config\":{}",
     {2, 2, 2, 2},
     {16, 16, 16, 16},
     false},
    /* a layer that reads another shape than its own; impossible numbers; names of no layers */
    {"\"head_dim\":16,\"num_key_value_heads\":2,\"per_layer_config\":{\"3\":{\"head_dim\":8}}",
     {0},
     {0},
     true},
    {"\"head_dim\":16,\"num_key_value_heads\":0", {0}, {0}, true},
    {"\"head_dim\":100000,\"num_key_value_heads\":1", {0}, {0}, true},
    {"\"head_dim\":16,\"num_key_value_heads\":2,\"per_layer_config\":{\"4\":{}}", {0}, {0}, true},
    {"\"head_dim\":16,\"num_key_value_heads\":2,\"per_layer_config\":{\"x\":{}}", {0}, {0}, true},
    {"\"head_dim\":16,\"num_key_value_heads\":2,\"per_layer_config\":{\"\":{}}", {0}, {0}, true},
};

START_TEST(layers_of_gemma_4_have_heads_of_their_own)
{
    char config[1024];
    snprintf(config, sizeof config, GEMMA "%s}}", gemmas[_i].members);
    folder_write_text("config.json", config);
    lckv_model *model = describe(folder);
    lckv_model_info info = {.size = sizeof info};
    ck_assert_ok(lckv_model_get_info(model, &info));
    ck_assert_ptr_nonnull(info.problem);
    ck_assert(gemmas[_i].refused ||
              strstr(info.problem, "enable_moe_block: the model has") != NULL);
    ck_assert_str_eq(info.architecture, "gemma4");
    ck_assert_int_eq(lckv_model_plan(model) == NULL, gemmas[_i].refused);
    for (uint32_t i = 0; !gemmas[_i].refused && i < 4; i++) {
        lckv_model_layer layer = {.size = sizeof layer};
        ck_assert_ok(lckv_model_get_layer(model, i, &layer));
        ck_assert_uint_eq(layer.kv_shape.n_kv_heads, gemmas[_i].heads[i]);
        ck_assert_uint_eq(layer.kv_shape.head_dim, gemmas[_i].dims[i]);
    }
    lckv_model_release(model);
}
END_TEST

/* With or without weights, and whether the model can run or not. */
START_TEST(the_option_sliding_window_takes_the_place_of_the_files)
{
    lckv_model_options options = {.size = sizeof options, .weights = LCKV_WEIGHTS_NONE};
    lckv_model_info info = {.size = sizeof info};
    char config[1024];
    snprintf(config, sizeof config, GEMMA "%s}}", gemmas[0].members);
    folder_write_text("config.json", config);
    for (options.sliding_window = 0; options.sliding_window < 3; options.sliding_window++) {
        lckv_model *model;
        ck_assert_ok(lckv_model_open(folder, &options, &model));
        ck_assert_ok(lckv_model_get_info(model, &info));
        ck_assert_uint_eq(info.sliding_window,
                          options.sliding_window != 0 ? options.sliding_window : 4);
        lckv_model_release(model);
    }
}
END_TEST

static void add_all(Suite *suite)
{
    TCase *tests = tcase_create("plan keys");
    tcase_add_checked_fixture(tests, folder_make, folder_remove);
    tcase_add_loop_test(tests, config_json_may_spell_a_plan_in_many_ways, 0, COUNT(spellings));
    tcase_add_loop_test(tests, config_json_must_not_contradict_itself, 0, COUNT(refused));
    tcase_add_test(tests, a_usual_window_may_be_taken_away);
    tcase_add_loop_test(tests, gguf_may_spell_a_plan_in_many_ways, 0, COUNT(keys));
    tcase_add_loop_test(tests, conversions_write_the_keys_of_others_too, 0, COUNT(written));
    tcase_add_loop_test(tests, other_programs_run_plans_of_these_kinds, 0, COUNT(commons));
    tcase_add_test(tests, the_caches_of_gemma_4_are_planned_without_weights);
    tcase_add_loop_test(tests, layers_of_gemma_4_have_heads_of_their_own, 0, COUNT(gemmas));
    tcase_add_test(tests, the_option_sliding_window_takes_the_place_of_the_files);
    suite_add_tcase(suite, tests);
}

TEST_MAIN("plan keys", add_all)
