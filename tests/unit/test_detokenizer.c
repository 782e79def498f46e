/*
 * The streaming detokenizer: it gives whole characters only, loses nothing, and shows special
 * tokens by flag.
 */
#include "base/utf8.h"
#include "text/detokenizer.h"

#include "text_support.h"

static void check_push(struct lckv_detokenizer *detokenizer, lckv_token token, const char *expected)
{
    struct text text;
    ck_assert_ok(detokenizer_push(detokenizer, token, &text));
    ck_assert_uint_eq(text.length, strlen(expected));
    ck_assert_str_eq(text.bytes, expected);
}

static void check_flush(struct lckv_detokenizer *detokenizer, const char *expected)
{
    struct text text = detokenizer_flush(detokenizer);
    ck_assert_uint_eq(text.length, strlen(expected));
    ck_assert_str_eq(text.bytes, expected);
}

/* Finds the tokens of the single bytes of "\xF0\x9F\x98\x80" in plain.json. */
static void find_bytes(const struct tokenizer *tokenizer, lckv_token tokens[4])
{
    lckv_token found[MAX_TOKENS];
    for (size_t i = 0; i < 4; i++) {
        ck_assert_uint_eq(encode(tokenizer, &"\xF0\x9F\x98\x80"[i], 1, 0, found), 1);
        tokens[i] = found[0];
    }
}

START_TEST(characters_come_whole)
{
    struct tokenizer *tokenizer = tokenizer_of_file("plain");
    struct lckv_detokenizer detokenizer;
    lckv_token bytes[4], letter[MAX_TOKENS];
    find_bytes(tokenizer, bytes);
    ck_assert_uint_eq(encode(tokenizer, "a", 1, 0, letter), 1);
    detokenizer_init(&detokenizer, tokenizer, 0, &memory_default_allocator);
    check_flush(&detokenizer, "");
    check_push(&detokenizer, bytes[0], "");
    check_push(&detokenizer, bytes[1], "");
    check_push(&detokenizer, bytes[2], "");
    check_push(&detokenizer, bytes[3], "\xF0\x9F\x98\x80");
    check_push(&detokenizer, letter[0], "a");
    /* Bytes that turn out to be no character come as they are. */
    check_push(&detokenizer, bytes[0], "");
    check_push(&detokenizer, bytes[1], "");
    check_push(&detokenizer, letter[0],
               "\xF0\x9F"
               "a");
    check_push(&detokenizer, bytes[1], "\x9F");
    check_push(&detokenizer, bytes[0], "");
    check_push(&detokenizer, bytes[0], "\xF0");
    check_flush(&detokenizer, "\xF0");
    check_flush(&detokenizer, "");
    check_push(&detokenizer, letter[0], "a");
    detokenizer_release(&detokenizer);
    detokenizer_release(&detokenizer);
    tokenizer_release(tokenizer);
}
END_TEST

START_TEST(special_tokens_show_by_flag)
{
    struct tokenizer *tokenizer = tokenizer_of_json(SMALL_JSON(""), "");
    struct lckv_detokenizer plain, special;
    detokenizer_init(&plain, tokenizer, 0, &memory_default_allocator);
    detokenizer_init(&special, tokenizer, LCKV_DETOKENIZE_SPECIAL, &memory_default_allocator);
    check_push(&plain, 0, "");
    check_push(&special, 0, "<s>");
    check_push(&plain, 11, "<user>");
    check_push(&special, 10, " a");
    detokenizer_release(&special);
    detokenizer_release(&plain);
    tokenizer_release(tokenizer);
}
END_TEST

START_TEST(wrong_tokens_change_nothing)
{
    struct tokenizer *tokenizer = tokenizer_of_file("plain");
    struct lckv_detokenizer detokenizer;
    struct text text = {"as before", 9};
    lckv_token bytes[4];
    find_bytes(tokenizer, bytes);
    detokenizer_init(&detokenizer, tokenizer, 0, &memory_default_allocator);
    check_push(&detokenizer, bytes[0], "");
    ck_assert_status(detokenizer_push(&detokenizer, -1, &text), LCKV_INVALID_ARGUMENT);
    ck_assert_status(detokenizer_push(&detokenizer, 1 << 20, &text), LCKV_INVALID_ARGUMENT);
    ck_assert_str_eq(text.bytes, "as before");
    check_flush(&detokenizer, "\xF0");
    detokenizer_release(&detokenizer);
    tokenizer_release(tokenizer);
}
END_TEST

/* For any tokens the pieces make the detokenized text, and no piece ends within a character. */
START_TEST(pieces_are_the_text)
{
    struct tokenizer *tokenizer = tokenizer_of_file("plain");
    struct lckv_detokenizer detokenizer;
    lckv_token tokens[2000];
    char whole[MAX_TOKENS * 16];
    size_t length = 0, at = 0;
    uint32_t state = 1;
    for (size_t i = 0; i < 2000; i++) {
        state = state * 1664525u + 1013904223u;
        tokens[i] = (lckv_token)((state >> 8) % tokenizer_n_tokens(tokenizer));
    }
    ck_assert_ok(tokenizer_decode(tokenizer, tokens, 2000, 0, whole, sizeof whole, &length));
    detokenizer_init(&detokenizer, tokenizer, 0, &memory_default_allocator);
    for (size_t i = 0; i <= 2000; i++) {
        struct text text = {"", 0};
        if (i < 2000)
            ck_assert_ok(detokenizer_push(&detokenizer, tokens[i], &text));
        else
            text = detokenizer_flush(&detokenizer);
        ck_assert_uint_le(at + text.length, length);
        ck_assert_mem_eq(text.bytes, whole + at, text.length);
        at += text.length;
        for (size_t back = 1; back <= 3 && back <= at; back++)
            ck_assert_uint_le(utf8_character(whole + at - back, length - at + back), back);
    }
    ck_assert_uint_eq(at, length);
    detokenizer_release(&detokenizer);
    tokenizer_release(tokenizer);
}
END_TEST

static void add_detokenizer(Suite *suite)
{
    TCase *tcase = tcase_create("detokenizer");
    tcase_add_test(tcase, characters_come_whole);
    tcase_add_test(tcase, special_tokens_show_by_flag);
    tcase_add_test(tcase, wrong_tokens_change_nothing);
    tcase_add_test(tcase, pieces_are_the_text);
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("detokenizer", add_detokenizer)
