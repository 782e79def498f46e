/*
 * Tokenizers that are malformed, hostile or of a kind that this version lacks.
 */
#include "allocator.h"
#include "text_support.h"

/* ---- tokenizer.json ---- */

#define MODEL(model) "{\"model\":" model ",\"pre_tokenizer\":" SMALL_BYTE_LEVEL "}"
#define PRE(step) "{\"model\":" SMALL_MODEL("") ",\"pre_tokenizer\":" step "}"
#define SPLIT(pattern)                                                                             \
    PRE("{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\",\"behavior\":\"Isolated\"," \
        "\"pattern\":" pattern "}," SMALL_BYTE_LEVEL "]}")
#define NORMALIZER(normalizer) SMALL_JSON(",\"normalizer\":" normalizer)
#define FOUR_NFC "{\"type\":\"NFC\"},{\"type\":\"NFC\"},{\"type\":\"NFC\"},{\"type\":\"NFC\"}"
#define TEMPLATE(single, specials)                                                       \
    SMALL_JSON(",\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":" single \
               ",\"special_tokens\":" specials "}")

static const struct {
    const char *json;
    lckv_status status;
    const char *message;
} bad_json[] = {
    {"{", LCKV_BAD_FORMAT, "directory: tokenizer.json"},
    {"[]", LCKV_BAD_FORMAT, "expected an object"},
    {"{}", LCKV_BAD_FORMAT, "model is missing"},
    {"{\"model\":7}", LCKV_BAD_FORMAT, "model: expected an object"},
    {MODEL("{\"type\":\"WordPiece\"}"), LCKV_UNSUPPORTED, "\"WordPiece\""},
    {MODEL(SMALL_MODEL(",\"byte_fallback\":true")), LCKV_UNSUPPORTED, "byte_fallback"},
    {MODEL(SMALL_MODEL(",\"dropout\":0.1")), LCKV_UNSUPPORTED, "dropout"},
    {MODEL(SMALL_MODEL(",\"end_of_word_suffix\":\"</w>\"")), LCKV_UNSUPPORTED,
     "end_of_word_suffix"},
    {MODEL(SMALL_MODEL(",\"continuing_subword_prefix\":\"##\"")), LCKV_UNSUPPORTED,
     "continuing_subword_prefix"},
    {MODEL(SMALL_MODEL(",\"unk_token\":\"?\"")), LCKV_BAD_FORMAT, "unk_token \"?\""},
    {MODEL("{\"merges\":[]}"), LCKV_BAD_FORMAT, "vocab or merges is missing"},
    {MODEL("{\"vocab\":{},\"merges\":[]}"), LCKV_BAD_FORMAT, "0 tokens"},
    {MODEL("{\"vocab\":[],\"merges\":[]}"), LCKV_BAD_FORMAT, "vocab: expected an object"},
    {MODEL("{\"vocab\":{\"a\":-1},\"merges\":[]}"), LCKV_BAD_FORMAT, "the id of \"a\""},
    {MODEL("{\"vocab\":{\"a\":4194304},\"merges\":[]}"), LCKV_BAD_FORMAT, "below 4194304"},
    {MODEL("{\"vocab\":{\"a\":1e3},\"merges\":[]}"), LCKV_BAD_FORMAT, "the id of \"a\""},
    {MODEL("{\"vocab\":{\"a\":4194303},\"merges\":[]}"), LCKV_BAD_FORMAT, "expected dense ids"},
    {MODEL("{\"vocab\":{\"a\":0,\"b\":0},\"merges\":[]}"), LCKV_BAD_FORMAT, "the same id 0"},
    {MODEL("{\"vocab\":{\"a\":0},\"merges\":[\"a b\"]}"), LCKV_BAD_FORMAT,
     "entry 0: \"a\" and \"b\""},
    {MODEL("{\"vocab\":{\"a\":0},\"merges\":[\"a a\"]}"), LCKV_BAD_FORMAT, "that make a token"},
    {MODEL("{\"vocab\":{\"a\":0},\"merges\":[\"a\"]}"), LCKV_BAD_FORMAT, "entry 0: expected"},
    {MODEL("{\"vocab\":{\"a\":0},\"merges\":[\"a a a\"]}"), LCKV_BAD_FORMAT, "entry 0: expected"},
    {MODEL("{\"vocab\":{\"a\":0},\"merges\":[[\"a\"]]}"), LCKV_BAD_FORMAT, "entry 0: expected"},
    {MODEL("{\"vocab\":{\"a\":0},\"merges\":[7]}"), LCKV_BAD_FORMAT, "entry 0: expected"},
    {"{\"model\":" SMALL_MODEL("") ",\"added_tokens\":[{\"id\":2,\"content\":\"z\"}]}",
     LCKV_BAD_FORMAT, "the same id 2"},
    {"{\"model\":" SMALL_MODEL("") ",\"added_tokens\":[{\"id\":11}]}", LCKV_BAD_FORMAT,
     "content of id 11"},
    {"{\"model\":" SMALL_MODEL("") ",\"added_tokens\":[{\"content\":\"z\"}]}", LCKV_BAD_FORMAT,
     "id of entry 0"},
    {"{\"model\":" SMALL_MODEL("") ",\"added_tokens\":[7]}", LCKV_BAD_FORMAT, "expected an object"},
    {NORMALIZER("{\"type\":\"Nmt\"}"), LCKV_UNSUPPORTED, "normalizer: \"Nmt\""},
    {NORMALIZER("{\"type\":\"BertNormalizer\"}"), LCKV_UNSUPPORTED, "\"BertNormalizer\""},
    {NORMALIZER("{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"?\"}"), LCKV_BAD_FORMAT,
     "normalizer: precompiled_charsmap: byte 0: expected base64"},
    {NORMALIZER("{\"type\":\"Nmt\"}"), LCKV_UNSUPPORTED, "\"Nmt\""},
    {NORMALIZER("{\"type\":\"ByteLevel\"}"), LCKV_UNSUPPORTED, "normalizer: \"ByteLevel\""},
    {NORMALIZER("{\"type\":\"Strip\",\"strip_left\":1}"), LCKV_BAD_FORMAT, "strip_left"},
    {NORMALIZER("{\"type\":\"Strip\",\"strip\":true}"), LCKV_UNSUPPORTED, "Strip: member"},
    {NORMALIZER("{\"type\":\"NFD\",\"normalizers\":[]}"), LCKV_UNSUPPORTED, "normalizer: member"},
    {NORMALIZER("{\"type\":\"Replace\",\"content\":\"\"}"), LCKV_BAD_FORMAT,
     "Replace: pattern is missing"},
    {NORMALIZER("{\"type\":\"Replace\",\"pattern\":{\"String\":\"a\"}}"), LCKV_BAD_FORMAT,
     "content is missing"},
    {NORMALIZER("{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"(\"},\"content\":\"\"}"),
     LCKV_BAD_FORMAT, "pattern \"(\""},
    {NORMALIZER("{\"type\":\"Sequence\"}"), LCKV_BAD_FORMAT, "normalizers is missing"},
    {NORMALIZER("{\"type\":\"Sequence\",\"normalizers\":[7]}"), LCKV_BAD_FORMAT,
     "with the member type"},
    {NORMALIZER("{\"type\":\"Sequence\",\"normalizers\":[" FOUR_NFC "," FOUR_NFC "," FOUR_NFC
                "," FOUR_NFC ",{\"type\":\"NFD\"}]}"),
     LCKV_UNSUPPORTED, "more than 16 normalizer steps"},
    {SMALL_JSON(",\"normalizer\":{}"), LCKV_BAD_FORMAT, "normalizer: type is missing"},
    {PRE("null"), LCKV_UNSUPPORTED, "expected ByteLevel among its steps"},
    {PRE("{\"type\":\"Sequence\",\"pretokenizers\":[" SMALL_BYTE_LEVEL "," SMALL_BYTE_LEVEL "]}"),
     LCKV_UNSUPPORTED, "behind one that spells its bytes"},
    {PRE("{\"type\":\"Sequence\",\"pretokenizers\":[],\"mystery\":1}"), LCKV_UNSUPPORTED,
     "pre_tokenizer: member"},
    {PRE("{\"type\":\"UnicodeScripts\"}"), LCKV_UNSUPPORTED, "\"UnicodeScripts\""},
    {PRE("{\"type\":\"Punctuation\",\"behavior\":\"Spell\"}"), LCKV_UNSUPPORTED,
     "Punctuation: behavior \"Spell\""},
    {PRE("{\"type\":\"Punctuation\",\"behavior\":7}"), LCKV_BAD_FORMAT, "behavior"},
    {PRE("{\"type\":\"CharDelimiterSplit\",\"delimiter\":\"ab\"}"), LCKV_BAD_FORMAT,
     "expected one character"},
    {PRE("{\"type\":\"WhitespaceSplit\",\"mystery\":1}"), LCKV_UNSUPPORTED, "member \"mystery\""},
    {PRE("{\"type\":\"Split\",\"behavior\":\"Joined\",\"pattern\":{\"String\":\" \"}}"),
     LCKV_UNSUPPORTED, "Split: behavior \"Joined\""},
    {PRE("{\"type\":\"Split\",\"pattern\":{\"String\":\" \"}}"), LCKV_BAD_FORMAT,
     "behavior is missing"},
    {SPLIT("{}"), LCKV_BAD_FORMAT, "expected a Regex or a String"},
    {SPLIT("{\"Regex\":\"(\"}"), LCKV_BAD_FORMAT, "pattern \"(\""},
    {SPLIT("{\"Regex\":\"[a\"}"), LCKV_BAD_FORMAT, "pattern \"[a\""},
    {SPLIT("{\"Regex\":\"\\\\p{Nonsense}\"}"), LCKV_BAD_FORMAT, "Nonsense"},
    {SPLIT("{\"Regex\":\"(?R)\"}"), LCKV_UNSUPPORTED, "this kind of group at byte 0"},
    {SPLIT("{\"Regex\":\"(*LIMIT_MATCH=9)a\"}"), LCKV_UNSUPPORTED, "a verb"},
    {SPLIT("{\"Regex\":\"(a)\\\\1\"}"), LCKV_UNSUPPORTED, "this escape at byte 3"},
    {SPLIT("{\"Regex\":\"\\\\h+\"}"), LCKV_UNSUPPORTED, "this escape at byte 0"},
    {SPLIT("{\"Regex\":\"[a\\\\W]\"}"), LCKV_UNSUPPORTED, "this escape in a set at byte 2"},
    {SPLIT("{\"Regex\":\"[[:alpha:]]\"}"), LCKV_UNSUPPORTED, "this named set at byte 1"},
    {SPLIT("{\"Regex\":\"a\\\\\"}"), LCKV_UNSUPPORTED, "a backslash with nothing behind it"},
    {SPLIT("{\"Regex\":\"[a&&[b]]\"}"), LCKV_UNSUPPORTED, "a set inside a set"},
    {SPLIT("{\"Regex\":\"a{1,2}+\"}"), LCKV_UNSUPPORTED, "+ behind a count"},
    {SPLIT("{\"Regex\":\"((a{1,999}){1,999}){1,999}\"}"), LCKV_UNSUPPORTED, "too large"},
    {SPLIT("{\"Regex\":\"a{1,9999}\"}"), LCKV_UNSUPPORTED, "a count above 1000"},
    {SMALL_JSON(",\"mystery\":null"), LCKV_UNSUPPORTED, "member \"mystery\""},
    {MODEL(SMALL_MODEL(",\"mystery\":null")), LCKV_UNSUPPORTED, "model: member \"mystery\""},
    {"{\"model\":" SMALL_MODEL("") ",\"added_tokens\":[{\"id\":11,\"content\":\"z\","
                                   "\"mystery\":1}]}",
     LCKV_UNSUPPORTED, "added_tokens: member \"mystery\""},
    {PRE("{\"type\":\"ByteLevel\",\"mystery\":true}"), LCKV_UNSUPPORTED, "ByteLevel: member"},
    {PRE("{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Digits\",\"mystery\":1}]}"),
     LCKV_UNSUPPORTED, "Digits: member"},
    {PRE("{\"type\":\"Split\",\"behavior\":\"Isolated\",\"pattern\":{\"String\":\" \"},"
         "\"mystery\":1}"),
     LCKV_UNSUPPORTED, "Split: member"},
    {SMALL_JSON(",\"normalizer\":{\"type\":\"NFC\",\"mystery\":1}"), LCKV_UNSUPPORTED,
     "normalizer: member"},
    {SMALL_JSON(",\"decoder\":{\"type\":\"Metaspace\"}"), LCKV_UNSUPPORTED,
     "decoder: \"Metaspace\""},
    {SMALL_JSON(",\"decoder\":{\"type\":\"ByteLevel\",\"mystery\":1}"), LCKV_UNSUPPORTED,
     "decoder: member"},
    {TEMPLATE("[{\"Mystery\":{}}]", "{}"), LCKV_BAD_FORMAT,
     "expected a SpecialToken or a Sequence"},
    {SMALL_JSON(",\"post_processor\":{\"type\":\"BertProcessing\"}"), LCKV_UNSUPPORTED,
     "\"BertProcessing\""},
    {TEMPLATE("[]", "{}"), LCKV_BAD_FORMAT, "0 sequences"},
    {TEMPLATE("[{\"SpecialToken\":{\"id\":\"B\"}}]", "{}"), LCKV_BAD_FORMAT,
     "special_tokens: \"B\""},
    {TEMPLATE("[{\"SpecialToken\":{\"id\":\"B\"}}]", "{\"B\":{\"ids\":[99]}}"), LCKV_BAD_FORMAT,
     "\"B\""},
    {TEMPLATE("[{\"SpecialToken\":{\"id\":\"B\"}}]", "{\"B\":{\"ids\":[12]}}"), LCKV_BAD_FORMAT,
     "\"B\": expected one id of a token"}, /* there are 12 */
    {TEMPLATE("[{\"SpecialToken\":{\"id\":\"B\"}}]", "{\"B\":{\"ids\":[11]}}"), LCKV_BAD_FORMAT,
     "0 sequences"},
    {TEMPLATE("[{\"SpecialToken\":{\"id\":\"B\"}},{\"SpecialToken\":{\"id\":\"B\"}}]",
              "{\"B\":{\"ids\":[1]}}"),
     LCKV_UNSUPPORTED, "other than BOS and EOS"},
};

START_TEST(bad_json_is_refused_by_name)
{
    struct checkpoint checkpoint = checkpoint_of_json(bad_json[_i].json, "");
    check_tokenizer_refused(&checkpoint, bad_json[_i].status, bad_json[_i].message);
    ck_assert_error_has("directory: tokenizer.json: ");
}
END_TEST

START_TEST(bad_config_is_refused_by_name)
{
    static const char *const configs[] = {"[]", "{\"bos_token\":7}", "{\"chat_template\":7}",
                                          "{\"add_bos_token\":\"yes\"}",
                                          "{\"eos_token\":{\"content\":7}}"};
    for (size_t i = 0; i < sizeof configs / sizeof configs[0]; i++) {
        struct checkpoint checkpoint = checkpoint_of_json(SMALL_JSON(""), configs[i]);
        check_tokenizer_refused(&checkpoint, LCKV_BAD_FORMAT, "tokenizer_config.json");
    }
}
END_TEST

/* Of 8192 bytes, whether it is a regular expression or a text that stands for itself. */
START_TEST(patterns_have_a_largest_length)
{
    static const char *const kinds[] = {"Regex", "String"};
    char text[8194], json[10000];
    for (size_t i = 0; i < 3; i++) {
        const bool fits = i == 2;
        memset(text, 'a', sizeof text);
        text[0] = '[';
        text[fits ? 8191 : 8192] = ']';
        text[fits ? 8192 : 8193] = '\0';
        snprintf(json, sizeof json, SPLIT("{\"%s\":\"%s\"}"), kinds[i % 2], text);
        if (fits) {
            tokenizer_release(tokenizer_of_json(json, ""));
            continue;
        }
        struct checkpoint checkpoint = checkpoint_of_json(json, "");
        check_tokenizer_refused(&checkpoint, LCKV_UNSUPPORTED,
                                "of 8193 bytes, expected at most 8192");
    }
}
END_TEST

/* Each letter takes eight bytes when it is compiled, of which there may be fewer than 65536. */
START_TEST(patterns_have_a_largest_compiled_size)
{
    static const char *const kinds[] = {"Regex", "String"};
    char text[8193], json[10000];
    for (size_t i = 0; i < 4; i++) {
        const size_t length = i < 2 ? 8192 : 8000;
        memset(text, 'a', length);
        text[length] = '\0';
        snprintf(json, sizeof json, SPLIT("{\"%s\":\"%s\"}"), kinds[i % 2], text);
        if (length < 8192) {
            tokenizer_release(tokenizer_of_json(json, ""));
            continue;
        }
        struct checkpoint checkpoint = checkpoint_of_json(json, "");
        check_tokenizer_refused(&checkpoint, LCKV_UNSUPPORTED, "of 8192 bytes: ");
        ck_assert_error_has("expected a shorter or simpler pattern");
    }
}
END_TEST

/*
 * The pattern compiles, but would match for ever: the text is refused, and the tokenizer stays
 * usable.
 */
START_TEST(hostile_patterns_stop_at_a_limit)
{
    struct tokenizer *tokenizer =
        tokenizer_of_json(SPLIT("{\"Regex\":\"(?:a+)+$|(?:a|b)*(?=c)\"}"), "");
    char text[4096];
    size_t n_tokens = 0;
    memset(text, 'a', sizeof text);
    text[sizeof text - 1] = 'b';
    ck_assert_status(tokenizer_encode(tokenizer, text, sizeof text, 0, NULL, 0, &n_tokens),
                     LCKV_UNSUPPORTED);
    ck_assert_error_has("too many steps");
    check_pieces(tokenizer, "abc", 0, "ab|c");
    tokenizer_release(tokenizer);
}
END_TEST

/*
 * Each match is within PCRE2's limits, but together they take quadratic or exponential time: by
 * looking ahead, by a repeat that fails at its end, by alternatives, and by finding nothing.
 */
START_TEST(patterns_may_not_take_more_than_linear_time)
{
    static const char *const patterns[] = {
        "a(?=[^z]*z)|a",
        "a(?=[^z]*?z)|a",
        "(?:(?:a|a){17}b|a)",
        "(?:a{999}b|a{998}b|a{997}b|a{996}b|a{995}b|a{994}b|a{993}b|a{992}b|a{991}b|a)",
        "(?:a|a){17}[bc]",
        "(?:a{999}|a{998}|a{997}|a{996}|a{995}|a)", /* fails at each end of equal letters */
    };
    enum { LENGTH = 65536 };
    char json[1024], *text = malloc(LENGTH);
    size_t n_tokens = 0;
    ck_assert_ptr_nonnull(text);
    memset(text, 'a', LENGTH);
    for (size_t i = 990; _i == 5 && i < LENGTH; i += 991)
        text[i] = 'z';
    snprintf(json, sizeof json, SPLIT("{\"Regex\":\"%s\"}"), patterns[_i]);
    struct tokenizer *tokenizer = tokenizer_of_json(json, "");
    ck_assert_status(tokenizer_encode(tokenizer, text, LENGTH, 0, NULL, 0, &n_tokens),
                     LCKV_UNSUPPORTED);
    ck_assert_error_has("too many steps");
    ck_assert_error_has("shorter texts");
    check_pieces(tokenizer, "abc", 0, _i == 4 ? "abc" : "a|b|c");
    tokenizer_release(tokenizer);
    free(text);
}
END_TEST

/* A match remembers where each round of a group began; that may not grow with the text. */
START_TEST(patterns_may_not_take_memory_that_grows_with_the_text)
{
    enum { LENGTH = 262144 };
    char *text = malloc(LENGTH);
    size_t n_tokens = 0;
    ck_assert_ptr_nonnull(text);
    memset(text, 'a', LENGTH);
    struct tokenizer *tokenizer = tokenizer_of_json(SPLIT("{\"Regex\":\"(?:a|b)*(?=c)|a+\"}"), "");
    ck_assert_status(tokenizer_encode(tokenizer, text, LENGTH, 0, NULL, 0, &n_tokens),
                     LCKV_UNSUPPORTED);
    ck_assert_error_has("too much memory");
    check_pieces(tokenizer, "abc", 0, "ab|c");
    tokenizer_release(tokenizer);
    free(text);
}
END_TEST

/* ---- Normalisers ---- */

#define REPLACE(pattern, content) \
    "{\"type\":\"Replace\",\"pattern\":" pattern ",\"content\":\"" content "\"}"
#define TWICE REPLACE("{\"String\":\"a\"}", "aa")
#define FOUR_TIMES TWICE "," TWICE "," TWICE "," TWICE
#define DOUBLING                                                                        \
    "{\"type\":\"Sequence\",\"normalizers\":[" FOUR_TIMES "," FOUR_TIMES "," FOUR_TIMES \
    "," FOUR_TIMES "]}"

/* Each step doubles the text, 16 times. */
START_TEST(normalizers_may_not_make_texts_grow_without_end)
{
    struct tokenizer *tokenizer = tokenizer_of_json(NORMALIZER(DOUBLING), "");
    lckv_token tokens[MAX_TOKENS];
    size_t n_tokens = 0;
    ck_assert_status(tokenizer_encode(tokenizer, "aaa", 3, 0, tokens, MAX_TOKENS, &n_tokens),
                     LCKV_UNSUPPORTED);
    ck_assert_error_has("more than 32 times longer");
    check_pieces(tokenizer, "bcd", 0, "b|c|d");
    tokenizer_release(tokenizer);
}
END_TEST

START_TEST(normalizers_may_not_take_more_than_linear_time)
{
    enum { LENGTH = 65536 };
    char *text = malloc(LENGTH);
    size_t n_tokens = 0;
    ck_assert_ptr_nonnull(text);
    memset(text, 'a', LENGTH);
    struct tokenizer *tokenizer =
        tokenizer_of_json(NORMALIZER(REPLACE("{\"Regex\":\"a(?=[^z]*z)\"}", "b")), "");
    ck_assert_status(tokenizer_encode(tokenizer, text, LENGTH, 0, NULL, 0, &n_tokens),
                     LCKV_UNSUPPORTED);
    ck_assert_error_has("too many steps");
    check_pieces(tokenizer, "aaz", 0, "b|b");
    tokenizer_release(tokenizer);
    free(text);
}
END_TEST

/*
 * Marks that follow each other are put in order. U+0F73 has no class itself, but becomes two marks.
 * If a run of them were put in order as a whole, this would take minutes.
 */
START_TEST(runs_of_marks_take_linear_time)
{
    enum { MARKS = 200000 };
    static const char mark[] = "\xE0\xBD\xB3";
    char *text = malloc(3 * MARKS);
    size_t n_tokens = 0;
    ck_assert_ptr_nonnull(text);
    for (size_t i = 0; i < MARKS; i++)
        memcpy(text + 3 * i, mark, 3);
    struct tokenizer *tokenizer = tokenizer_of_json(NORMALIZER("{\"type\":\"NFC\"}"), "");
    ck_assert_ok(tokenizer_encode(tokenizer, text, 3 * MARKS, 0, NULL, 0, &n_tokens));
    tokenizer_release(tokenizer);
    free(text);
}
END_TEST

/* The text of an added token is normalised when the file is opened, within the same limits. */
START_TEST(normalized_tokens_are_made_within_limits)
{
    static const struct {
        const char *normalizer, *message;
    } cases[] = {
        {DOUBLING, "added_tokens: the tokenizer's normalizer makes"},
        {REPLACE("{\"Regex\":\"a(?=(?:a|a)*b)\"}", ""), "added_tokens: the tokenizer's pattern"},
    };
    char json[4096];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        snprintf(json, sizeof json,
                 "{\"model\":" SMALL_MODEL("") ",\"added_tokens\":[{\"id\":11,\"normalized\":true,"
                                               "\"content\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaac\"}],"
                                               "\"normalizer\":%s,"
                                               "\"pre_tokenizer\":" SMALL_BYTE_LEVEL "}",
                 cases[i].normalizer);
        struct checkpoint checkpoint = checkpoint_of_json(json, "");
        check_tokenizer_refused(&checkpoint, LCKV_UNSUPPORTED, cases[i].message);
    }
}
END_TEST

/* ---- GGUF metadata ---- */

/* What to spoil in the metadata of the small tokenizer. */
enum spoil {
    NO_TOKENS,
    TOKENS_ARE_NUMBERS,
    EMPTY_TOKENS,
    FEW_TYPES,
    TYPE_0,
    TYPE_7,
    NO_MERGES,
    MERGE_WITHOUT_SPACE,
    MERGE_WITH_ONE_SIDE,
    UNKNOWN_PRE,
    PRE_IS_NUMBER,
    OTHER_MODEL,
    BOS_TOO_LARGE,
    ADD_BOS_IS_TEXT,
    FLAG_TOO_LARGE,
    BAD_PATTERN,
    BAD_BEHAVIOR,
    FEW_BEHAVIORS,
    SPELLED_BEFORE_PREFIX,
    TWO_PREFIXES,
    BAD_NORMALIZER,
    NORMALIZER_IS_NUMBER,
    N_SPOILS
};

static const struct {
    lckv_status status;
    const char *message;
} bad_metadata[N_SPOILS] = {
    [NO_TOKENS] = {LCKV_BAD_FORMAT, "rewritten: tokenizer.ggml.tokens is missing"},
    [TOKENS_ARE_NUMBERS] = {LCKV_BAD_FORMAT, "tokenizer.ggml.tokens: expected an array of strings"},
    [EMPTY_TOKENS] = {LCKV_BAD_FORMAT, "0 t"},
    [FEW_TYPES] = {LCKV_BAD_FORMAT, "1 types, expected one for each of 12"},
    [TYPE_0] = {LCKV_BAD_FORMAT, "token 0 has type 0"},
    [TYPE_7] = {LCKV_BAD_FORMAT, "token 0 has type 7"},
    [NO_MERGES] = {LCKV_BAD_FORMAT, "tokenizer.ggml.merges is missing"},
    [MERGE_WITHOUT_SPACE] = {LCKV_BAD_FORMAT, "merge 0 is \"ab\""},
    [MERGE_WITH_ONE_SIDE] = {LCKV_BAD_FORMAT, "merge 0 is \"a \""},
    [UNKNOWN_PRE] = {LCKV_UNSUPPORTED, "\"mystery\""},
    [PRE_IS_NUMBER] = {LCKV_BAD_FORMAT, "tokenizer.ggml.pre"},
    [OTHER_MODEL] = {LCKV_UNSUPPORTED, "\"rwkv\""},
    [BOS_TOO_LARGE] = {LCKV_BAD_FORMAT, "tokenizer.ggml.bos_token_id is 12"},
    [ADD_BOS_IS_TEXT] = {LCKV_BAD_FORMAT, "tokenizer.ggml.add_bos_token"},
    [FLAG_TOO_LARGE] = {LCKV_BAD_FORMAT, "lckv.tokenizer.lstrip_ids has 12"},
    [BAD_PATTERN] = {LCKV_BAD_FORMAT, "lckv.tokenizer.patterns"},
    [BAD_BEHAVIOR] = {LCKV_UNSUPPORTED, "lckv.tokenizer.behaviors: behavior \"ab\""},
    [FEW_BEHAVIORS] = {LCKV_BAD_FORMAT, "1 behaviors, expected one for each of 0 patterns"},
    [SPELLED_BEFORE_PREFIX] = {LCKV_UNSUPPORTED, "behind one that spells its bytes"},
    [TWO_PREFIXES] = {LCKV_UNSUPPORTED, "two pre-tokenizer steps that put a blank"},
    [BAD_NORMALIZER] = {LCKV_BAD_FORMAT, "lckv.tokenizer.normalizer: JSON: line 1"},
    [NORMALIZER_IS_NUMBER] = {LCKV_BAD_FORMAT, "lckv.tokenizer.normalizer: expected an object"},
};

/* Removes a key, which metadata have no function for. */
static lckv_status remove_key(struct metadata *metadata, const char *key)
{
    struct metadata kept;
    lckv_status status = LCKV_OK;
    metadata_init(&kept, metadata->arena);
    for (size_t i = 0; status == LCKV_OK && i < metadata->n_values; i++) {
        if (strcmp(metadata->values[i].key.bytes, key) != 0)
            status = metadata_add(&kept, &metadata->values[i]);
    }
    *metadata = kept;
    return status;
}

static lckv_status spoil(struct metadata *metadata, enum spoil what)
{
    const struct text same[1] = {{"a", 1}}, merge = {"ab", 2}, one = {"a ", 2}, open = {"(", 1};
    const struct text steps[2] = {{"Spell", 5}, {"Prefix", 6}};
    const struct text prefixes[2] = {{"Prefix", 6}, {"Prefix", 6}};
    int32_t numbers[12] = {12};
    lckv_status status;
    for (int i = 0; i < 12; i++)
        numbers[i] = what == TYPE_0 ? 0 : what == TYPE_7 ? 7 : 12;
    switch (what) {
    case NO_TOKENS:
        return remove_key(metadata, "tokenizer.ggml.tokens");
    case TOKENS_ARE_NUMBERS:
        return metadata_set_i32s(metadata, "tokenizer.ggml.tokens", numbers, 12);
    case EMPTY_TOKENS:
        return metadata_set_texts(metadata, "tokenizer.ggml.tokens", same, 0);
    case FEW_TYPES:
        return metadata_set_i32s(metadata, "tokenizer.ggml.token_type", numbers, 1);
    case TYPE_0:
    case TYPE_7:
        return metadata_set_i32s(metadata, "tokenizer.ggml.token_type", numbers, 12);
    case NO_MERGES:
        return remove_key(metadata, "tokenizer.ggml.merges");
    case MERGE_WITHOUT_SPACE:
        return metadata_set_texts(metadata, "tokenizer.ggml.merges", &merge, 1);
    case MERGE_WITH_ONE_SIDE:
        return metadata_set_texts(metadata, "tokenizer.ggml.merges", &one, 1);
    case UNKNOWN_PRE:
        return metadata_set_text(metadata, "tokenizer.ggml.pre", "mystery", 7);
    case PRE_IS_NUMBER:
        return metadata_set_u32(metadata, "tokenizer.ggml.pre", 7);
    case OTHER_MODEL:
        return metadata_set_text(metadata, "tokenizer.ggml.model", "rwkv", 4);
    case BOS_TOO_LARGE:
        return metadata_set_u32(metadata, "tokenizer.ggml.bos_token_id", 12);
    case ADD_BOS_IS_TEXT:
        return metadata_set_text(metadata, "tokenizer.ggml.add_bos_token", "yes", 3);
    case FLAG_TOO_LARGE:
        return metadata_set_i32s(metadata, "lckv.tokenizer.lstrip_ids", numbers, 1);
    case FEW_BEHAVIORS:
        return metadata_set_texts(metadata, "lckv.tokenizer.behaviors", &merge, 1);
    case SPELLED_BEFORE_PREFIX:
    case TWO_PREFIXES:
        status = metadata_set_texts(metadata, "lckv.tokenizer.behaviors",
                                    what == TWO_PREFIXES ? prefixes : steps, 2);
        return status == LCKV_OK
                   ? metadata_set_texts(metadata, "lckv.tokenizer.patterns", prefixes, 2)
                   : status;
    case BAD_NORMALIZER:
        return metadata_set_text(metadata, "lckv.tokenizer.normalizer", "{", 1);
    case NORMALIZER_IS_NUMBER:
        return metadata_set_text(metadata, "lckv.tokenizer.normalizer", "7", 1);
    case BAD_BEHAVIOR:
        status = metadata_set_texts(metadata, "lckv.tokenizer.behaviors", &merge, 1);
        return status == LCKV_OK ? metadata_set_texts(metadata, "lckv.tokenizer.patterns", same, 1)
                                 : status;
    default:
        return metadata_set_texts(metadata, "lckv.tokenizer.patterns", &open, 1);
    }
}

START_TEST(bad_metadata_are_refused_by_name)
{
    struct tokenizer *small = tokenizer_of_json(SMALL_JSON(""), "");
    struct checkpoint checkpoint = {.kind = CHECKPOINT_GGUF, .name = "rewritten"};
    struct arena arena;
    arena_init(&arena, &memory_default_allocator);
    metadata_init(&checkpoint.metadata, &arena);
    ck_assert_ok(tokenizer_to_metadata(small, &checkpoint.metadata));
    ck_assert_ok(spoil(&checkpoint.metadata, (enum spoil)_i));
    if (_i == EMPTY_TOKENS)
        ck_assert_ok(remove_key(&checkpoint.metadata, "tokenizer.ggml.token_type"));
    check_tokenizer_refused(&checkpoint, bad_metadata[_i].status, bad_metadata[_i].message);
    arena_release(&arena);
    tokenizer_release(small);
}
END_TEST

static void add_malformed(Suite *suite)
{
    TCase *tcase = tcase_create("malformed");
    tcase_set_timeout(tcase, 120);
    tcase_add_loop_test(tcase, bad_json_is_refused_by_name, 0,
                        (int)(sizeof bad_json / sizeof bad_json[0]));
    tcase_add_test(tcase, bad_config_is_refused_by_name);
    tcase_add_test(tcase, patterns_have_a_largest_length);
    tcase_add_test(tcase, patterns_have_a_largest_compiled_size);
    tcase_add_test(tcase, hostile_patterns_stop_at_a_limit);
    tcase_add_loop_test(tcase, patterns_may_not_take_more_than_linear_time, 0, 6);
    tcase_add_test(tcase, patterns_may_not_take_memory_that_grows_with_the_text);
    tcase_add_test(tcase, normalizers_may_not_make_texts_grow_without_end);
    tcase_add_test(tcase, normalizers_may_not_take_more_than_linear_time);
    tcase_add_test(tcase, runs_of_marks_take_linear_time);
    tcase_add_test(tcase, normalized_tokens_are_made_within_limits);
    tcase_add_loop_test(tcase, bad_metadata_are_refused_by_name, 0, N_SPOILS);
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("text_malformed", add_malformed)
