/*
 * What stands before a tokenizer's model, against the reference: tests/data/text/pipelines.json has
 * many normalisers, pre-tokenizers and added tokens, and hashes of the ids that Hugging Face's
 * tokenizers gives for a list of texts. Each tokenizer is tested as tokenizer.json has it, and read
 * back from GGUF metadata.
 */
#include "text/chat.h"

#include "text_support.h"

#define MAX_JSON 65536

/* Appends a value to a text in JSON, behind what names it. */
static void append(char *json, size_t *length, const char *before, const struct json_value *value)
{
    *length += (size_t)snprintf(json + *length, MAX_JSON - *length, "%s", before);
    size_t n = json_write(value, json + *length, MAX_JSON - *length);
    ck_assert_uint_lt(n, MAX_JSON - *length - 64);
    *length += n;
    json[*length] = '\0';
}

static struct tokenizer *tokenizer_of_pipeline(const struct json_value *root,
                                               const struct json_value *pipeline)
{
    char *json = malloc(MAX_JSON);
    size_t length = 0;
    ck_assert_ptr_nonnull(json);
    append(json, &length, "{\"model\":", json_find(root, "model"));
    length--; /* the model's } */
    append(json, &length, ",\"ignore_merges\":", json_find(pipeline, "ignore_merges"));
    append(json, &length, "},\"normalizer\":", json_find(pipeline, "normalizer"));
    append(json, &length, ",\"pre_tokenizer\":", json_find(pipeline, "pre_tokenizer"));
    append(json, &length, ",\"added_tokens\":", json_find(pipeline, "added_tokens"));
    strcpy(json + length, "}");
    struct tokenizer *tokenizer = tokenizer_of_json(json, "");
    free(json);
    return tokenizer;
}

/* FNV-1a of the ids, each with a blank behind it. */
static uint32_t hash_tokens(const lckv_token *tokens, size_t n_tokens)
{
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < n_tokens; i++) {
        char id[16];
        int length = snprintf(id, sizeof id, "%d ", tokens[i]);
        for (int j = 0; j < length; j++)
            hash = (hash ^ (uint8_t)id[j]) * 16777619u;
    }
    return hash;
}

static void check_hashes(const struct tokenizer *tokenizer, const char *name,
                         const struct json_value *texts, const char *hashes)
{
    size_t i = 0;
    for (const struct json_value *value = json_first(texts); value != NULL;
         value = json_next(texts, value), i++) {
        struct text text = json_text(value);
        lckv_token tokens[MAX_TOKENS];
        char hash[9];
        size_t n_tokens = encode(tokenizer, text.bytes, text.length, 0, tokens);
        snprintf(hash, sizeof hash, "%08x", hash_tokens(tokens, n_tokens));
        ck_assert_msg(memcmp(hash, hashes + 8 * i, 8) == 0, "%s: text %zu, %s: other ids", name, i,
                      text.bytes);
    }
}

START_TEST(ids_are_those_of_the_reference)
{
    char *text = read_data("pipelines");
    struct json_document document;
    ck_assert_ok(
        json_parse(text, strlen(text), "pipelines.json", &memory_default_allocator, &document));
    const struct json_value *texts = json_find(document.root, "texts");
    const struct json_value *pipelines = json_find(document.root, "pipelines");
    ck_assert_uint_ge(json_count(texts), 40);
    ck_assert_uint_ge(json_count(pipelines), 100);
    for (const struct json_value *pipeline = json_first(pipelines); pipeline != NULL;
         pipeline = json_next(pipelines, pipeline)) {
        const char *name = json_text(json_find(pipeline, "name")).bytes;
        struct text hashes = json_text(json_find(pipeline, "hashes"));
        ck_assert_uint_eq(hashes.length, 8 * json_count(texts));
        struct tokenizer *tokenizer = tokenizer_of_pipeline(document.root, pipeline);
        struct tokenizer *rewritten = tokenizer_rewritten(tokenizer);
        check_hashes(tokenizer, name, texts, hashes.bytes);
        check_hashes(rewritten, name, texts, hashes.bytes);
        tokenizer_release(rewritten);
        tokenizer_release(tokenizer);
    }
    json_release(&document);
    free(text);
}
END_TEST

/* ---- Members that are left out ---- */

#define SPLIT(members) \
    "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"[a-m]+\"},\"behavior\":\"Removed\"" members "}"
/* Two digits go if nothing has cut between them. */
#define DIGITS(members)                                                                          \
    "{\"type\":\"Digits\"" members "},{\"type\":\"Split\",\"pattern\":{\"Regex\":\"[0-9]{2}\"}," \
    "\"behavior\":\"Removed\"}"
#define BEHIND(step)                                  \
    "{\"type\":\"Sequence\",\"pretokenizers\":[" step \
    ",{\"type\":\"ByteLevel\",\"add_prefix_space\":"  \
    "false,\"use_regex\":false}]}"

static const struct {
    const char *without, *same, *other; /* pre-tokenizers */
} defaults[] = {
    {BEHIND(SPLIT("")), BEHIND(SPLIT(",\"invert\":false")), BEHIND(SPLIT(",\"invert\":true"))},
    {BEHIND(DIGITS("")), BEHIND(DIGITS(",\"individual_digits\":false")),
     BEHIND(DIGITS(",\"individual_digits\":true"))},
    {"{\"type\":\"ByteLevel\"}",
     "{\"type\":\"ByteLevel\",\"add_prefix_space\":true,\"use_regex\":true}",
     "{\"type\":\"ByteLevel\",\"add_prefix_space\":false}"},
    {"{\"type\":\"ByteLevel\"}",
     "{\"type\":\"ByteLevel\",\"add_prefix_space\":true,\"use_regex\":true}",
     "{\"type\":\"ByteLevel\",\"use_regex\":false}"},
};

/* How the ids of all texts hash with this pre-tokenizer. */
static uint32_t hash_with(const struct json_value *root, const char *pretokenizer)
{
    char text[1024];
    uint32_t hash = 0;
    struct json_document pipeline;
    snprintf(text, sizeof text,
             "{\"ignore_merges\":false,\"normalizer\":null,\"added_tokens\":[],"
             "\"pre_tokenizer\":%s}",
             pretokenizer);
    ck_assert_ok(
        json_parse(text, strlen(text), "a pipeline", &memory_default_allocator, &pipeline));
    struct tokenizer *tokenizer = tokenizer_of_pipeline(root, pipeline.root);
    const struct json_value *texts = json_find(root, "texts");
    for (const struct json_value *value = json_first(texts); value != NULL;
         value = json_next(texts, value)) {
        lckv_token tokens[MAX_TOKENS];
        const struct text part = json_text(value);
        const size_t n = encode(tokenizer, part.bytes, part.length, 0, tokens);
        hash = hash * 31 + hash_tokens(tokens, n);
    }
    tokenizer_release(tokenizer);
    json_release(&pipeline);
    return hash;
}

START_TEST(members_that_are_left_out_have_a_default)
{
    char *text = read_data("pipelines");
    struct json_document document;
    ck_assert_ok(
        json_parse(text, strlen(text), "pipelines.json", &memory_default_allocator, &document));
    const uint32_t without = hash_with(document.root, defaults[_i].without);
    ck_assert_uint_eq(without, hash_with(document.root, defaults[_i].same));
    ck_assert_uint_ne(without, hash_with(document.root, defaults[_i].other));
    json_release(&document);
    free(text);
}
END_TEST

/* ---- Normalized tokens in texts of several parts ---- */

#define LOWER_JSON                                                                      \
    "{\"model\":" SMALL_MODEL("") ",\"normalizer\":{\"type\":\"Lowercase\"},"           \
                                  "\"added_tokens\":[{\"id\":11,\"content\":\"<ABC>\"," \
                                  "\"normalized\":true,\"special\":true},{\"id\":12,"   \
                                  "\"content\":\"D\",\"normalized\":true}],"            \
                                  "\"pre_tokenizer\":" SMALL_BYTE_LEVEL "}"

static void check_parts(const struct tokenizer *tokenizer, const char *text,
                        const struct text_part *parts, size_t n_parts, const lckv_token *expected,
                        size_t n_expected)
{
    lckv_token tokens[MAX_TOKENS];
    size_t n_tokens = 0;
    ck_assert_ok(
        tokenizer_encode_parts(tokenizer, text, parts, n_parts, 0, tokens, MAX_TOKENS, &n_tokens));
    ck_assert_uint_eq(n_tokens, n_expected);
    ck_assert_mem_eq(tokens, expected, n_tokens * sizeof tokens[0]);
}

/* A plain part cannot spell a control token, nor can two parts together; words may go on. */
START_TEST(normalized_tokens_stay_within_their_part)
{
    struct tokenizer *tokenizer = tokenizer_of_json(LOWER_JSON, "");
    struct tokenizer *rewritten = tokenizer_rewritten(tokenizer);
    static const struct {
        struct text_part parts[3];
        lckv_token expected[6];
        size_t n_expected;
    } cases[] = {
        {{{9, false}, {0, false}, {0, false}}, {11, 8, 12, 4}, 4},
        {{{9, true}, {0, false}, {0, false}}, {9, 8, 12, 4}, 4},
        {{{5, false}, {4, true}, {0, false}}, {11, 8, 12, 4}, 4},
        {{{2, false}, {3, false}, {4, false}}, {9, 8, 12, 4}, 4},
        {{{0, true}, {5, false}, {4, true}}, {11, 8, 12, 4}, 4},
        {{{6, true}, {1, false}, {2, true}}, {9, 8, 12, 4}, 4},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        check_parts(tokenizer, "<aBc>ABdc", cases[i].parts, 3, cases[i].expected,
                    cases[i].n_expected);
        check_parts(rewritten, "<aBc>ABdc", cases[i].parts, 3, cases[i].expected,
                    cases[i].n_expected);
    }
    /* The first part becomes shorter, and the third longer: their ends move. */
    static const struct text_part parts[] = {{3, false}, {5, true}, {2, false}, {5, false}};
    static const lckv_token expected[] = {9, 11};
    check_parts(tokenizer,
                "\xE2\x84\xAA"
                "<abc>\xC4\xB0"
                "<abc>",
                parts, 4, expected, 2);
    tokenizer_release(rewritten);
    tokenizer_release(tokenizer);
}
END_TEST

/* Where a template names the speaker, a role must not become a token by being normalised. */
START_TEST(roles_may_not_become_normalized_tokens)
{
    static const struct {
        const char *role;
        lckv_status status;
    } cases[] = {{"abc", LCKV_OK},
                 {"<aBC>", LCKV_INVALID_ARGUMENT},
                 {"a\xFF<abc>", LCKV_INVALID_ARGUMENT},
                 {"<ab\xFF", LCKV_OK},
                 {"d", LCKV_INVALID_ARGUMENT}};
    struct tokenizer *tokenizer = tokenizer_of_json(
        LOWER_JSON, "{\"chat_template\":\"{% for m in messages %}{{ m.role + m.content }}"
                    "{% endfor %}\"}");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const lckv_message message = {cases[i].role, strlen(cases[i].role), "a", 1};
        const struct chat chat = {&message, sizeof message, 1, 0};
        lckv_token tokens[MAX_TOKENS];
        size_t n_tokens = 0;
        ck_assert_status(chat_tokenize(tokenizer, &chat, tokens, MAX_TOKENS, &n_tokens),
                         cases[i].status);
    }
    tokenizer_release(tokenizer);
}
END_TEST

static void add_pipelines(Suite *suite)
{
    TCase *tcase = tcase_create("pipelines");
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, ids_are_those_of_the_reference);
    tcase_add_loop_test(tcase, members_that_are_left_out_have_a_default, 0, COUNT(defaults));
    tcase_add_test(tcase, normalized_tokens_stay_within_their_part);
    tcase_add_test(tcase, roles_may_not_become_normalized_tokens);
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("pipelines", add_pipelines)
