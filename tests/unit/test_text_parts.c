/*
 * The parts of tokenizers by themselves: UTF-8, the byte-level alphabet, the hash table, Unicode,
 * and what patterns match.
 */
#include "base/table.h"
#include "base/utf8.h"
#include "text/byte_level.h"
#include "text/normalizer.h"
#include "text/pretokenizer.h"
#include "text/unicode.h"
#include "text/vocabulary.h"

#include "text_support.h"

/* ---- UTF-8 ---- */

START_TEST(utf8_knows_whole_characters)
{
    static const struct {
        const char *text;
        size_t character, unfinished;
    } cases[] = {
        {"", 0, 0},
        {"a", 1, 0},
        {"\x7F", 1, 0},
        {"\x80", 0, 0},
        {"\xC1\x80", 0, 0},
        {"\xC2", 0, 1},
        {"\xC2\x80", 2, 0},
        {"\xDF\xBFz", 2, 0},
        {"\xE0\x9F", 0, 0},
        {"\xE0\xA0", 0, 2},
        {"\xE0\xA0\x80", 3, 0},
        {"\xED\x9F\xBF", 3, 0},
        {"\xED\xA0\x80", 0, 0}, /* a surrogate */
        {"\xEF\xBF\xBF", 3, 0},
        {"\xF0\x8F", 0, 0},
        {"\xF0\x90\x80", 0, 3},
        {"\xF0\x90\x80\x80", 4, 0},
        {"\xF4\x8F\xBF\xBF", 4, 0},
        {"\xF4\x90\x80\x80", 0, 0},
        {"\xF5\x80\x80\x80", 0, 0},
        {"\xFF", 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t length = strlen(cases[i].text);
        ck_assert_uint_eq(utf8_character(cases[i].text, length), cases[i].character);
        ck_assert_uint_eq(utf8_unfinished(cases[i].text, length), cases[i].unfinished);
    }
    ck_assert_uint_eq(utf8_valid_run("a\xC3\xA9\xFFz", 5), 3);
    ck_assert_uint_eq(utf8_invalid_run("\xFF\xC3\xC3\xA9", 4), 2);
    ck_assert_uint_eq(utf8_character("\0", 1), 1);
}
END_TEST

/* ---- The byte-level alphabet ---- */

START_TEST(every_byte_has_a_spelling)
{
    for (int byte = 0; byte < 256; byte++) {
        char spelling[BYTE_LEVEL_MAX], back[BYTE_LEVEL_MAX];
        size_t n_bytes = 0, length = byte_level_spell((uint8_t)byte, spelling);
        ck_assert(byte_level_bytes(spelling, length, back, &n_bytes));
        ck_assert_uint_eq(n_bytes, 1);
        ck_assert_int_eq((uint8_t)back[0], byte);
    }
}
END_TEST

START_TEST(spellings_are_those_of_gpt2)
{
    static const struct {
        const char *spelling, *bytes;
    } cases[] = {{"\xC4\xA0"
                  "a",
                  " a"},
                 {"\xC4\x8A", "\n"},
                 {"\xC3\x83\xC2\xA9", "\xC3\xA9"},
                 {"\xC5\x83", "\xAD"},
                 {"\xC4\xA1", "\x7F"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char bytes[16];
        size_t n_bytes;
        ck_assert(byte_level_bytes(cases[i].spelling, strlen(cases[i].spelling), bytes, &n_bytes));
        ck_assert_uint_eq(n_bytes, strlen(cases[i].bytes));
        ck_assert_mem_eq(bytes, cases[i].bytes, n_bytes);
    }
    static const char *const others[] = {" ",    "\n",  "\xC2\xAD", "\xC5\x84", "\xE4\xBD\xA0",
                                         "\xFF", "\xC4"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        char bytes[16];
        size_t n_bytes;
        ck_assert(!byte_level_bytes(others[i], strlen(others[i]), bytes, &n_bytes));
    }
}
END_TEST

/* ---- The hash table ---- */

START_TEST(tables_find_what_was_added)
{
    enum { N = 5000 };
    static uint32_t keys[N];
    struct arena arena;
    struct table table = {NULL, 0};
    uint32_t value = 7;
    bool added;
    ck_assert(!table_find(&table, "a", 1, &value));
    arena_init(&arena, &memory_default_allocator);
    ck_assert_ok(table_init(&table, &arena, N, "a table"));
    for (uint32_t i = 0; i < N; i++) {
        keys[i] = i * 3;
        ck_assert_ok(table_add(&table, &keys[i], sizeof keys[i], i, &added));
        ck_assert(added);
    }
    ck_assert_ok(table_add(&table, &keys[9], sizeof keys[9], 77, &added));
    ck_assert(!added);
    for (uint32_t key = 0; key < 3 * N; key++) {
        bool found = table_find(&table, &key, sizeof key, &value);
        ck_assert_int_eq(found, key % 3 == 0);
        if (found)
            ck_assert_uint_eq(value, key / 3);
    }
    ck_assert(!table_find(&table, &keys[0], sizeof keys[0] - 1, &value));
    arena_release(&arena);
}
END_TEST

/* ---- Unicode ---- */

START_TEST(white_space_and_words)
{
    ck_assert_uint_eq(unicode_space_at_start(" \t\xC2\xA0\xE3\x80\x80x ", 8), 7);
    ck_assert_uint_eq(unicode_space_at_start("\xE1\xA0\x8E", 3),
                      0); /* U+180E no longer counts as one */
    ck_assert_uint_eq(unicode_space_at_end("x\xE2\x80\xA8\n", 5), 4);
    ck_assert_uint_eq(unicode_space_at_end(" \xFF", 2), 0);
    ck_assert_uint_eq(unicode_space_at_end("  ", 2), 2);
    ck_assert(unicode_word_at_start("\xC3\xA9 ", 3) && unicode_word_at_end(" _", 2));
    ck_assert(!unicode_word_at_start("-a", 2) && !unicode_word_at_end("a.", 2));
    ck_assert(!unicode_word_at_start("", 0) && !unicode_word_at_end("", 0));
    ck_assert(!unicode_word_at_end("a\xFF", 2));
}
END_TEST

/* What \w means to the tokenizers package; single-word tokens depend on it. */
START_TEST(joiners_and_letters_of_other_kinds_make_words)
{
    static const struct {
        const char *character;
        bool is_word;
    } cases[] = {
        {"\xE2\x80\x8C", true},  /* U+200C and U+200D, the joiners */
        {"\xE2\x80\x8D", true},  /* */
        {"\xE2\x80\x8B", false}, /* U+200B, a space of no width */
        {"\xE2\x80\x8E", false}, /* U+200E, a mark of direction */
        {"\xE2\x85\xA7", true},  /* U+2167, Roman eight */
        {"\xE3\x80\x87", true},  /* U+3007, ideographic zero */
        {"\xC2\xBD", false},     /* U+00BD, one half */
        {"\xE2\x92\xB6", true},  /* U+24B6 and U+24E9, letters in circles, and their neighbours */
        {"\xE2\x93\xA9", true},  /* */
        {"\xE2\x92\xB5", false}, /* */
        {"\xE2\x93\xAA", false}, /* */
        {"\xF0\x9F\x84\xB0", true},  /* U+1F130, a letter in a square */
        {"\xF0\x9F\x85\x8A", false}, /* U+1F14A, two of them */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t length = strlen(cases[i].character);
        ck_assert_msg(unicode_word_at_start(cases[i].character, length) == cases[i].is_word &&
                          unicode_word_at_end(cases[i].character, length) == cases[i].is_word,
                      "case %zu", i);
    }
}
END_TEST

START_TEST(single_word_tokens_stand_alone)
{
    struct tokenizer *tokenizer = tokenizer_of_json(
        "{\"model\":" SMALL_MODEL("") ",\"added_tokens\":[{\"id\":11,\"content\":\"abd\","
                                      "\"single_word\":true}],\"pre_tokenizer\":" SMALL_BYTE_LEVEL
                                      "}",
        "");
    check_pieces(tokenizer, "abd", 0, "abd");
    check_pieces(tokenizer, "abda", 0, "ab|d|a");
    check_pieces(tokenizer, "abd\xE2\x80\x8D", 0, "ab|d"); /* the joiner's bytes have no token */
    check_pieces(tokenizer,
                 "\xE2\x80\x8C"
                 "abd",
                 0, "ab|d");
    check_pieces(tokenizer, "abd\xE2\x80\x8B", 0, "abd");
    tokenizer_release(tokenizer);
}
END_TEST

/* Fails unless one step makes this of the text. */
static void check_normalised(const struct normalizer_step *step, const char *text,
                             const char *expected)
{
    struct arena arena;
    struct normalizer normalizer = {.n_steps = 0};
    struct matcher matcher;
    struct normalizing normalizing;
    struct text result;
    arena_init(&arena, &memory_default_allocator);
    ck_assert_ok(normalizer_init(&normalizer, &arena));
    ck_assert_ok(normalizer_add(&normalizer, step, (struct text){"b+", 2}));
    ck_assert_ok(matcher_init(&matcher, normalizer.memory));
    matcher_allow(&matcher, strlen(text));
    normalizing_init(&normalizing, &normalizer, &matcher);
    ck_assert_ok(
        normalizing_run(&normalizing, (struct text){text, strlen(text)}, NULL, 0, &result));
    ck_assert_msg(result.length == strlen(expected) &&
                      memcmp(result.bytes, expected, result.length) == 0,
                  "%s: got %.*s, expected %s", text, (int)result.length, result.bytes, expected);
    normalizing_release(&normalizing);
    matcher_release(&matcher);
    normalizer_release(&normalizer);
    arena_release(&arena);
}

START_TEST(nfc_composes)
{
    static const struct {
        const char *text, *normalised;
    } cases[] = {{"", ""},
                 {"plain", "plain"},
                 {"e\xCC\x81", "\xC3\xA9"},
                 {"xe\xCC\x81y\xC3\xA9", "x\xC3\xA9y\xC3\xA9"},
                 {"a\xCC\x87\xCC\xA3", "\xE1\xBA\xA1\xCC\x87"},
                 {"\xE1\x84\x80\xE1\x85\xA1", "\xEA\xB0\x80"},
                 {"\xE2\x84\xAB", "\xC3\x85"},
                 {"\xEF\xAC\x81", "\xEF\xAC\x81"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check_normalised(&(struct normalizer_step){.kind = NORMALIZER_FORM}, cases[i].text,
                         cases[i].normalised);
}
END_TEST

/* ---- Patterns ---- */

struct words {
    char joined[1024];
    size_t length;
};

static lckv_status join(void *context, const char *word, size_t length)
{
    struct words *words = context;
    ck_assert_uint_gt(length, 0);
    words->length +=
        (size_t)snprintf(words->joined + words->length, sizeof words->joined - words->length,
                         "%s%.*s", words->length > 0 ? "|" : "", (int)length, word);
    return LCKV_OK;
}

START_TEST(patterns_cut_text_into_words)
{
    static const struct {
        const char *pattern, *text, *words;
    } cases[] = {
        {PRETOKENIZER_GPT2, "Hello  world 12's\n\n x", "Hello| | world| 12|'s|\n\n| x"},
        {PRETOKENIZER_GPT2,
         "a\xC2\x85\xE1\xA0\x8E"
         "b",
         "a|\xC2\x85|\xE1\xA0\x8E|b"},
        {"", "ab", "a|b"},
        {"x*", "axxb", "a|xx|b"},
        {"b", "abcb", "a|b|c|b"},
        {"^a", "a\nab", "a|\n|a|b"}, /* ^ at every line */
        {".+", "ab\ncd", "ab|\n|cd"},
        {"[\\s]+",
         "a \xC2\xA0"
         "b",
         "a| \xC2\xA0|b"},
        {"[^\\s]+", "a b", "a| |b"},
        {"[^\\Sx]+",
         "ax \xE1\xA0\x8E"
         "b",
         "ax| |\xE1\xA0\x8E"
         "b"},
        {"[\\Sx]", "a \xE1\xA0\x8E", "a| |\xE1\xA0\x8E"},
        {"[]a]", "b]a", "b|]|a"},
        {"[[:digit:]x]+", "a1x2b", "a|1x2|b"},
        {"\\u00e9|\\x{4f60}|\\.", "a\xC3\xA9\xE4\xBD\xA0.", "a|\xC3\xA9|\xE4\xBD\xA0|."},
        {"(?i:AB)|(?<=c)d(?!e)", "xaBcdcde", "x|aB|c|d|cde"},
        {"[0-9]{2}", "12345", "12|34|5"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct arena arena;
        struct pretokenizer pretokenizer = {.n_steps = 0};
        struct splitter splitter;
        struct matcher matcher;
        struct words words = {.length = 0};
        arena_init(&arena, &memory_default_allocator);
        ck_assert_ok(pretokenizer_init(&pretokenizer, &arena));
        ck_assert_ok(pretokenizer_add(&pretokenizer,
                                      (struct text){cases[i].pattern, strlen(cases[i].pattern)},
                                      PRETOKENIZER_ISOLATED, false));
        ck_assert_ok(matcher_init(&matcher, pretokenizer.memory));
        splitter_init(&splitter, &pretokenizer, &matcher, join, &words);
        matcher_allow(&matcher, strlen(cases[i].text));
        ck_assert_ok(splitter_run(&splitter, cases[i].text, strlen(cases[i].text)));
        ck_assert_msg(strcmp(words.joined, cases[i].words) == 0, "%s: got %s, expected %s",
                      cases[i].pattern, words.joined, cases[i].words);
        splitter_release(&splitter);
        matcher_release(&matcher);
        pretokenizer_release(&pretokenizer);
        arena_release(&arena);
    }
}
END_TEST

/* Ids that no token has are written as llama.cpp's converter writes them. */
START_TEST(holes_are_spelled_with_their_ids)
{
    static const struct {
        uint32_t id;
        const char *spelling;
    } cases[] = {{0, "[PAD0]"}, {7, "[PAD7]"}, {10, "[PAD10]"}, {4294967295, "[PAD4294967295]"}};
    struct arena arena;
    arena_init(&arena, &memory_default_allocator);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct text spelling;
        ck_assert_ok(vocabulary_spell_hole(&arena, cases[i].id, &spelling));
        ck_assert_uint_eq(spelling.length, strlen(cases[i].spelling));
        ck_assert_mem_eq(spelling.bytes, cases[i].spelling, spelling.length);
    }
    arena_release(&arena);
}
END_TEST

static void add_parts(Suite *suite)
{
    TCase *tcase = tcase_create("parts");
    tcase_add_test(tcase, utf8_knows_whole_characters);
    tcase_add_test(tcase, every_byte_has_a_spelling);
    tcase_add_test(tcase, spellings_are_those_of_gpt2);
    tcase_add_test(tcase, tables_find_what_was_added);
    tcase_add_test(tcase, white_space_and_words);
    tcase_add_test(tcase, joiners_and_letters_of_other_kinds_make_words);
    tcase_add_test(tcase, single_word_tokens_stand_alone);
    tcase_add_test(tcase, nfc_composes);
    tcase_add_test(tcase, patterns_cut_text_into_words);
    tcase_add_test(tcase, holes_are_spelled_with_their_ids);
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("text_parts", add_parts)
