/*
 * Vocabularies that are spelled with U+2581: ids and texts are those of SentencePiece and of
 * Hugging Face's tokenizers, bytes come back, the space in front of a text, and the same from GGUF
 * metadata. tests/tokenizers compares many more texts.
 */
#include "text/detokenizer.h"

#include "text/tokenizer_parts.h"

#include "spaced_support.h"

/* ---- Against the references ---- */

static void check_ids(const struct tokenizer *tokenizer, const struct json_value *item,
                      uint32_t flags, lckv_token tokens[MAX_TOKENS], size_t *n_tokens)
{
    struct text text = json_text(json_find(item, "text"));
    const struct json_value *ids = json_find(item, "ids"), *id = json_first(ids);
    *n_tokens = encode(tokenizer, text.bytes, text.length, flags, tokens);
    ck_assert_msg(*n_tokens == json_count(ids), "\"%s\": %zu tokens, expected %zu", text.bytes,
                  *n_tokens, json_count(ids));
    for (size_t i = 0; i < *n_tokens; i++, id = json_next(ids, id)) {
        int64_t expected;
        ck_assert(json_integer(id, &expected));
        ck_assert_msg(tokens[i] == expected, "\"%s\": token %zu is %d, expected %d", text.bytes, i,
                      tokens[i], (int)expected);
    }
}

static void check_text(const struct tokenizer *tokenizer, const struct json_value *item,
                       const lckv_token *tokens, size_t n_tokens)
{
    char bytes[MAX_TOKENS];
    size_t n_bytes = 0;
    struct text back = json_text(json_find(item, "back"));
    ck_assert_ok(tokenizer_decode(tokenizer, tokens, n_tokens, 0, bytes, sizeof bytes, &n_bytes));
    ck_assert_msg(n_bytes == back.length && memcmp(bytes, back.bytes, n_bytes) == 0,
                  "\"%.*s\", expected \"%s\"", (int)n_bytes, bytes, back.bytes);
}

static void check_goldens(const struct tokenizer *tokenizer, const struct json_value *golden)
{
    const struct json_value *cases = json_find(golden, "cases");
    int64_t flags = 0;
    ck_assert(json_integer(json_find(golden, "flags"), &flags));
    ck_assert_uint_ge(json_count(cases), 40);
    for (const struct json_value *item = json_first(cases); item != NULL;
         item = json_next(cases, item)) {
        lckv_token tokens[MAX_TOKENS];
        size_t n_tokens;
        check_ids(tokenizer, item, (uint32_t)flags, tokens, &n_tokens);
        check_text(tokenizer, item, tokens, n_tokens);
    }
}

START_TEST(ids_and_texts_are_those_of_the_references)
{
    struct json_document goldens;
    size_t length;
    char *text = read_spaced("goldens.json", &length);
    ck_assert_ok(json_parse(text, length, "goldens.json", &memory_default_allocator, &goldens));
    struct tokenizer *tokenizer = tokenizer_of_spaced(spaced_names[_i], "");
    struct tokenizer *rewritten = tokenizer_rewritten(tokenizer);
    struct tokenizer *again = tokenizer_rewritten(rewritten);
    check_goldens(tokenizer, json_find(goldens.root, spaced_names[_i]));
    check_goldens(rewritten, json_find(goldens.root, spaced_names[_i]));
    check_goldens(again, json_find(goldens.root, spaced_names[_i]));
    tokenizer_release(again);
    tokenizer_release(rewritten);
    tokenizer_release(tokenizer);
    json_release(&goldens);
    free(text);
}
END_TEST

/* ---- Any bytes ---- */

START_TEST(bytes_with_tokens_come_back)
{
    static const char *const with_bytes[] = {"bpe.model", "llama.json", "mistral.json",
                                             "gemma.json"};
    struct tokenizer *tokenizer = tokenizer_of_spaced(with_bytes[_i], "");
    char text[256], back[MAX_TOKENS];
    uint32_t state = 1;
    for (int round = 0; round < 300; round++) {
        lckv_token tokens[MAX_TOKENS];
        size_t length = (size_t)round % sizeof text, n_bytes = 0;
        for (size_t i = 0; i < length; i++) {
            state = state * 1664525u + 1013904223u;
            text[i] = (char)(round == 255 ? (int)i : (int)(state >> 24));
        }
        size_t n_tokens = encode(tokenizer, text, length,
                                 LCKV_TOKENIZE_NO_BOS | LCKV_TOKENIZE_NO_SPECIAL, tokens);
        ck_assert_ok(tokenizer_decode(tokenizer, tokens, n_tokens, 0, back, sizeof back, &n_bytes));
        ck_assert_uint_eq(n_bytes, length);
        ck_assert_mem_eq(back, text, length);
    }
    tokenizer_release(tokenizer);
}
END_TEST

/* Where bytes have no tokens, those that are no UTF-8 are U+FFFD, as in the references. */
START_TEST(bytes_without_tokens_are_unknown)
{
    struct tokenizer *tokenizer = tokenizer_of_spaced("unigram.json", "");
    lckv_token tokens[2][MAX_TOKENS];
    size_t n = encode(tokenizer, "a \xFF\xFE\xC3 b", 7, 0, tokens[0]);
    ck_assert_uint_eq(n, encode(tokenizer, "a \xEF\xBF\xBD b", 7, 0, tokens[1]));
    ck_assert_mem_eq(tokens[0], tokens[1], n * sizeof tokens[0][0]);
    tokenizer_release(tokenizer);
}
END_TEST

START_TEST(long_words_take_no_quadratic_time)
{
    static const char *const texts[] = {"a", " ", "ab", "an", "\n", "\xFF", "\xE4\xBD\xA0", " \n"};
    const size_t length = 400000;
    struct tokenizer *tokenizer = tokenizer_of_spaced(spaced_names[_i], "");
    char *text = malloc(length);
    lckv_token *tokens = malloc(length * 4 * sizeof *tokens);
    for (size_t t = 0; t < sizeof texts / sizeof texts[0]; t++) {
        size_t n_tokens = 0, unit = strlen(texts[t]);
        for (size_t i = 0; i < length; i++)
            text[i] = texts[t][i % unit];
        ck_assert_ok(tokenizer_encode(tokenizer, text, length, 0, tokens, length * 4, &n_tokens));
    }
    free(tokens);
    free(text);
    tokenizer_release(tokenizer);
}
END_TEST

/* ---- The space in front ---- */

static void check_detokenized(const struct tokenizer *tokenizer, const char *text, uint32_t flags,
                              const char *expected)
{
    lckv_token tokens[MAX_TOKENS];
    char bytes[256];
    size_t n_bytes = 0;
    size_t n_tokens = encode(tokenizer, text, strlen(text), LCKV_TOKENIZE_NO_BOS, tokens);
    ck_assert_ok(
        tokenizer_decode(tokenizer, tokens, n_tokens, flags, bytes, sizeof bytes - 1, &n_bytes));
    bytes[n_bytes] = '\0';
    ck_assert_str_eq(bytes, expected);

    struct lckv_detokenizer detokenizer;
    detokenizer_init(&detokenizer, tokenizer, flags, &memory_default_allocator);
    for (int round = 0; round < 2; round++) { /* a flush begins a new text */
        size_t at = 0;
        for (size_t i = 0; i <= n_tokens; i++) {
            struct text piece;
            if (i == n_tokens)
                piece = detokenizer_flush(&detokenizer);
            else
                ck_assert_ok(detokenizer_push(&detokenizer, tokens[i], &piece));
            ck_assert_uint_le(at + piece.length, n_bytes);
            ck_assert_mem_eq(piece.bytes, expected + at, piece.length);
            at += piece.length;
        }
        ck_assert_uint_eq(at, n_bytes);
    }
    detokenizer_release(&detokenizer);
}

START_TEST(a_text_loses_the_space_in_front_unless_it_continues)
{
    struct tokenizer *tokenizer = tokenizer_of_spaced("llama.json", "");
    check_detokenized(tokenizer, "the dog", 0, "the dog");
    check_detokenized(tokenizer, " the dog", 0, " the dog");
    check_detokenized(tokenizer, "the dog", LCKV_DETOKENIZE_CONTINUES, " the dog");
    check_detokenized(tokenizer, "<s>the</s>", 0, "the");
    check_detokenized(tokenizer, "<s>the</s>", LCKV_DETOKENIZE_SPECIAL, "<s> the</s>");
    tokenizer_release(tokenizer);
    tokenizer = tokenizer_of_spaced("gemma.json", "");
    check_detokenized(tokenizer, " the dog", 0, " the dog");
    check_detokenized(tokenizer, "the dog", LCKV_DETOKENIZE_CONTINUES, "the dog");
    tokenizer_release(tokenizer);
}
END_TEST

START_TEST(the_prefix_stands_before_each_stretch_or_the_first)
{
    const uint32_t flags = LCKV_TOKENIZE_NO_BOS;
    struct tokenizer *tokenizer = tokenizer_of_spaced("llama.json", "");
    check_pieces(tokenizer, "the</s>the", flags, " the|</s>| the");
    ck_assert(tokenizer_begins_after(tokenizer, 1) && tokenizer_begins_after(tokenizer, 2));
    tokenizer_release(tokenizer);
    tokenizer = tokenizer_of_spaced("mistral.json", "");
    check_pieces(tokenizer, "the</s>the", flags, " the|</s>|t|he");
    check_pieces(tokenizer, " the", flags, " the");
    check_pieces(tokenizer, "</s>the", flags, "</s>|t|he");
    ck_assert(tokenizer_begins_after(tokenizer, -1) && !tokenizer_begins_after(tokenizer, 2));
    tokenizer_release(tokenizer);
    tokenizer = tokenizer_of_spaced("bpe.model", "{\"legacy\":false}");
    check_pieces(tokenizer, "the</s>the", flags, " the|</s>|t|he");
    tokenizer_release(tokenizer);
    tokenizer = tokenizer_of_spaced("bpe.model", "{\"add_prefix_space\":false}");
    check_pieces(tokenizer, "the</s>the", flags, "t|he|</s>|t|he");
    tokenizer_release(tokenizer);
}
END_TEST

/* ---- tokenizer.model and tokenizer_config.json ---- */

START_TEST(a_configuration_adds_tokens_to_a_model)
{
    struct tokenizer *tokenizer = tokenizer_of_spaced(
        "bpe.model", "{\"add_bos_token\":false,\"eos_token\":\"<end>\",\"added_tokens_decoder\":{"
                     "\"1\":{\"content\":\"<s>\",\"special\":true,\"normalized\":true},"
                     "\"420\":{\"content\":\"<end>\",\"special\":true,\"__type\":\"AddedToken\"},"
                     "\"421\":{\"content\":\"<tag>\",\"special\":false,\"lstrip\":true}}}");
    ck_assert_uint_eq(tokenizer_n_tokens(tokenizer), 422);
    ck_assert_int_eq(tokenizer_special_ids(tokenizer)->special[LCKV_SPECIAL_BOS], 1);
    ck_assert_int_eq(tokenizer_special_ids(tokenizer)->special[LCKV_SPECIAL_EOS], 420);
    ck_assert_int_eq(tokenizer_special_ids(tokenizer)->special[LCKV_SPECIAL_UNKNOWN], 0);
    check_pieces(tokenizer, "<s>the  <tag>the<br><end>", 0, "<s>| the|<tag>| the|<br>|<end>");
    check_pieces(tokenizer, "<tag>", LCKV_TOKENIZE_BOS, "<s>|<tag>");
    tokenizer_release(tokenizer);
    tokenizer = tokenizer_of_spaced("bpe.model", "");
    check_pieces(tokenizer, "the", 0, "<s>| the");
    tokenizer_release(tokenizer);
}
END_TEST

/* ---- What a file says of a vocabulary without a key ---- */

/* The special tokens of Phi-3 take the white space behind them, and only its name tells it. */
START_TEST(the_name_phi_3_takes_white_space_behind_special_tokens)
{
    static const struct {
        const char *name;
        bool takes;
    } names[] = {{"Phi-3 mini 4k", true}, {"my PHI3", true},        {"phi-3", true},
                 {"Phi-2", false},        {"phi", false},           {"", false},
                 {"Delphi-30", true},     {"a phi -3 it is", false}};
    struct tokenizer *plain = tokenizer_of_spaced("llama.json", "");
    lckv_token tokens[3][MAX_TOKENS];
    const size_t n = encode(plain, "</s>the", 7, 0, tokens[0]);
    for (size_t i = 0; i < COUNT(names); i++) {
        struct arena arena;
        struct checkpoint checkpoint = {.kind = CHECKPOINT_GGUF, .name = "named"};
        struct tokenizer *named = NULL;
        arena_init(&arena, &memory_default_allocator);
        metadata_init(&checkpoint.metadata, &arena);
        ck_assert_ok(tokenizer_to_metadata(plain, &checkpoint.metadata));
        ck_assert_ok(metadata_set_text(&checkpoint.metadata, "general.name", names[i].name,
                                       strlen(names[i].name)));
        ck_assert_ok(tokenizer_create(&checkpoint, &memory_default_allocator, &named));
        arena_release(&arena);
        const size_t n_named = encode(named, "</s> \n the", 10, 0, tokens[1]);
        const bool is_same =
            n_named == n && memcmp(tokens[0], tokens[1], n * sizeof tokens[0][0]) == 0;
        ck_assert_msg(is_same == names[i].takes, "%s", names[i].name);
        /* <s> takes none */
        ck_assert_uint_eq(encode(named, "<s>  the", 8, 0, tokens[1]),
                          encode(plain, "<s>  the", 8, 0, tokens[2]));
        tokenizer_release(named);
    }
    tokenizer_release(plain);
}
END_TEST

/* Characters without tokens that follow each other are one unknown token, if the file says so. */
START_TEST(unknown_characters_are_fused_or_not)
{
    static const char member[] = "\"fuse_unk\":false";
    size_t length;
    char *json = read_spaced("unknown.json", &length), *found = strstr(json, member);
    ck_assert_ptr_nonnull(found);
    for (int fuses = 0; fuses < 2; fuses++) {
        if (fuses)
            memcpy(found, "\"fuse_unk\":true ", strlen(member));
        const struct checkpoint checkpoint =
            checkpoint_of_spaced("unknown.json", (struct text){json, length}, "");
        const uint32_t flags = LCKV_TOKENIZE_NO_BOS;
        struct tokenizer *tokenizer = NULL;
        ck_assert_ok(tokenizer_create(&checkpoint, &memory_default_allocator, &tokenizer));
        check_pieces(tokenizer, "\xE6\x97\xA5", flags, "<unk>");
        check_pieces(tokenizer,
                     "\xE6\x97\xA5\xE6\x9C\xAC"
                     "he",
                     flags, fuses ? "<unk>|he" : "<unk>|<unk>|he");
        check_pieces(tokenizer,
                     "he\xE6\x97\xA5"
                     "he\xE6\x97\xA5",
                     flags, "he|<unk>|he|<unk>");
        tokenizer_release(tokenizer);
    }
    free(json);
}
END_TEST

/* A byte may be any, and is only one where the file says that bytes have tokens. */
START_TEST(bytes_of_a_unigram_model_have_a_type)
{
    static char json[16384];
    for (int fallback = 0; fallback < 2; fallback++) {
        struct tokenizer *tokenizer;
        size_t n = (size_t)sprintf(json,
                                   "{\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":"
                                   "\"\xE2\x96\x81\"},\"model\":{\"type\":\"Unigram\",\"unk_id\":0,"
                                   "\"byte_fallback\":%s,\"vocab\":[[\"<unk>\",0],[\"a\",-1]",
                                   fallback ? "true" : "false");
        for (int byte = 0; byte < 256; byte++)
            n += (size_t)sprintf(json + n, ",[\"<0x%02X>\",-9]", byte);
        sprintf(json + n, "]}}");
        tokenizer = tokenizer_of_json(json, "");
        for (lckv_token id = 0; id < 258; id++) {
            struct text piece;
            lckv_token_type type;
            ck_assert_ok(tokenizer_token(tokenizer, id, &piece, &type));
            ck_assert_int_eq(type, id == 0              ? LCKV_TOKEN_UNKNOWN
                                   : id > 1 && fallback ? LCKV_TOKEN_BYTE
                                                        : LCKV_TOKEN_NORMAL);
        }
        tokenizer_release(tokenizer);
    }
}
END_TEST

static const struct {
    const char *json;
    bool is_spaced;
} signs[] = {
    {"{}", false},
    {"{\"model\":{\"type\":\"Unigram\"}}", true},
    {"{\"model\":{\"type\":\"BPE\"}}", false},
    {"{\"pre_tokenizer\":{\"type\":\"Metaspace\"}}", true},
    {"{\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Digits\"},{"
     "\"type\":\"Metaspace\"}]}}",
     true},
    {"{\"pre_tokenizer\":{\"type\":\"Digits\"}}", false},
    {"{\"normalizer\":{\"type\":\"Prepend\",\"prepend\":\"x\"}}", true},
    {"{\"normalizer\":{\"type\":\"Replace\",\"content\":\"\xE2\x96\x81\"}}", true},
    {"{\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFC\"},{\"type\":"
     "\"Replace\",\"content\":\"\xE2\x96\x81\"}]}}",
     true},
    {"{\"normalizer\":{\"type\":\"Replace\",\"content\":\" \"}}", false},
    {"{\"normalizer\":{\"type\":\"Replace\"}}", false},
    {"{\"normalizer\":{\"type\":\"Replace\",\"content\":3}}", false},
    {"{\"normalizer\":{\"type\":\"NFC\",\"content\":\"\xE2\x96\x81\"}}", false},
    {"{\"normalizer\":{\"type\":\"Replace\",\"content\":\"\xE2\x96\x81\"},\"pre_tokenizer\":{"
     "\"type\":\"ByteLevel\"}}",
     false},
};

START_TEST(a_spaced_vocabulary_is_known_by_its_steps)
{
    struct json_document document;
    ck_assert_ok(json_parse(signs[_i].json, strlen(signs[_i].json), "tokenizer.json",
                            &memory_default_allocator, &document));
    ck_assert_int_eq(tokenizer_is_spaced_json(document.root), signs[_i].is_spaced);
    json_release(&document);
}
END_TEST

/* A decoder strips as many spaces as it says: none if it does not say. */
START_TEST(a_decoder_that_strips_nothing_leaves_the_space)
{
    size_t length;
    char *json = read_spaced("llama.json", &length);
    char *start = strstr(json, ",\"start\":1,\"stop\":0");
    ck_assert_ptr_nonnull(start);
    memset(start, ' ', strlen(",\"start\":1,\"stop\":0"));
    struct checkpoint checkpoint =
        checkpoint_of_spaced("llama.json", (struct text){json, length}, "");
    struct tokenizer *tokenizer = NULL;
    ck_assert_ok(tokenizer_create(&checkpoint, &memory_default_allocator, &tokenizer));
    check_detokenized(tokenizer, "the dog", 0, " the dog");
    tokenizer_release(tokenizer);
    free(json);
}
END_TEST

static void add_spaced(Suite *suite)
{
    TCase *tcase = tcase_create("spaced");
    tcase_set_timeout(tcase, 120);
    tcase_add_loop_test(tcase, ids_and_texts_are_those_of_the_references, 0, N_SPACED);
    tcase_add_loop_test(tcase, bytes_with_tokens_come_back, 0, 4);
    tcase_add_test(tcase, bytes_without_tokens_are_unknown);
    tcase_add_loop_test(tcase, long_words_take_no_quadratic_time, 0, N_SPACED);
    tcase_add_test(tcase, a_text_loses_the_space_in_front_unless_it_continues);
    tcase_add_test(tcase, the_prefix_stands_before_each_stretch_or_the_first);
    tcase_add_test(tcase, the_name_phi_3_takes_white_space_behind_special_tokens);
    tcase_add_test(tcase, unknown_characters_are_fused_or_not);
    tcase_add_test(tcase, bytes_of_a_unigram_model_have_a_type);
    tcase_add_loop_test(tcase, a_spaced_vocabulary_is_known_by_its_steps, 0, COUNT(signs));
    tcase_add_test(tcase, a_decoder_that_strips_nothing_leaves_the_space);
    tcase_add_test(tcase, a_configuration_adds_tokens_to_a_model);
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("text_spaced", add_spaced)
