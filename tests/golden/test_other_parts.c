/*
 * Directories of models that also have parts for images and sound run as the text model alone: its
 * members stand in text_config, and its tensors have another prefix. Made from the models of
 * tests/data/architectures, whose logits theirs must be.
 */
#include "architectures.h"

#define N_VOCAB 97

static char said[8192];

static void keep(void *user, const char *text, size_t length)
{
    const size_t used = strlen(said);
    (void)user;
    snprintf(said + used, sizeof said - used, "%.*s\n", (int)length, text);
}

/* How often `part` occurs in `text`. */
static int count_in(const char *text, const char *part)
{
    int n = 0;
    while ((text = strstr(text, part)) != NULL) {
        text++;
        n++;
    }
    return n;
}

/* Replaces each `from` in a text; the caller frees the result, and no longer has the text. */
static char *replaced(char *text, const char *from, const char *to)
{
    const size_t most = strlen(text) + (size_t)count_in(text, from) * strlen(to) + 1;
    char *result = calloc(most, 1);
    ck_assert_ptr_nonnull(result);
    const char *at = text;
    for (const char *next; (next = strstr(at, from)) != NULL; at = next + strlen(from)) {
        strncat(result, at, (size_t)(next - at));
        strcat(result, to);
    }
    strcat(result, at);
    free(text);
    return result;
}

/*
 * The weights of a fixture under another prefix, with tensors of other parts, and the embedding
 * once more under the name `head` unless that is NULL.
 */
static void write_weights(int fixture, const char *prefix, const char *outer, const char *head)
{
    static const char zeros[64];
    size_t length;
    char *bytes = read_whole(path_of(fixture, "/model.safetensors"), &length);
    uint64_t n_header;
    memcpy(&n_header, bytes, sizeof n_header);
    char *header = calloc(n_header + 1, 1), more[1024];
    ck_assert_ptr_nonnull(header);
    memcpy(header, bytes + 8, n_header);
    const size_t n_data = length - 8 - n_header;
    const char *embedding =
        json_get(header, "model.embed_tokens.weight"); /* both begin with the same bytes */
    const char *shape = json_first(json_get(embedding, "shape"));
    const char *offsets = json_first(json_get(embedding, "data_offsets"));
    const size_t begin = (size_t)json_long(offsets), end = (size_t)json_long(json_next(offsets));
    const bool is_float = json_is_text(json_get(embedding, "dtype"), "F32");
    int used = snprintf(
        more, sizeof more,
        ",\"%svision_tower.encoder.layers.0.norm.weight\":{\"dtype\":\"F32\",\"shape\":[4],"
        "\"data_offsets\":[%zu,%zu]},\"%svision_tower.odd\":{\"dtype\":\"I64\",\"shape\":[4],"
        "\"data_offsets\":[%zu,%zu]},\"%sembed_audio.proj.weight\":{\"dtype\":\"F32\","
        "\"shape\":[2,2],\"data_offsets\":[%zu,%zu]}",
        outer, n_data, n_data + 16, outer, n_data + 16, n_data + 48, outer, n_data + 48,
        n_data + 64);
    if (head != NULL)
        used +=
            snprintf(more + used, sizeof more - (size_t)used,
                     ",\"%s\":{\"dtype\":\"%s\",\"shape\":[%ld,%ld],\"data_offsets\":[%zu,%zu]}",
                     head, is_float ? "F32" : "BF16", json_long(shape), json_long(json_next(shape)),
                     n_data + 64, n_data + 64 + end - begin);
    header = replaced(header, "\"model.", prefix);
    char *close = strrchr(header, '}');
    ck_assert_ptr_nonnull(close);
    *close = '\0';
    n_header = strlen(header) + (size_t)used + 1;
    FILE *file = fopen(folder_path("model.safetensors"), "wb");
    ck_assert_ptr_nonnull(file);
    fwrite(&n_header, sizeof n_header, 1, file);
    fprintf(file, "%s%s}", header, more);
    fwrite(bytes + length - n_data, 1, n_data, file);
    fwrite(zeros, 1, sizeof zeros, file);
    if (head != NULL)
        fwrite(bytes + length - n_data + begin, 1, end - begin, file);
    ck_assert_int_eq(fclose(file), 0);
    free(header);
    free(bytes);
}

/* config.json with the fixture's in text_config, where `from` is changed to `to`. */
static void write_config(int fixture, const char *type, const char *from, const char *to,
                         const char *beside)
{
    char *inner = replaced(read_whole(path_of(fixture, "/config.json"), NULL), from, to);
    if (strcmp(type, "gemma4_unified") == 0)
        inner = replaced(inner, "\"vocab_size_per_layer_input\": 97,", "");
    char *config = calloc(strlen(inner) + strlen(beside) + 256, 1);
    ck_assert_ptr_nonnull(config);
    sprintf(config,
            "{\"model_type\":\"%s\",\"architectures\":[\"Gemma\"],\"text_config\":%s,"
            "\"vision_config\":{\"hidden_size\":8},\"image_token_index\":5%s}",
            type, inner, beside);
    folder_write_text("config.json", config);
    free(config);
    free(inner);
}

static const struct {
    const char *folder, *type, *from, *to; /* in text_config */
    const char *prefix, *outer;            /* of tensors, with a quotation mark, and without */
    const char *head, *beside;
} directories[] = {
    {"gemma3", "gemma3", "gemma3_text", "gemma3_text", "\"model.language_model.", "model.", NULL,
     ""},
    {"gemma3", "gemma3", "gemma3_text", "gemma3_text", "\"language_model.model.", "", NULL, ""},
    {"gemma3", "gemma3", "\"tie_word_embeddings\": true,", "", "\"language_model.model.", "",
     "language_model.lm_head.weight", ",\"tie_word_embeddings\":false"},
    {"gemma3", "gemma3", "\"tie_word_embeddings\": true,", "", "\"model.language_model.", "model.",
     "lm_head.weight", ",\"tie_word_embeddings\":false"},
    {"gemma4-inputs", "gemma4", "gemma4_text", "gemma4_text", "\"model.language_model.", "model.",
     NULL, ",\"tie_word_embeddings\":true"},
    {"gemma4-keys", "gemma4", "gemma4_text", "gemma4_text", "\"model.language_model.", "model.",
     NULL, ""},
    {"gemma3n", "gemma3n", "gemma3n_text", "gemma3n_text", "\"model.language_model.", "model.",
     NULL, ""},
    {"gemma4-keys", "gemma4_unified", "gemma4_text", "gemma4_unified_text",
     "\"model.language_model.", "model.", NULL, ""},
};

static void write_directory(int i)
{
    const int fixture = fixture_of(directories[i].folder);
    write_config(fixture, directories[i].type, directories[i].from, directories[i].to,
                 directories[i].beside);
    write_weights(fixture, directories[i].prefix, directories[i].outer, directories[i].head);
}

START_TEST(directories_with_other_parts_have_the_same_bits)
{
    const int fixture = fixture_of(directories[_i].folder);
    struct safetensors golden;
    char path[FOLDER_PATH], converted[FOLDER_PATH];
    safetensors_open(&golden, path_of(fixture, "/golden.safetensors"));
    const struct safetensors_array *tokens = safetensors_find(&golden, "tokens");
    const size_t n = tokens->n_elements;
    write_directory(_i);
    folder_join(path, "");
    folder_join(converted, "model.gguf");
    said[0] = '\0';
    lckv_model_options options = {
        .precision = LCKV_PRECISION_FULL, .gemm = LCKV_GEMM_OWN, .log = keep};
    lckv_model *models[] = {open_full(path_of(fixture, "")), open_model(path, options), NULL};
    ck_assert_str_eq(said,
                     "the tensors of vision_tower (2) are not used: the model runs on text alone\n"
                     "the tensors of embed_audio (1) are not used: the model runs on text alone\n");
    lckv_convert_options convert = {.size = sizeof convert};
    ck_assert_ok(lckv_convert(path, converted, &convert, NULL));
    models[2] = open_full(converted);
    ck_assert_int_eq(
        strncmp(directories[_i].type, info_of(models[1]).architecture, strlen("gemma3")), 0);
    ck_assert_str_eq(info_of(models[1]).architecture, info_of(models[0]).architecture);
    ck_assert_str_eq(info_of(models[2]).architecture, fixtures[fixture].architecture);
    ck_assert_int_eq(info_of(models[1]).is_tied, directories[_i].head == NULL);
    if (directories[_i].head == NULL)
        ck_assert_uint_eq(info_of(models[1]).n_parameters, info_of(models[0]).n_parameters);
    float *expected = logits_of(models[0], tokens->data, n, n);
    for (size_t m = 0; m < COUNT(models); m++) {
        float *logits = logits_of(models[m], tokens->data, n, n);
        ck_assert_mem_eq(logits, expected, n * N_VOCAB * sizeof *logits);
        free(logits);
        lckv_model_release(models[m]);
    }
    free(expected);
    safetensors_close(&golden);
}
END_TEST

static const struct {
    const char *folder, *type, *from, *to, *beside, *message;
    lckv_status status;
} refused[] = {
    {"gemma3", "gemma4", "x", "x", "", "text_config: model_type \"gemma3_text\"; expected gemma4_t",
     LCKV_UNSUPPORTED},
    {"gemma3", "gemma5", "x", "x", "", "model_type \"gemma5\"; expected llama", LCKV_UNSUPPORTED},
    {"gemma3", "gemma3", "\"head_dim\": 16", "\"head_dim\": \"16\"", "",
     "config.json: text_config: head_dim: expected an integer", LCKV_BAD_FORMAT},
    {"gemma3", "gemma3", "\"hidden_size\"", "\"lost\"", "",
     "config.json: text_config has no hidden_size", LCKV_BAD_FORMAT},
    {"gemma3", "gemma3", "\"rope_theta\": 1000000.0", "\"rope_theta\": true", "",
     "config.json: text_config: rope scaling: rope_theta", LCKV_BAD_FORMAT},
    {"gemma3", "gemma3", "\"use_cache\": true", "\"clip_qkv\": true", "",
     "config.json: text_config: clip_qkv is given", LCKV_UNSUPPORTED},
    {"gemma3", "gemma3", "x", "x", ",\"tie_word_embeddings\":false",
     "config.json: tie_word_embeddings is false, but not in text_config", LCKV_UNSUPPORTED},
    {"gemma3", "gemma3", "x", "x", ",\"tie_word_embeddings\":0",
     "config.json: tie_word_embeddings: expected true or false", LCKV_BAD_FORMAT},
    {"gemma3", "gemma3", "x", "x", ",\"quantization_config\":{\"quant_method\":\"gptq\"}",
     "quant_method \"gptq\"; expected fp8", LCKV_UNSUPPORTED},
    {"gemma4-keys", "gemma4", "\"enable_moe_block\": false", "\"enable_moe_block\": true", "",
     "config.json: text_config: enable_moe_block: the model has experts, which lckv does not "
     "compute; take a model of the same family that has none",
     LCKV_UNSUPPORTED},
    {"gemma4-keys", "gemma4", "\"enable_moe_block\": false",
     "\"enable_moe_block\": false, \"num_experts\": 8", "",
     "config.json: text_config: num_experts: the model has experts", LCKV_UNSUPPORTED},
    {"gemma4-inputs", "gemma4_unified", "gemma4_text", "gemma4_unified_text", "",
     "hidden_size_per_layer_input is given", LCKV_UNSUPPORTED},
};

START_TEST(other_configurations_are_refused_by_name)
{
    const int fixture = fixture_of(refused[_i].folder);
    lckv_model *model = NULL;
    write_config(fixture, refused[_i].type, refused[_i].from, refused[_i].to, refused[_i].beside);
    write_weights(fixture, "\"model.language_model.", "model.", NULL);
    ck_assert_int_eq(lckv_model_open(folder, NULL, &model), refused[_i].status);
    ck_assert_error_has(refused[_i].message);
}
END_TEST

static void check_refused(const char *config, const char *message)
{
    lckv_model *model = NULL;
    folder_write_text("config.json", config);
    write_weights(fixture_of("gemma3"), "\"model.language_model.", "model.", NULL);
    ck_assert_int_eq(lckv_model_open(folder, NULL, &model), LCKV_BAD_FORMAT);
    ck_assert_error_has(message);
}

START_TEST(a_model_with_other_parts_has_a_text_config)
{
    check_refused("{\"model_type\":\"gemma3\",\"hidden_size\":32}",
                  "config.json has no text_config");
    check_refused("{\"model_type\":\"gemma3\",\"text_config\":[]}", "text_config: expected an obj");
    check_refused("{\"model_type\":\"gemma3\",\"text_config\":{}}",
                  "config.json: text_config has no num_hidden_layers");
}
END_TEST

/* Members of the text model that stand beside text_config are not read, and members are checked. */
START_TEST(unknown_members_of_both_kinds_get_a_remark)
{
    lckv_model_options options = {.log = keep};
    write_config(fixture_of("gemma3"), "gemma3", "\"use_cache\": true", "\"novelty\": 1",
                 ",\"oddity\":2,\"rope_theta\":3,\"num_experts\":4,\"dtype\":\"bfloat16\"");
    write_weights(fixture_of("gemma3"), "\"model.language_model.", "model.", NULL);
    said[0] = '\0';
    lckv_model_release(open_model(folder, options));
    ck_assert_int_eq(count_in(said, "of the configuration is not known and not used"), 4);
    ck_assert_ptr_nonnull(strstr(said, "\"novelty\" of"));
    ck_assert_ptr_nonnull(strstr(said, "\"oddity\" of"));
    ck_assert_ptr_nonnull(strstr(said, "\"rope_theta\" of"));
    ck_assert_ptr_nonnull(strstr(said, "\"num_experts\" of"));
}
END_TEST

/* Tensors that stand there twice, under a new name and as in a text model, are refused. */
START_TEST(names_that_become_one_are_refused)
{
    lckv_model *model = NULL;
    write_config(fixture_of("gemma3"), "gemma3", "x", "x", "");
    write_weights(fixture_of("gemma3"), "\"model.language_model.", "model.",
                  "language_model.model.norm.weight");
    ck_assert_int_eq(lckv_model_open(folder, NULL, &model), LCKV_BAD_FORMAT);
    ck_assert_error_has("duplicate tensor \"model.norm.weight\"");
}
END_TEST

/* As Gemma 3 4B was released: what is not there is as in all models of the family. */
START_TEST(members_that_released_files_lack_are_known)
{
    lckv_model_options options = {.weights = LCKV_WEIGHTS_NONE, .log = keep};
    folder_write_text(
        "config.json",
        "{\"architectures\":[\"Gemma3ForConditionalGeneration\"],\"boi_token_index\":255999,"
        "\"eoi_token_index\":256000,\"eos_token_id\":[1,106],\"image_token_index\":262144,"
        "\"initializer_range\":0.02,\"mm_tokens_per_image\":256,\"model_type\":\"gemma3\","
        "\"text_config\":{\"hidden_size\":2560,\"intermediate_size\":10240,"
        "\"model_type\":\"gemma3_text\",\"num_hidden_layers\":34,\"rope_scaling\":{\"factor\":8.0,"
        "\"rope_type\":\"linear\"},\"sliding_window\":1024},\"torch_dtype\":\"bfloat16\","
        "\"transformers_version\":\"4.50.0.dev0\",\"vision_config\":{\"hidden_size\":1152}}");
    said[0] = '\0';
    lckv_model *model = open_model(folder, options);
    const lckv_model_info info = info_of(model);
    ck_assert_str_eq(said, "");
    ck_assert_str_eq(info.architecture, "gemma3");
    ck_assert_ptr_nonnull(strstr(info.problem, "model.safetensors"));
    ck_assert_uint_eq(info.n_vocab, 262208);
    ck_assert_uint_eq(info.n_heads, 8);
    ck_assert_uint_eq(info.n_kv_heads, 4);
    ck_assert_uint_eq(info.head_dim, 256);
    ck_assert_uint_eq(info.context_length, 131072);
    ck_assert_uint_eq(info.sliding_window, 1024);
    ck_assert(info.is_tied != 0);
    ck_assert_float_eq(info.rope_theta, 1e6f);
    ck_assert_uint_eq(plan_info_of(model).n_windowed_slots, 34 - 5);
    lckv_model_release(model);
}
END_TEST

static void add_other_parts(Suite *suite)
{
    TCase *tcase = tcase_create("other parts");
    tcase_add_checked_fixture(tcase, folder_make, folder_remove);
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, directories_with_other_parts_have_the_same_bits, 0,
                        COUNT(directories));
    tcase_add_loop_test(tcase, other_configurations_are_refused_by_name, 0, COUNT(refused));
    tcase_add_test(tcase, a_model_with_other_parts_has_a_text_config);
    tcase_add_test(tcase, unknown_members_of_both_kinds_get_a_remark);
    tcase_add_test(tcase, names_that_become_one_are_refused);
    tcase_add_test(tcase, members_that_released_files_lack_are_known);
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("other parts", add_other_parts)
