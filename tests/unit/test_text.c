/*
 * Tokenizers: ids are those of Hugging Face's tokenizers, bytes come back from ids, special tokens,
 * the rules for BOS and EOS, and the same from GGUF metadata. test_text_malformed.c has malformed
 * ones.
 */
#include "text_support.h"

static const char *const names[] = {"gpt2", "smollm", "llama3", "plain", "steps"};
#define N_NAMES ((int)(sizeof names / sizeof names[0]))

/* ---- Against the reference ---- */

static void check_goldens(const struct tokenizer *tokenizer, const struct json_value *cases)
{
    ck_assert_uint_ge(json_count(cases), 40);
    for (const struct json_value *item = json_first(cases); item != NULL;
         item = json_next(cases, item)) {
        struct text text = json_text(json_find(item, "text"));
        const struct json_value *ids = json_find(item, "ids"), *id = json_first(ids);
        lckv_token tokens[MAX_TOKENS];
        size_t n_tokens = encode(tokenizer, text.bytes, text.length, 0, tokens);
        ck_assert_msg(n_tokens == json_count(ids), "%s: %zu tokens, expected %zu", text.bytes,
                      n_tokens, json_count(ids));
        for (size_t j = 0; j < n_tokens; j++, id = json_next(ids, id)) {
            int64_t expected;
            ck_assert(json_integer(id, &expected));
            ck_assert_msg(tokens[j] == expected, "%s: token %zu is %d", text.bytes, j, tokens[j]);
        }
    }
}

START_TEST(ids_are_those_of_the_reference)
{
    char *text = read_data("goldens");
    struct json_document goldens;
    ck_assert_ok(
        json_parse(text, strlen(text), "goldens.json", &memory_default_allocator, &goldens));
    struct tokenizer *tokenizer = tokenizer_of_file(names[_i]);
    struct tokenizer *rewritten = tokenizer_rewritten(tokenizer);
    check_goldens(tokenizer, json_find(goldens.root, names[_i]));
    check_goldens(rewritten, json_find(goldens.root, names[_i]));
    tokenizer_release(rewritten);
    tokenizer_release(tokenizer);
    json_release(&goldens);
    free(text);
}
END_TEST

START_TEST(metadata_describe_the_same_tokenizer)
{
    struct tokenizer *first = tokenizer_of_file(names[_i]);
    struct tokenizer *second = tokenizer_rewritten(first);
    ck_assert_uint_eq(tokenizer_n_tokens(second), tokenizer_n_tokens(first));
    for (lckv_special special = LCKV_SPECIAL_BOS; special <= LCKV_SPECIAL_EOT; special++)
        ck_assert_int_eq(tokenizer_special_ids(second)->special[special],
                         tokenizer_special_ids(first)->special[special]);
    for (lckv_token token = 0; (uint32_t)token < tokenizer_n_tokens(first); token++) {
        struct text text[2];
        lckv_token_type type[2];
        ck_assert_ok(tokenizer_token(first, token, &text[0], &type[0]));
        ck_assert_ok(tokenizer_token(second, token, &text[1], &type[1]));
        ck_assert_int_eq(type[1], type[0]);
        ck_assert_uint_eq(text[1].length, text[0].length);
        ck_assert_mem_eq(text[1].bytes, text[0].bytes, text[0].length);
        ck_assert_int_eq(special_ids_is_end(tokenizer_special_ids(second), token),
                         special_ids_is_end(tokenizer_special_ids(first), token));
    }
    tokenizer_release(second);
    tokenizer_release(first);
}
END_TEST

/* ---- Any bytes ---- */

/* Fails unless the tokens of the text give it back. */
static void check_round_trip(const struct tokenizer *tokenizer, const char *text, size_t length)
{
    lckv_token tokens[MAX_TOKENS];
    char back[MAX_TOKENS];
    size_t n_bytes = 0;
    size_t n_tokens = encode(tokenizer, text, length, LCKV_TOKENIZE_NO_BOS, tokens);
    ck_assert_ok(tokenizer_decode(tokenizer, tokens, n_tokens, LCKV_DETOKENIZE_SPECIAL, back,
                                  sizeof back, &n_bytes));
    ck_assert_uint_eq(n_bytes, length);
    ck_assert_mem_eq(back, text, length);
}

START_TEST(any_bytes_come_back)
{
    struct tokenizer *tokenizer = tokenizer_of_file(names[_i]);
    uint32_t state = 1;
    char text[256];
    for (int i = 0; i < 256; i++)
        text[i] = (char)i;
    if (strcmp(names[_i], "smollm") != 0) /* its tokens remove white space */
        check_round_trip(tokenizer, text, sizeof text);
    for (int round = 0; round < 300; round++) {
        size_t length = (size_t)round % 64;
        for (size_t i = 0; i < length; i++) {
            state = state * 1664525u + 1013904223u;
            /*
             * Half of them are bytes of long characters, whole and broken. NFC changes none of
             * them.
             */
            text[i] = (char)(state >> 31 != 0 ? 0xF0u + (state >> 28) % 2 * 0x8F : state >> 24);
            if (strcmp(names[_i], "llama3") == 0 && (text[i] & 0x80) != 0)
                text[i] |= (char)0xF8;
        }
        check_round_trip(tokenizer, text, length);
    }
    tokenizer_release(tokenizer);
}
END_TEST

START_TEST(long_words_take_no_quadratic_time)
{
    static const char *const texts[] = {"a", " ", "ab", "\xCC\x81\xCC\xA3", "<|im_", "\xFF", " \n"};
    const size_t length = 400000;
    struct tokenizer *tokenizer = tokenizer_of_file(names[_i]);
    char *text = malloc(length);
    lckv_token *tokens = malloc(length * 2 * sizeof *tokens);
    for (size_t t = 0; t < sizeof texts / sizeof texts[0]; t++) {
        size_t n_tokens = 0, unit = strlen(texts[t]);
        for (size_t i = 0; i < length; i++)
            text[i] = texts[t][i % unit];
        ck_assert_ok(tokenizer_encode(tokenizer, text, length, 0, tokens, length * 2, &n_tokens));
        ck_assert_uint_ge(n_tokens, length / 16);
    }
    free(tokens);
    free(text);
    tokenizer_release(tokenizer);
}
END_TEST

/*
 * Characters that the vocabulary cannot spell: in valid text nothing comes for them, elsewhere
 * U+FFFD (which also is nothing here).
 */
START_TEST(bytes_without_a_token)
{
    struct tokenizer *tokenizer = tokenizer_of_json(SMALL_JSON(""), "");
    check_pieces(tokenizer,
                 "abzc\x01"
                 "ab\xFF"
                 "c",
                 0, "ab|c|ab|c");
    tokenizer_release(tokenizer);
    tokenizer =
        tokenizer_of_json("{\"model\":{\"vocab\":{\"\xC3\xAF\":0,\"\xC2\xBF\":1,\"\xC2\xBD\":2,"
                          "\"a\":3,\"?\":4},\"merges\":[],\"unk_token\":\"?\"},"
                          "\"pre_tokenizer\":" SMALL_BYTE_LEVEL "}",
                          "");
    check_pieces(tokenizer,
                 "a\xFF"
                 "ba",
                 0, "a|\xEF|\xBF|\xBD|?|a");
    tokenizer_release(tokenizer);
}
END_TEST

/* ---- Special tokens and rules ---- */

START_TEST(special_tokens_are_parsed_or_not)
{
    struct tokenizer *tokenizer = tokenizer_of_json(SMALL_JSON(""), "");
    check_pieces(tokenizer, "<s>abc</s><user> a", 0, "<s>|abc|</s>|<user>| a");
    check_pieces(tokenizer, "<s>abc</s><user> a", LCKV_TOKENIZE_NO_SPECIAL, "abc|<user>| a");
    tokenizer_release(tokenizer);
}
END_TEST

START_TEST(bos_and_eos_follow_the_rule_or_the_flags)
{
    const char *json =
        SMALL_JSON(",\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":["
                   "{\"SpecialToken\":{\"id\":\"B\"}},{\"Sequence\":{\"id\":\"A\"}},"
                   "{\"SpecialToken\":{\"id\":\"E\"}}],\"special_tokens\":{"
                   "\"B\":{\"ids\":[0]},\"E\":{\"ids\":[1]}}}");
    struct tokenizer *tokenizer = tokenizer_of_json(json, "");
    ck_assert_int_eq(tokenizer_special_ids(tokenizer)->special[LCKV_SPECIAL_BOS], 0);
    ck_assert_int_eq(tokenizer_special_ids(tokenizer)->special[LCKV_SPECIAL_EOS], 1);
    ck_assert_int_eq(tokenizer_special_ids(tokenizer)->special[LCKV_SPECIAL_PADDING], -1);
    check_pieces(tokenizer, "ab", 0, "<s>|ab|</s>");
    check_pieces(tokenizer, "ab", LCKV_TOKENIZE_BOS, "<s>|ab");
    check_pieces(tokenizer, "ab", LCKV_TOKENIZE_NO_BOS, "ab");
    tokenizer_release(tokenizer);

    tokenizer = tokenizer_of_json(json, "{\"add_bos_token\":false,\"bos_token\":\"<s>\"}");
    check_pieces(tokenizer, "ab", 0, "ab|</s>");
    check_pieces(tokenizer, "ab", LCKV_TOKENIZE_BOS, "<s>|ab");
    tokenizer_release(tokenizer);

    size_t n_tokens = 77;
    tokenizer = tokenizer_of_json(SMALL_JSON(""), "");
    check_pieces(tokenizer, "ab", 0, "ab");
    ck_assert_status(tokenizer_encode(tokenizer, "a", 1, LCKV_TOKENIZE_BOS, NULL, 0, &n_tokens),
                     LCKV_UNSUPPORTED);
    ck_assert_uint_eq(n_tokens, 77);
    tokenizer_release(tokenizer);
}
END_TEST

START_TEST(end_tokens_are_eos_eot_and_their_kin)
{
    const char *json =
        "{\"model\":{\"vocab\":{\"a\":0},\"merges\":[]},\"pre_tokenizer\":" SMALL_BYTE_LEVEL
        ",\"added_tokens\":[{\"id\":1,\"content\":\"<|endoftext|>\",\"special\":true},"
        "{\"id\":2,\"content\":\"<|im_end|>\",\"special\":true},"
        "{\"id\":3,\"content\":\"<|eot_id|>\",\"special\":false},"
        "{\"id\":4,\"content\":\"<fin>\",\"special\":true}]}";
    struct tokenizer *tokenizer = tokenizer_of_json(json, "{\"eos_token\":\"<fin>\"}");
    const bool expected[] = {false, true, true, false, true};
    for (lckv_token token = 0; token < 5; token++)
        ck_assert_int_eq(special_ids_is_end(tokenizer_special_ids(tokenizer), token),
                         expected[token]);
    ck_assert(!special_ids_is_end(tokenizer_special_ids(tokenizer), -1));
    ck_assert(!special_ids_is_end(tokenizer_special_ids(tokenizer), 5));
    ck_assert_int_eq(tokenizer_special_ids(tokenizer)->special[LCKV_SPECIAL_EOS], 4);
    ck_assert_int_eq(tokenizer_special_ids(tokenizer)->special[LCKV_SPECIAL_EOT], 2);
    tokenizer_release(tokenizer);
}
END_TEST

START_TEST(holes_become_unused_tokens)
{
    struct tokenizer *tokenizer = tokenizer_of_json(
        "{\"model\":{\"vocab\":{\"a\":0,\"b\":3},\"merges\":[]},\"pre_tokenizer\":" SMALL_BYTE_LEVEL
        "}",
        "");
    struct text text;
    lckv_token_type type;
    ck_assert_uint_eq(tokenizer_n_tokens(tokenizer), 4);
    ck_assert_ok(tokenizer_token(tokenizer, 2, &text, &type));
    ck_assert_int_eq(type, LCKV_TOKEN_UNUSED);
    ck_assert_str_eq(text.bytes, "[PAD2]");
    ck_assert_status(tokenizer_token(tokenizer, 4, &text, &type), LCKV_INVALID_ARGUMENT);
    ck_assert_status(tokenizer_token(tokenizer, -1, &text, &type), LCKV_INVALID_ARGUMENT);
    tokenizer_release(tokenizer);
}
END_TEST

START_TEST(small_buffers_get_the_needed_size_and_nothing_else)
{
    struct tokenizer *tokenizer = tokenizer_of_json(SMALL_JSON(""), "");
    lckv_token tokens[3] = {-7, -7, -7};
    char bytes[8] = "xxxxxxx";
    size_t count = 0;
    ck_assert_status(tokenizer_encode(tokenizer, "abcde", 5, 0, tokens, 2, &count),
                     LCKV_BUFFER_TOO_SMALL);
    ck_assert_uint_eq(count, 3);
    ck_assert_int_eq(tokens[0], -7);
    ck_assert_ok(tokenizer_encode(tokenizer, "abcde", 5, 0, tokens, 3, &count));
    ck_assert_status(tokenizer_decode(tokenizer, tokens, 3, 0, bytes, 4, &count),
                     LCKV_BUFFER_TOO_SMALL);
    ck_assert_uint_eq(count, 5);
    ck_assert_str_eq(bytes, "xxxxxxx");
    ck_assert_ok(tokenizer_decode(tokenizer, tokens, 3, 0, bytes, 5, &count));
    ck_assert_str_eq(bytes, "abcdexx");
    tokens[1] = 12;
    ck_assert_status(tokenizer_decode(tokenizer, tokens, 3, 0, bytes, 8, &count),
                     LCKV_INVALID_ARGUMENT);
    ck_assert_error_has("token 1 of 3");
    tokenizer_release(tokenizer);
}
END_TEST

START_TEST(checkpoints_without_a_tokenizer_give_none)
{
    struct checkpoint checkpoint = checkpoint_of_json("", "");
    struct tokenizer *tokenizer = NULL;
    ck_assert_ok(tokenizer_create(&checkpoint, &memory_default_allocator, &tokenizer));
    ck_assert_ptr_null(tokenizer);
    checkpoint.kind = CHECKPOINT_GGUF;
    ck_assert_ok(tokenizer_create(&checkpoint, &memory_default_allocator, &tokenizer));
    ck_assert_ptr_null(tokenizer);
}
END_TEST

static void add_tokenizers(Suite *suite)
{
    TCase *tcase = tcase_create("tokenizers");
    tcase_set_timeout(tcase, 120);
    tcase_add_loop_test(tcase, ids_are_those_of_the_reference, 0, N_NAMES);
    tcase_add_loop_test(tcase, metadata_describe_the_same_tokenizer, 0, N_NAMES);
    tcase_add_loop_test(tcase, any_bytes_come_back, 0, N_NAMES);
    tcase_add_loop_test(tcase, long_words_take_no_quadratic_time, 0, N_NAMES);
    tcase_add_test(tcase, bytes_without_a_token);
    tcase_add_test(tcase, special_tokens_are_parsed_or_not);
    tcase_add_test(tcase, bos_and_eos_follow_the_rule_or_the_flags);
    tcase_add_test(tcase, end_tokens_are_eos_eot_and_their_kin);
    tcase_add_test(tcase, holes_become_unused_tokens);
    tcase_add_test(tcase, small_buffers_get_the_needed_size_and_nothing_else);
    tcase_add_test(tcase, checkpoints_without_a_tokenizer_give_none);
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("text", add_tokenizers)
