/*
 * Tokenizers with U+2581 for spaces that are malformed, hostile or of a kind that this version
 * lacks: tokenizer.model, tokenizer.json and GGUF metadata.
 */
#include "allocator.h"
#include "base/memory.h"
#include "text/charsmap.h"
#include "text/metaspace.h"

#include "spaced_support.h"

#define M METASPACE

/* ---- tokenizer.model ---- */

/* Fields and pieces by hand: "<unk>" of type 2, then a normal "a". */
#define UNK "\x0A\x09\x0A\x05<unk>\x18\x02"
#define A              \
    "\x0A\x03\x0A\x01" \
    "a"
#define BPE "\x12\x02\x18\x02"

static const struct {
    const char *bytes;
    size_t length;
    lckv_status status;
    const char *message;
} bad_models[] = {
#define BYTES_OF(bytes) bytes, sizeof bytes - 1
    {BYTES_OF("gAAA 0\ngAAB 1\n"), LCKV_UNSUPPORTED, "is no SentencePiece model"},
    {BYTES_OF("\x0A"), LCKV_BAD_FORMAT, "truncated"},
    {BYTES_OF("\x0A\x05"
              "ab"),
     LCKV_BAD_FORMAT, "truncated at byte 2"},
    {BYTES_OF("\x0A\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01"), LCKV_BAD_FORMAT,
     "expected a field"},
    {BYTES_OF("\x0A\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x7F"), LCKV_BAD_FORMAT, "truncated"},
    {BYTES_OF("\x0A\x03\x0A\x01"), LCKV_BAD_FORMAT, "truncated"},
    {BYTES_OF(UNK "\x0B"), LCKV_BAD_FORMAT, "expected a field"},
    {BYTES_OF(UNK "\x02\x00"), LCKV_BAD_FORMAT, "expected a field"},
    {BYTES_OF("\x0A\x02\x08\x07" BPE), LCKV_BAD_FORMAT, "piece 0: the piece: expected bytes"},
    {BYTES_OF("\x0A\x04\x18\x87\x80\x01" BPE), LCKV_BAD_FORMAT, "type 16391, expected 1 to 6"},
    {BYTES_OF("\x0A\x02\x10\x07" BPE), LCKV_BAD_FORMAT, "the score: expected a 32-bit number"},
    {BYTES_OF("\x0A\x05\x15\0\0\xC0\x7F" BPE), LCKV_BAD_FORMAT, "expected a finite number"},
    {BYTES_OF(UNK A "\x12\x02\x18\x03"), LCKV_UNSUPPORTED, "model_type 3"},
    {BYTES_OF(UNK A "\x12\x03\xC0\x01\x01"), LCKV_UNSUPPORTED, "treat_whitespace_as_suffix"},
    {BYTES_OF(UNK A "\x1A\x02\x28\x00"), LCKV_UNSUPPORTED, "spaces that are not escaped"},
    {BYTES_OF(UNK A "\x1A\x03\x12\x01\x01"), LCKV_BAD_FORMAT, "the compiled normalisation rules"},
    {BYTES_OF(UNK A "\x2A\x03\x12\x01\x01"), LCKV_UNSUPPORTED, "rules for decoding"},
    {BYTES_OF(UNK A "\x10\x07"), LCKV_BAD_FORMAT, "a specification: expected bytes"},
};
#define N_MODELS ((int)(sizeof bad_models / sizeof bad_models[0]))

START_TEST(bad_models_are_refused_by_name)
{
    struct text bytes = {bad_models[_i].bytes, bad_models[_i].length};
    struct checkpoint checkpoint = checkpoint_of_spaced("x.model", bytes, "");
    check_tokenizer_refused(&checkpoint, bad_models[_i].status, bad_models[_i].message);
}
END_TEST

/* Reads the model; if it is understood, uses it. No status but these may come of any bytes. */
static void survive(const char *name, const char *bytes, size_t length)
{
    struct checkpoint checkpoint = checkpoint_of_spaced(name, (struct text){bytes, length}, "");
    struct counting counting = {.n_allowed = SIZE_MAX};
    const lckv_allocator allocator = counting_allocator(&counting);
    struct tokenizer *tokenizer = NULL;
    lckv_status status = tokenizer_create(&checkpoint, &allocator, &tokenizer);
    ck_assert(status == LCKV_OK || status == LCKV_BAD_FORMAT || status == LCKV_UNSUPPORTED);
    if (tokenizer != NULL) {
        lckv_token tokens[MAX_TOKENS];
        encode(tokenizer, "Once  upon\xFF\n", 12, 0, tokens);
    }
    tokenizer_release(tokenizer);
    ck_assert_uint_eq(counting.out, 0);
}

/* Bytes of their own, so that a sanitizer sees what is read behind them. */
static void survive_beginning(const char *name, const char *bytes, size_t length)
{
    char *copy = malloc(length > 0 ? length : 1);
    memcpy(copy, bytes, length);
    survive(name, copy, length);
    free(copy);
}

START_TEST(cut_and_changed_models_are_survived)
{
    size_t length;
    char *bytes = read_spaced(spaced_names[_i], &length);
    for (size_t cut = 1; cut < length; cut += cut < 64 ? 1 : 37)
        survive_beginning(spaced_names[_i], bytes, cut);
    for (size_t at = 0; at < length; at += at < 64 || at > length - 64 ? 1 : 11) {
        for (int bit = 0; bit < 8; bit += 3) {
            bytes[at] = (char)(bytes[at] ^ 1 << bit);
            survive(spaced_names[_i], bytes, length);
            bytes[at] = (char)(bytes[at] ^ 1 << bit);
        }
    }
    free(bytes);
}
END_TEST

START_TEST(bad_configurations_of_models_are_refused_by_name)
{
    static const struct {
        const char *config, *message;
    } cases[] = {
        {"{\"added_tokens_decoder\":7}", "added_tokens_decoder: expected an object"},
        {"{\"added_tokens_decoder\":{\"a\":{\"content\":\"b\"}}}", "\"a\": expected an id"},
        {"{\"added_tokens_decoder\":{\"9999999\":{\"content\":\"b\"}}}", "expected an id below"},
        {"{\"added_tokens_decoder\":{\"4000000\":{\"content\":\"b\"}}}", "dense ids"},
        {"{\"added_tokens_decoder\":{\"0\":{}}}", "content of id 0"},
        {"{\"legacy\":7}", "legacy: expected"},
        {"{\"add_prefix_space\":7}", "add_prefix_space: expected"},
    };
    size_t length;
    char *bytes = read_spaced("bpe.model", &length);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct checkpoint checkpoint =
            checkpoint_of_spaced("bpe.model", (struct text){bytes, length}, cases[i].config);
        check_tokenizer_refused(&checkpoint, LCKV_BAD_FORMAT, cases[i].message);
    }
    free(bytes);
}
END_TEST

/* ---- Normalisation rules ---- */

START_TEST(rules_stay_within_their_array)
{
    struct arena arena;
    struct charsmap charsmap;
    struct text replacement;
    arena_init(&arena, &memory_default_allocator);
    /* Two units: the root leads every byte to places outside, or back to itself. */
    static const char cycle[] = "\x08\0\0\0\x61\x01\0\0\x61\x01\0\0x";
    ck_assert_ok(charsmap_init(&charsmap, (struct text){cycle, sizeof cycle}, &arena));
    char text[1024];
    for (int byte = 1; byte < 256; byte++) {
        memset(text, byte, sizeof text);
        ck_assert_uint_le(charsmap_find(&charsmap, text, sizeof text, &replacement),
                          CHARSMAP_MAX_KEY);
    }
    ck_assert_status(charsmap_init(&charsmap, (struct text){"\x08\0\0\0\0\0\0\0", 8}, &arena),
                     LCKV_BAD_FORMAT);
    ck_assert_status(charsmap_init(&charsmap, (struct text){"\x03\0\0\0\0\0\0\0", 8}, &arena),
                     LCKV_BAD_FORMAT);
    ck_assert_status(charsmap_init(&charsmap, (struct text){"\x04\0\0\0\0\0\0\0x", 9}, &arena),
                     LCKV_BAD_FORMAT);
    char *large = calloc(1, 1024);
    memcpy(large, "\x04\0\0\0", 4);
    memset(large + 8, 'x', 1024 - 9);
    ck_assert_status(charsmap_init(&charsmap, (struct text){large, 1024}, &arena),
                     LCKV_UNSUPPORTED);
    free(large);
    arena_release(&arena);
}
END_TEST

/* tokenizer.json has them in base64, whose last signs may be missing. */
START_TEST(rules_may_be_written_in_base64)
{
    static const char bytes[] = "\x08\0\0\0\x61\x01\0\0\x61\x01\0\0"; /* and a NUL */
    static const char *const texts[] = {"CAAAAGEBAABhAQAAAA==", "CAAAAGEBAABhAQAAAA",
                                        "CAAAAGEBAABhAQAAeAA=", "CAAAAGEBAABhAQAAeAA"};
    struct arena arena;
    struct charsmap charsmap;
    arena_init(&arena, &memory_default_allocator);
    for (size_t i = 0; i < COUNT(texts); i++) {
        const struct text text = {texts[i], strlen(texts[i])};
        const size_t n_replacements = i < 2 ? 1 : 2;
        ck_assert_ok(charsmap_init_base64(&charsmap, text, &arena));
        ck_assert_uint_eq(charsmap.bytes.length, 12 + n_replacements);
        ck_assert_mem_eq(charsmap.bytes.bytes, bytes, 12);
        ck_assert_uint_eq(charsmap.n_units, 2);
        ck_assert_uint_eq(charsmap.replacements.length, n_replacements);
        ck_assert_mem_eq(charsmap.replacements.bytes, i < 2 ? "" : "x", n_replacements);
    }
    ck_assert_status(charsmap_init_base64(&charsmap, (struct text){"CA=AAGEB", 8}, &arena),
                     LCKV_BAD_FORMAT);
    ck_assert_error_has("byte 2: expected base64");
    ck_assert_ok(charsmap_init_base64(&charsmap, (struct text){"", 0}, &arena));
    ck_assert_uint_eq(charsmap.n_units, 0);
    arena_release(&arena);
}
END_TEST

/* ---- tokenizer.json ---- */

#define VOCAB "{\"<unk>\":0,\"a\":1,\"" M "\":2}"
#define BPE_MODEL "{\"type\":\"BPE\",\"vocab\":" VOCAB ",\"merges\":[]}"
#define METASPACE_STEP "{\"type\":\"Metaspace\",\"replacement\":\"" M "\"}"
#define REPLACE_STEP "{\"type\":\"Replace\",\"pattern\":{\"String\":\" \"},\"content\":\"" M "\"}"
#define WITH(members) "{\"model\":" BPE_MODEL "," members "}"
#define NORMALIZERS(steps) \
    WITH("\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[" steps "]}")
#define UNIGRAM(members) \
    "{\"model\":{\"type\":\"Unigram\"" members "},\"pre_tokenizer\":" METASPACE_STEP "}"

static const struct {
    const char *json;
    lckv_status status;
    const char *message;
} bad_json[] = {
    {UNIGRAM(""), LCKV_BAD_FORMAT, "vocab is missing"},
    {UNIGRAM(",\"vocab\":[]"), LCKV_BAD_FORMAT, "0 tokens"},
    {UNIGRAM(",\"vocab\":[7]"), LCKV_BAD_FORMAT, "vocab: entry 0"},
    {UNIGRAM(",\"vocab\":[[\"a\"]]"), LCKV_BAD_FORMAT, "vocab: entry 0"},
    {UNIGRAM(",\"vocab\":[[\"a\",\"b\"]]"), LCKV_BAD_FORMAT, "vocab: entry 0"},
    {UNIGRAM(",\"vocab\":[[\"a\",1e999]]"), LCKV_BAD_FORMAT, "vocab: entry 0"},
    {UNIGRAM(",\"vocab\":[[\"a\",1]],\"unk_id\":1"), LCKV_BAD_FORMAT, "unk_id is 1"},
    {UNIGRAM(",\"vocab\":[[\"a\",1]],\"mystery\":1"), LCKV_UNSUPPORTED, "member \"mystery\""},
    {"{\"model\":{\"type\":\"Unigram\",\"vocab\":[[\"a\",1]]}}", LCKV_UNSUPPORTED,
     "expected a Metaspace"},
    {WITH("\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"_\"}"), LCKV_UNSUPPORTED,
     "replacement \"_\""},
    {WITH("\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"" M
          "\",\"prepend_scheme\":\"mystery\"}"),
     LCKV_UNSUPPORTED, "prepend_scheme \"mystery\""},
    {WITH("\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"" M "\",\"mystery\":1}"),
     LCKV_UNSUPPORTED, "member \"mystery\""},
    {WITH("\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[" METASPACE_STEP
          ",{\"type\":\"Digits\"}]}"),
     LCKV_UNSUPPORTED, "\"Digits\""},
    {WITH("\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":"
          "\"WhitespaceSplit\"},{\"type\":\"Metaspace\",\"replacement\":\"" M
          "\",\"prepend_scheme\":\"never\"}]}"),
     LCKV_UNSUPPORTED, "behind WhitespaceSplit"},
    {NORMALIZERS("{\"type\":\"Prepend\",\"prepend\":\"" M "\"}"), LCKV_UNSUPPORTED,
     "expected a Metaspace, or a Replace"},
    {NORMALIZERS("{\"type\":\"Prepend\",\"prepend\":\"x\"}"), LCKV_UNSUPPORTED,
     "expected a Metaspace, or a Replace"},
    {WITH("\"normalizer\":" REPLACE_STEP ",\"pre_tokenizer\":{\"type\":\"WhitespaceSplit\"}"),
     LCKV_UNSUPPORTED, "expected a Metaspace"},
    {NORMALIZERS("{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"?\"}," REPLACE_STEP),
     LCKV_BAD_FORMAT, "expected base64"},
    {NORMALIZERS("{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"AAAA\"}," REPLACE_STEP),
     LCKV_BAD_FORMAT, "truncated"},
    {WITH("\"pre_tokenizer\":" METASPACE_STEP ",\"decoder\":{\"type\":\"ByteLevel\"}"),
     LCKV_UNSUPPORTED, "decoder: together with U+2581: \"ByteLevel\""},
    {WITH("\"pre_tokenizer\":" METASPACE_STEP
          ",\"decoder\":{\"type\":\"Strip\",\"content\":\" \",\"start\":2,\"stop\":0}"),
     LCKV_UNSUPPORTED, "Strip of anything but one space"},
    {WITH("\"pre_tokenizer\":" METASPACE_STEP
          ",\"decoder\":{\"type\":\"Strip\",\"content\":\" \",\"start\":1,\"stop\":1}"),
     LCKV_UNSUPPORTED, "Strip of anything but one space"},
    {WITH("\"pre_tokenizer\":" METASPACE_STEP
          ",\"decoder\":{\"type\":\"Metaspace\",\"replacement\":\"_\"}"),
     LCKV_UNSUPPORTED, "decoder: Metaspace: replacement \"_\" is not supported"},
    {WITH("\"pre_tokenizer\":" METASPACE_STEP
          ",\"decoder\":{\"type\":\"Strip\",\"content\":\"a\",\"start\":1,\"stop\":0}"),
     LCKV_UNSUPPORTED, "Strip of anything but one space"},
};
#define N_JSON ((int)(sizeof bad_json / sizeof bad_json[0]))

START_TEST(bad_json_is_refused_by_name)
{
    struct checkpoint checkpoint = checkpoint_of_json(bad_json[_i].json, "");
    check_tokenizer_refused(&checkpoint, bad_json[_i].status, bad_json[_i].message);
}
END_TEST

/* ---- GGUF metadata ---- */

enum spoil {
    SCORES_ARE_TEXTS,
    FEW_SCORES,
    SCORE_NAN,
    RULES_ARE_NUMBERS,
    RULES_TRUNCATED,
    SPACING_UNKNOWN,
    SPACING_IS_NUMBER,
    PREFIX_IS_TEXT,
    UNKNOWN_TOO_LARGE,
    UNKNOWN_SCORE_IS_TEXT,
    NO_MERGES,
    N_SPOILS
};

static const struct {
    lckv_status status;
    const char *message;
} bad_metadata[N_SPOILS] = {
    [SCORES_ARE_TEXTS] = {LCKV_BAD_FORMAT, "tokenizer.ggml.scores: expected an array of numbers"},
    [FEW_SCORES] = {LCKV_BAD_FORMAT, "1 scores, expected one for each of"},
    [SCORE_NAN] = {LCKV_BAD_FORMAT, "the score of token 0: expected a finite number"},
    [RULES_ARE_NUMBERS] = {LCKV_BAD_FORMAT, "precompiled_charsmap: expected an array of bytes"},
    [RULES_TRUNCATED] = {LCKV_BAD_FORMAT, "precompiled_charsmap: the compiled normalisation rules"},
    [SPACING_UNKNOWN] = {LCKV_UNSUPPORTED, "lckv.tokenizer.spacing: \"mystery\""},
    [SPACING_IS_NUMBER] = {LCKV_BAD_FORMAT, "lckv.tokenizer.spacing"},
    [PREFIX_IS_TEXT] = {LCKV_BAD_FORMAT, "tokenizer.ggml.add_space_prefix"},
    [UNKNOWN_TOO_LARGE] = {LCKV_BAD_FORMAT, "lckv.tokenizer.unknown_byte_id is 9999"},
    [UNKNOWN_SCORE_IS_TEXT] = {LCKV_BAD_FORMAT, "lckv.tokenizer.unknown_score"},
    [NO_MERGES] = {LCKV_BAD_FORMAT, "tokenizer.ggml.merges is missing"},
};

static lckv_status set_array(struct metadata *metadata, const char *key, uint32_t type,
                             const void *elements, uint64_t count)
{
    const struct metadata_value value = {.key = {key, strlen(key)},
                                         .type = METADATA_ARRAY,
                                         .element_type = type,
                                         .count = count,
                                         .as.elements = elements};
    return metadata_set_value(metadata, &value);
}

static lckv_status spoil(struct metadata *metadata, enum spoil what)
{
    static uint32_t nans[420];
    const struct text text = {"a", 1};
    nans[0] = 0x7FC00000;
    switch (what) {
    case SCORES_ARE_TEXTS:
        return metadata_set_texts(metadata, "tokenizer.ggml.scores", &text, 1);
    case FEW_SCORES:
        return set_array(metadata, "tokenizer.ggml.scores", METADATA_F32, nans, 1);
    case SCORE_NAN:
        return set_array(metadata, "tokenizer.ggml.scores", METADATA_F32, nans, 420);
    case RULES_ARE_NUMBERS:
        return set_array(metadata, "tokenizer.ggml.precompiled_charsmap", METADATA_F32, nans, 1);
    case RULES_TRUNCATED:
        return set_array(metadata, "tokenizer.ggml.precompiled_charsmap", METADATA_U8, "abc", 3);
    case SPACING_UNKNOWN:
        return metadata_set_text(metadata, "lckv.tokenizer.spacing", "collapse mystery", 16);
    case SPACING_IS_NUMBER:
        return metadata_set_u32(metadata, "lckv.tokenizer.spacing", 7);
    case PREFIX_IS_TEXT:
        return metadata_set_text(metadata, "tokenizer.ggml.add_space_prefix", "yes", 3);
    case UNKNOWN_TOO_LARGE:
        return metadata_set_u32(metadata, "lckv.tokenizer.unknown_byte_id", 9999);
    case UNKNOWN_SCORE_IS_TEXT:
        return metadata_set_text(metadata, "lckv.tokenizer.unknown_score", "x", 1);
    default:
        return metadata_set_text(metadata, "tokenizer.ggml.model", "gemma4", 6);
    }
}

START_TEST(bad_metadata_are_refused_by_name)
{
    struct tokenizer *tokenizer = tokenizer_of_spaced("bpe.model", "{\"legacy\":true}");
    struct checkpoint checkpoint = {.kind = CHECKPOINT_GGUF, .name = "rewritten"};
    struct arena arena;
    ck_assert_uint_eq(tokenizer_n_tokens(tokenizer), 420);
    arena_init(&arena, &memory_default_allocator);
    metadata_init(&checkpoint.metadata, &arena);
    ck_assert_ok(tokenizer_to_metadata(tokenizer, &checkpoint.metadata));
    if (_i == NO_MERGES)
        ck_assert_ok(metadata_set_text(&checkpoint.metadata, "lckv.tokenizer.spacing",
                                       "words-at-newlines", 17));
    ck_assert_ok(spoil(&checkpoint.metadata, (enum spoil)_i));
    check_tokenizer_refused(&checkpoint, bad_metadata[_i].status, bad_metadata[_i].message);
    arena_release(&arena);
    tokenizer_release(tokenizer);
}
END_TEST

/* ---- Time ---- */

/* Tokens that all begin alike, each a byte longer than the one before, up to the limit. */
START_TEST(tokens_that_begin_alike_take_no_quadratic_time)
{
    enum { N = 500, LENGTH = 1 << 20 };
    struct checkpoint checkpoint = {.kind = CHECKPOINT_GGUF, .name = "alike"};
    struct arena arena;
    static struct text tokens[N + 1];
    static int32_t types[N + 1];
    static float scores[N + 1];
    static char spelling[N + 2];
    const char *model = _i == 0 ? "llama" : "t5";
    memset(spelling, 'a', N + 1);
    tokens[0] = (struct text){"<unk>", 5};
    types[0] = LCKV_TOKEN_UNKNOWN;
    for (int i = 1; i <= N; i++) {
        tokens[i] = (struct text){spelling, (size_t)i};
        types[i] = LCKV_TOKEN_NORMAL;
        scores[i] = (float)i / 1000 - 1;
    }
    arena_init(&arena, &memory_default_allocator);
    metadata_init(&checkpoint.metadata, &arena);
    ck_assert_ok(
        metadata_set_text(&checkpoint.metadata, "tokenizer.ggml.model", model, strlen(model)));
    ck_assert_ok(metadata_set_texts(&checkpoint.metadata, "tokenizer.ggml.tokens", tokens, N + 1));
    ck_assert_ok(
        metadata_set_i32s(&checkpoint.metadata, "tokenizer.ggml.token_type", types, N + 1));
    ck_assert_ok(
        set_array(&checkpoint.metadata, "tokenizer.ggml.scores", METADATA_F32, scores, N + 1));
    struct tokenizer *tokenizer = NULL;
    ck_assert_ok(tokenizer_create(&checkpoint, &memory_default_allocator, &tokenizer));
    char *text = malloc(LENGTH);
    lckv_token *ids = malloc(LENGTH * sizeof *ids);
    size_t n_ids = 0;
    memset(text, 'a', LENGTH);
    ck_assert_ok(tokenizer_encode(tokenizer, text, LENGTH, 0, ids, LENGTH, &n_ids));
    ck_assert_uint_lt(n_ids, LENGTH / 250);
    tokenizer_release(tokenizer);

    tokens[1].length = 1;
    static char long_token[600];
    memset(long_token, 'b', sizeof long_token);
    tokens[2] = (struct text){long_token, sizeof long_token};
    ck_assert_ok(metadata_set_texts(&checkpoint.metadata, "tokenizer.ggml.tokens", tokens, N + 1));
    check_tokenizer_refused(&checkpoint, LCKV_UNSUPPORTED,
                            "token 2 has 600 bytes, expected at most 512");
    free(ids);
    free(text);
    arena_release(&arena);
}
END_TEST

static void add_malformed(Suite *suite)
{
    TCase *tcase = tcase_create("malformed");
    tcase_set_timeout(tcase, 120);
    tcase_add_loop_test(tcase, bad_models_are_refused_by_name, 0, N_MODELS);
    tcase_add_loop_test(tcase, cut_and_changed_models_are_survived, 0, 3);
    tcase_add_test(tcase, bad_configurations_of_models_are_refused_by_name);
    tcase_add_test(tcase, rules_stay_within_their_array);
    tcase_add_test(tcase, rules_may_be_written_in_base64);
    tcase_add_loop_test(tcase, bad_json_is_refused_by_name, 0, N_JSON);
    tcase_add_loop_test(tcase, bad_metadata_are_refused_by_name, 0, N_SPOILS);
    tcase_add_loop_test(tcase, tokens_that_begin_alike_take_no_quadratic_time, 0, 2);
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("text_spaced_malformed", add_malformed)
