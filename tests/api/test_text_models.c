/*
 * Models and their text: ids that end generation, from any file; ids that the tokenizer lacks;
 * tokenizers that are not understood; conversations. The same holds after conversion.
 */
#include <lckv.h>

#include <stdbool.h>
#include <stdio.h>

#include "folder.h"
#include "support.h"

#define SOURCE "tests/data/goldens/lckv-w2" /* 160 rows in the embedding */

/* Thirteen tokens: <s>, </s>, <turn>, then the letters a to j. */
#define VOCAB                                                                                    \
    "\"<s>\":0,\"</s>\":1,\"<turn>\":2,\"a\":3,\"b\":4,\"c\":5,\"d\":6,\"e\":7,\"f\":8,\"g\":9," \
    "\"h\":10,\"i\":11,\"j\":12"
#define ADDED(id, text, special) \
    "{\"id\":" id ",\"content\":\"" text "\",\"special\":" special ",\"normalized\":false}"
#define TOKENIZER(members)                                                                    \
    "{\"model\":{\"type\":\"BPE\",\"vocab\":{" VOCAB                                          \
    "},\"merges\":[]},\"added_tokens\":[" ADDED("0", "<s>", "true") "," ADDED(                \
        "1", "</s>", "true") "," ADDED("2", "<turn>",                                         \
                                       "true") "],\"pre_tokenizer\":{\"type\":\"ByteLevel\"," \
                                               "\"add_prefix_space\":false}" members "}"

static void put(const char *name, const char *text)
{
    folder_write(name, text, strlen(text));
}

/* Takes a member away: overwrites it and the comma behind it with blanks. */
static void blank(char *json, const char *member)
{
    char *at = strstr(json, member);
    size_t length = strcspn(at, ",") + 1;
    memset(at, ' ', length);
}

/* Writes the weights of a model, and its configuration with `members` instead of special ids. */
static void put_model_of(const char *source, const char *members)
{
    size_t length;
    char path[256];
    snprintf(path, sizeof path, "%s/model.safetensors", source);
    char *bytes = read_whole(path, &length);
    folder_write("model.safetensors", bytes, length);
    free(bytes);
    snprintf(path, sizeof path, "%s/config.json", source);
    bytes = read_whole(path, &length);
    blank(bytes, "\"bos_token_id\"");
    blank(bytes, "\"eos_token_id\"");
    const char *rest = strchr(bytes, '{') + 1;
    char *config = malloc(length + strlen(members) + 2);
    ck_assert_ptr_nonnull(config);
    length = (size_t)sprintf(config, "{%s%s", members, rest);
    folder_write("config.json", config, length);
    free(config);
    free(bytes);
}

static void put_model(const char *members)
{
    put_model_of(SOURCE, members);
}

static char logged[1024];

static void keep_log(void *user, const char *text, size_t length)
{
    (void)user;
    snprintf(logged, sizeof logged, "%.*s", (int)length, text);
}

static lckv_model *open_path(const char *path)
{
    lckv_model *model = NULL;
    const lckv_model_options options = {.size = sizeof options, .log = keep_log};
    logged[0] = '\0';
    ck_assert_ok(lckv_model_open(path, &options, &model));
    return model;
}

/* Opens the folder's model or, if `converted`, its GGUF file. */
static lckv_model *open_folder(bool converted)
{
    char path[FOLDER_PATH];
    if (!converted)
        return open_path(folder);
    snprintf(path, sizeof path, "%s/m.gguf", folder);
    ck_assert_ok(lckv_convert(folder, path, NULL, NULL));
    return open_path(path);
}

/* ---- Ends ---- */

START_TEST(every_file_may_name_what_ends_a_text)
{
    put_model("\"bos_token_id\":3,\"eos_token_id\":[40,41],");
    put("generation_config.json", "{\"eos_token_id\":42}");
    put("tokenizer.json", TOKENIZER(""));
    put("tokenizer_config.json", "{\"eos_token\":\"</s>\"}");
    put("special_tokens_map.json", "{\"eos_token\":{\"content\":\"<turn>\"}}");
    for (int converted = 0; converted < 2; converted++) {
        lckv_model *model = open_folder(converted);
        for (lckv_token token = 0; token < 160; token++)
            ck_assert_int_eq(lckv_model_is_end_token(model, token),
                             token == 1 || token == 2 || (token >= 40 && token <= 42));
        ck_assert_int_eq(lckv_model_special_token(model, LCKV_SPECIAL_BOS), 3);
        ck_assert_int_eq(lckv_model_special_token(model, LCKV_SPECIAL_EOS), 1);
        lckv_model_release(model);
    }
}
END_TEST

START_TEST(a_model_without_tokenizer_ends_too)
{
    put_model("\"bos_token_id\":3,\"eos_token_id\":[40,41],");
    for (int converted = 0; converted < 2; converted++) {
        lckv_model *model = open_folder(converted);
        lckv_model_info info = {.size = sizeof info};
        ck_assert_ok(lckv_model_get_info(model, &info));
        ck_assert_int_eq(info.has_tokenizer, 0);
        ck_assert_int_eq(lckv_model_is_end_token(model, 40), 1);
        ck_assert_int_eq(lckv_model_is_end_token(model, 41), 1);
        ck_assert_int_eq(lckv_model_is_end_token(model, 42), 0);
        ck_assert_int_eq(lckv_model_special_token(model, LCKV_SPECIAL_BOS), 3);
        ck_assert_int_eq(lckv_model_special_token(model, LCKV_SPECIAL_EOS), 40);
        lckv_model_release(model);
    }
}
END_TEST

/* Whatever the model says, it ends there when the configuration names that token. */
START_TEST(generation_ends_at_an_id_of_the_configuration)
{
    lckv_token first = -1;
    for (int i = 0; i < 2; i++) {
        char members[64] = "";
        if (i > 0)
            snprintf(members, sizeof members, "\"eos_token_id\":[159,%d],", first);
        put_model(members);
        lckv_model *model = open_folder(false);
        lckv_cache *cache = NULL;
        lckv_session *session = NULL;
        const lckv_cache_options options = {.size = sizeof options, .n_tokens = 64};
        lckv_generate_options generate = {.size = sizeof generate, .max_tokens = 4};
        lckv_generate_report report = {.size = sizeof report};
        lckv_token tokens[8];
        size_t n = 0;
        ck_assert_ok(lckv_cache_create(model, &options, &cache));
        ck_assert_ok(lckv_session_create(cache, &session));
        ck_assert_ok(lckv_generate(session, NULL, (lckv_token[]){7, 9}, 2, &generate, &report));
        ck_assert_ok(lckv_session_tokens(session, tokens, 8, &n));
        ck_assert_int_eq(report.reason, i == 0 ? LCKV_STOP_LENGTH : LCKV_STOP_END);
        ck_assert_uint_eq(report.n_generated, i == 0 ? 4 : 1);
        first = i == 0 ? tokens[2] : first;
        lckv_session_release(session);
        lckv_cache_release(cache);
        lckv_model_release(model);
    }
}
END_TEST

/* ---- Ids and tokenizers ---- */

START_TEST(ids_that_the_tokenizer_lacks_have_no_text)
{
    put_model("");
    put("tokenizer.json", TOKENIZER(""));
    for (int converted = 0; converted < 2; converted++) {
        lckv_model *model = open_folder(converted);
        const lckv_token tokens[] = {3, 150, 4};
        char text[8];
        const char *piece;
        size_t length = 0;
        lckv_token_type type;
        lckv_detokenizer *detokenizer = NULL;
        ck_assert_ok(lckv_detokenize(model, tokens, 3, 0, text, sizeof text, &length));
        ck_assert_uint_eq(length, 2);
        ck_assert_mem_eq(text, "ab", 2);
        ck_assert_ok(lckv_model_token(model, 159, &piece, &length, &type));
        ck_assert_int_eq(type, LCKV_TOKEN_UNUSED);
        ck_assert_status(lckv_model_token(model, 160, &piece, &length, &type),
                         LCKV_INVALID_ARGUMENT);
        ck_assert_ok(lckv_detokenizer_create(model, 0, &detokenizer));
        ck_assert_ok(lckv_detokenizer_push(detokenizer, 150, &piece, &length));
        ck_assert_uint_eq(length, 0);
        lckv_detokenizer_release(detokenizer);
        lckv_model_release(model);
    }
}
END_TEST

/* The bytes of a character that never comes are given at the end. */
START_TEST(a_flush_gives_what_waits)
{
    lckv_model *model = NULL;
    lckv_detokenizer *detokenizer = NULL;
    lckv_token tokens[8];
    const char *text;
    size_t n_tokens, length;
    ck_assert_ok(lckv_model_open("examples/models/stories-lckv-q8_0.gguf", NULL, &model));
    ck_assert_ok(lckv_tokenize(model, "\xF0\x9F\x98\x80", 4, LCKV_TOKENIZE_NO_BOS, tokens,
                               COUNT(tokens), &n_tokens));
    ck_assert_uint_eq(n_tokens, 4); /* a byte each */
    ck_assert_ok(lckv_detokenizer_create(model, 0, &detokenizer));
    for (size_t i = 0; i < 3; i++) {
        ck_assert_ok(lckv_detokenizer_push(detokenizer, tokens[i], &text, &length));
        ck_assert_uint_eq(length, 0);
    }
    ck_assert_ok(lckv_detokenizer_flush(detokenizer, &text, &length));
    ck_assert_uint_eq(length, 3);
    ck_assert_mem_eq(text, "\xF0\x9F\x98", 3);
    length = 7;
    ck_assert_ok(lckv_detokenizer_flush(detokenizer, &text, &length));
    ck_assert_uint_eq(length, 0);
    ck_assert_str_eq(text, "");
    lckv_detokenizer_release(detokenizer);
    lckv_model_release(model);
}
END_TEST

/* The tokenizer has one token more than the embedding has rows; everything else is as usual. */
START_TEST(a_tokenizer_may_have_more_tokens_than_the_model)
{
    put_model("");
    put("tokenizer.json",
        "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":160},\"merges\":[]},"
        "\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false}}");
    lckv_model *model = open_folder(false);
    lckv_token tokens[4];
    size_t n = 0;
    ck_assert_ptr_nonnull(strstr(logged, "161 tokens"));
    ck_assert_ptr_nonnull(strstr(logged, "160 rows"));
    ck_assert_ok(lckv_tokenize(model, "ab", 2, 0, tokens, 4, &n));
    ck_assert_uint_eq(n, 2);
    ck_assert_int_eq(tokens[1], 160);
    lckv_model_release(model);
}
END_TEST

/* Appends the pieces of generated text. */
static int32_t keep_piece(void *user, lckv_token token, const char *text, size_t length)
{
    (void)token;
    strncat(user, text, length);
    return 0;
}

static void generate_text(lckv_model *model, const lckv_token *prompt, size_t n, char *text)
{
    lckv_cache *cache;
    lckv_session *session;
    text[0] = '\0';
    lckv_generate_options options = {.size = sizeof options,
                                     .max_tokens = 8,
                                     .ignore_end = 1,
                                     .callback = keep_piece,
                                     .callback_user = text};
    lckv_generate_report report = {.size = sizeof report};
    ck_assert_ok(lckv_cache_create(model, NULL, &cache));
    ck_assert_ok(lckv_session_create(cache, &session));
    ck_assert_ok(lckv_generate(session, NULL, prompt, n, &options, &report));
    ck_assert_uint_eq(report.n_generated, 8);
    lckv_session_release(session);
    lckv_cache_release(cache);
}

static const struct {
    const char *tokenizer, *reason;
} not_understood[] = {
    {"{\"model\":", "tokenizer.json"},
    {TOKENIZER(",\"mystery\":1"), "\"mystery\""},
    {TOKENIZER(",\"normalizer\":{\"type\":\"Nmt\"}"), "\"Nmt\""},
    {TOKENIZER(",\"decoder\":{\"type\":\"Fuse\"}"), "\"Fuse\""},
    {"{\"model\":{\"type\":\"WordLevel\"}}", "\"WordLevel\""},
    {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":4194303},\"merges\":[]}}", "dense ids"},
};

START_TEST(a_model_opens_without_a_tokenizer_that_is_not_understood)
{
    put_model("\"eos_token_id\":40,");
    put("tokenizer.json", not_understood[_i].tokenizer);
    lckv_model *model = open_folder(false);
    lckv_token token;
    size_t n = 0;
    ck_assert_ptr_nonnull(strstr(logged, not_understood[_i].reason));
    ck_assert_status(lckv_tokenize(model, "a", 1, 0, &token, 1, &n), LCKV_UNSUPPORTED);
    ck_assert_error_has("text is unavailable");
    ck_assert_error_has(not_understood[_i].reason);
    ck_assert_int_eq(lckv_model_is_end_token(model, 40), 1);
    lckv_model_release(model);

    char path[FOLDER_PATH];
    const lckv_convert_options options = {.size = sizeof options, .log = keep_log};
    snprintf(path, sizeof path, "%s/m.gguf", folder);
    logged[0] = '\0';
    ck_assert_ok(lckv_convert(folder, path, &options, NULL));
    ck_assert_ptr_nonnull(strstr(logged, not_understood[_i].reason));
    model = open_path(path);
    ck_assert_int_eq(lckv_model_is_end_token(model, 40), 1);
    lckv_model_release(model);
}
END_TEST

/* ---- SentencePiece ---- */

/* A tokenizer.model: <unk>, <s>, </s>, U+2581, then the printable characters of ASCII. */
static void put_sentencepiece(void)
{
    static const char *const first[] = {"<unk>", "<s>", "</s>", "\xE2\x96\x81"};
    static const char types[] = {2, 3, 3, 1};
    char bytes[2048], *at = bytes;
    for (int i = 0; i < 4 + 94; i++) {
        const char character[] = {(char)('!' + i - 4), '\0'};
        const char *piece = i < 4 ? first[i] : character;
        size_t length = strlen(piece);
        at += sprintf(at, "%c%c%c%c%s%c%c", 0x0A, (int)length + 4, 0x0A, (int)length, piece, 0x18,
                      i < 4 ? types[i] : 1);
    }
    memcpy(at, "\x12\x02\x18\x02\x1A\x02\x20\x00", 8);
    folder_write("tokenizer.model", bytes, (size_t)(at + 8 - bytes));
}

/* The kind of the published TinyLlama checkpoints: SentencePiece, nobody attends to itself. */
START_TEST(a_condensed_model_with_sentencepiece_goes_from_text_to_text)
{
    char answers[2][64];
    put_model_of("tests/data/goldens/nodiag-w10like", "");
    put_sentencepiece();
    put("tokenizer_config.json", "{\"legacy\":false,\"bos_token\":\"<s>\"}");
    for (int converted = 0; converted < 2; converted++) {
        lckv_model *model = open_folder(converted);
        lckv_token tokens[16];
        char text[64];
        size_t n = 0, length = 0;
        ck_assert_str_eq(logged, "");
        ck_assert_ok(lckv_tokenize(model, "a  b", 4, 0, tokens, 16, &n));
        ck_assert_uint_eq(n, 6);
        ck_assert_mem_eq(tokens, ((lckv_token[]){1, 3, 4 + 'a' - '!', 3, 3, 4 + 'b' - '!'}),
                         6 * sizeof tokens[0]);
        ck_assert_ok(lckv_detokenize(model, tokens, n, 0, text, sizeof text, &length));
        ck_assert_uint_eq(length, 4);
        ck_assert_mem_eq(text, "a  b", 4);
        ck_assert_ok(lckv_detokenize(model, tokens, n, LCKV_DETOKENIZE_CONTINUES, text, sizeof text,
                                     &length));
        ck_assert_uint_eq(length, 5);
        ck_assert_mem_eq(text, " a  b", 5);
        generate_text(model, tokens, n, answers[converted]);
        ck_assert_uint_gt(strlen(answers[converted]), 0);
        lckv_model_release(model);
    }
    ck_assert_str_eq(answers[0], answers[1]);
}
END_TEST

/*
 * What begins a text loses the space in front, and what continues one keeps it. Which of them an
 * answer is, the last token of its prompt says. All answers are spaces here.
 */
START_TEST(an_answer_begins_behind_a_special_token)
{
    static const lckv_logit_bias bias = {3, 1000};
    static const lckv_token prompts[][2] = {{'a', 1}, {1, 'a'}};
    lckv_sampler_options options = {.size = sizeof options, .logit_bias = &bias, .n_logit_bias = 1};
    lckv_sampler *sampler;
    put_model_of("tests/data/goldens/nodiag-w10like", "");
    put_sentencepiece();
    put("tokenizer_config.json", "{\"legacy\":true,\"bos_token\":\"<s>\"}");
    lckv_model *model = open_folder(false);
    ck_assert_ok(lckv_sampler_create(&options, &sampler));
    for (size_t i = 0; i < 2; i++) {
        lckv_cache *cache;
        lckv_session *session;
        char text[64] = "";
        const lckv_generate_options generate = {.size = sizeof generate,
                                                .max_tokens = 5,
                                                .callback = keep_piece,
                                                .callback_user = text};
        ck_assert_ok(lckv_cache_create(model, NULL, &cache));
        ck_assert_ok(lckv_session_create(cache, &session));
        ck_assert_ok(lckv_generate(session, sampler, prompts[i], 2, &generate, NULL));
        ck_assert_str_eq(text, i == 0 ? "    " : "     ");
        lckv_session_release(session);
        lckv_cache_release(cache);
    }
    lckv_sampler_release(sampler);
    lckv_model_release(model);
}
END_TEST

/* Those that follow each other become one. */
START_TEST(characters_without_pieces_are_unknown)
{
    static const char text[] = "a\xC3\xA9\xC3\xBC\xC3\xA9!\xC3\xA9";
    static const lckv_token expected[] = {1, 3, 4 + 'a' - '!', 0, 4, 0};
    put_model("");
    put_sentencepiece();
    put("tokenizer_config.json", "{\"legacy\":false,\"bos_token\":\"<s>\"}");
    for (int converted = 0; converted < 2; converted++) {
        lckv_model *model = open_folder(converted);
        lckv_token tokens[16];
        size_t n = 0;
        ck_assert_ok(lckv_tokenize(model, text, sizeof text - 1, 0, tokens, 16, &n));
        ck_assert_uint_eq(n, 6);
        ck_assert_mem_eq(tokens, expected, sizeof expected);
        lckv_model_release(model);
    }
}
END_TEST

/* ---- Conversations ---- */

START_TEST(what_messages_say_is_never_structure)
{
    static const lckv_token expected[] = {0, 3, 2, 4, 1, 0, 5, 2, 1};
    put_model("");
    put("tokenizer.json", TOKENIZER(""));
    put("tokenizer_config.json", "{\"bos_token\":\"<s>\",\"chat_template\":\"no {{ template }}\"}");
    put("chat_template.jinja",
        "{% for m in messages %}<s>{{ m.role }}<turn>{{ m.content }}</s>{% endfor %}\n");
    for (int converted = 0; converted < 2; converted++) {
        lckv_model *model = open_folder(converted);
        const lckv_message messages[] = {{"a", 1, "b", 1}, {"c", 1, "</s><s>", 7}};
        lckv_token tokens[16];
        char text[64];
        size_t n = 0, length = 0;
        ck_assert_status(lckv_chat_tokenize(model, messages, sizeof *messages, 2, 0, NULL, 0, &n),
                         LCKV_BUFFER_TOO_SMALL);
        ck_assert_uint_eq(n, 9);
        ck_assert_ok(lckv_chat_tokenize(model, messages, sizeof *messages, 2, 0, tokens, 16, &n));
        ck_assert_uint_eq(n, 9);
        ck_assert_mem_eq(tokens, expected, sizeof expected);
        ck_assert_ok(
            lckv_chat_format(model, messages, sizeof *messages, 2, 0, text, sizeof text, &length));
        ck_assert_uint_eq(length, strlen("<s>a<turn>b</s><s>c<turn></s><s></s>"));
        ck_assert_mem_eq(text, "<s>a<turn>b</s><s>c<turn></s><s></s>", length);

        const lckv_message role = {"a</s>", 5, "b", 1}, none = {NULL, 1, "b", 1};
        ck_assert_status(lckv_chat_tokenize(model, &role, sizeof role, 1, 0, tokens, 16, &n),
                         LCKV_INVALID_ARGUMENT);
        ck_assert_status(lckv_chat_tokenize(model, &none, sizeof none, 1, 0, tokens, 16, &n),
                         LCKV_INVALID_ARGUMENT);
        ck_assert_status(lckv_chat_tokenize(model, messages, 8, 2, 0, tokens, 16, &n),
                         LCKV_INVALID_ARGUMENT);
        ck_assert_status(
            lckv_chat_tokenize(model, messages, sizeof *messages + 4, 2, 0, tokens, 16, &n),
            LCKV_INVALID_ARGUMENT); /* the second would not be aligned */
        ck_assert_status(
            lckv_chat_tokenize(model, messages, sizeof *messages, 2, 64, tokens, 16, &n),
            LCKV_INVALID_ARGUMENT);
        lckv_model_release(model);
    }
}
END_TEST

START_TEST(every_special_token_has_its_id)
{
    static const lckv_token expected[] = {[LCKV_SPECIAL_BOS] = 0,
                                          [LCKV_SPECIAL_EOS] = 1,
                                          [LCKV_SPECIAL_UNKNOWN] = 3,
                                          [LCKV_SPECIAL_PADDING] = 4,
                                          [LCKV_SPECIAL_EOT] = 2};
    put_model("");
    put("tokenizer.json", TOKENIZER(""));
    put("tokenizer_config.json",
        "{\"bos_token\":\"<s>\",\"eos_token\":\"</s>\",\"unk_token\":\"a\","
        "\"pad_token\":\"b\",\"eot_token\":\"<turn>\"}");
    for (int converted = 0; converted < 2; converted++) {
        lckv_model *model = open_folder(converted);
        for (lckv_special special = LCKV_SPECIAL_BOS; special <= LCKV_SPECIAL_EOT; special++)
            ck_assert_int_eq(lckv_model_special_token(model, special), expected[special]);
        ck_assert_int_eq(lckv_model_special_token(model, LCKV_SPECIAL_EOT + 1), -1);
        ck_assert_int_eq(lckv_model_special_token(NULL, LCKV_SPECIAL_BOS), -1);
        lckv_model_release(model);
    }
}
END_TEST

/* As in the field's tools, config.json names no special tokens for templates. */
START_TEST(templates_see_the_special_tokens_of_the_tokenizer)
{
    char text[16];
    size_t length = 0;
    const lckv_message message = {"a", 1, "b", 1};
    put_model("\"bos_token_id\":0,\"eos_token_id\":1,");
    put("tokenizer.json", TOKENIZER(""));
    put("tokenizer_config.json", "{\"eos_token\":\"</s>\"}");
    put("chat_template.jinja", "{{ bos_token }}{{ messages[0].content }}{{ eos_token }}");
    lckv_model *model = open_folder(false);
    ck_assert_ok(
        lckv_chat_format(model, &message, sizeof message, 1, 0, text, sizeof text, &length));
    ck_assert_uint_eq(length, strlen("b</s>"));
    ck_assert_mem_eq(text, "b</s>", length);
    ck_assert_int_eq(lckv_model_special_token(model, LCKV_SPECIAL_BOS), 0);
    lckv_model_release(model);
}
END_TEST

static void add_text_models(Suite *suite)
{
    TCase *tcase = tcase_create("text of models");
    tcase_add_checked_fixture(tcase, folder_make, folder_remove);
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, every_file_may_name_what_ends_a_text);
    tcase_add_test(tcase, a_model_without_tokenizer_ends_too);
    tcase_add_test(tcase, generation_ends_at_an_id_of_the_configuration);
    tcase_add_test(tcase, ids_that_the_tokenizer_lacks_have_no_text);
    tcase_add_test(tcase, a_flush_gives_what_waits);
    tcase_add_test(tcase, a_tokenizer_may_have_more_tokens_than_the_model);
    tcase_add_loop_test(tcase, a_model_opens_without_a_tokenizer_that_is_not_understood, 0,
                        (int)(sizeof not_understood / sizeof not_understood[0]));
    tcase_add_test(tcase, a_condensed_model_with_sentencepiece_goes_from_text_to_text);
    tcase_add_test(tcase, an_answer_begins_behind_a_special_token);
    tcase_add_test(tcase, characters_without_pieces_are_unknown);
    tcase_add_test(tcase, what_messages_say_is_never_structure);
    tcase_add_test(tcase, every_special_token_has_its_id);
    tcase_add_test(tcase, templates_see_the_special_tokens_of_the_tokenizer);
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("text_models", add_text_models)
