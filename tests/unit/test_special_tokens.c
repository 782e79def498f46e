/*
 * Special tokens in text: the leftmost is found first, and the longest of several, as in a plain
 * search. Also texts and vocabularies that list a text twice.
 */
#include "text/special_tokens.h"

#include "text_support.h"

#include <time.h>

/* A vocabulary of special tokens, and the arena that holds it. */
struct set {
    struct arena arena;
    struct vocabulary vocabulary;
    struct special_tokens specials;
};

static void set_init(struct set *set, const struct text *tokens, const lckv_token_type *types,
                     size_t count)
{
    *set = (struct set){.vocabulary = {.arena = NULL}};
    arena_init(&set->arena, &memory_default_allocator);
    ck_assert_ok(vocabulary_init(&set->vocabulary, &set->arena, count, count));
    for (size_t i = 0; i < count; i++)
        ck_assert_ok(vocabulary_set(&set->vocabulary, i, tokens[i], types[i]));
    ck_assert_ok(vocabulary_finish(&set->vocabulary));
    ck_assert_ok(special_tokens_init(&set->specials, &set->vocabulary, NULL));
}

/* The longest allowed token at the start of the text, or -1; the first of equal ones. */
static lckv_token longest_at(const struct set *set, const char *text, size_t length, bool controls)
{
    lckv_token longest = -1;
    size_t most = 0;
    for (uint32_t id = 0; id < set->vocabulary.n_tokens; id++) {
        const struct vocabulary_token *token = &set->vocabulary.tokens[id];
        bool allowed = token->type == LCKV_TOKEN_USER_DEFINED ||
                       (controls && token->type == LCKV_TOKEN_CONTROL);
        if (allowed && token->text.length > most && token->text.length <= length &&
            memcmp(text, token->text.bytes, token->text.length) == 0) {
            longest = (lckv_token)id;
            most = token->text.length;
        }
    }
    return longest;
}

static void check_text(const struct set *set, const char *text, size_t length, bool controls)
{
    struct special_finder finder;
    struct special_match match;
    ck_assert_ok(special_finder_init(&finder, &set->specials, &memory_default_allocator, text,
                                     length, controls));
    for (size_t at = 0; at < length;) {
        lckv_token token = longest_at(set, text + at, length - at, controls);
        if (token < 0) {
            at++;
            continue;
        }
        ck_assert(special_finder_next(&finder, &match));
        ck_assert_uint_eq(match.begin, at);
        ck_assert_int_eq(match.id, token);
        at += set->vocabulary.tokens[token].text.length;
        ck_assert_uint_eq(match.end, at);
    }
    ck_assert(!special_finder_next(&finder, &match));
    special_finder_release(&finder);
}

START_TEST(the_leftmost_and_longest_are_found)
{
    enum { MOST = 40, LENGTH = 300 };
    uint32_t state = (uint32_t)_i * 2654435761u + 1;
    char letters[MOST][8], text[LENGTH];
    struct text tokens[MOST];
    lckv_token_type types[MOST];
    struct set set;
    for (size_t i = 0; i < MOST; i++) {
        tokens[i] = (struct text){letters[i], 1 + (i * 7 + (size_t)_i) % 7};
        for (size_t j = 0; j < tokens[i].length; j++)
            letters[i][j] = (char)('a' + ((state = state * 1664525u + 1013904223u) >> 30) % 3);
        types[i] = i % 3 == 0   ? LCKV_TOKEN_CONTROL
                   : i % 3 == 1 ? LCKV_TOKEN_USER_DEFINED
                                : LCKV_TOKEN_NORMAL;
    }
    set_init(&set, tokens, types, MOST);
    for (size_t i = 0; i < LENGTH; i++)
        text[i] = (char)('a' + ((state = state * 1664525u + 1013904223u) >> 29) % 4);
    for (size_t length = 0; length <= LENGTH; length += 50) {
        check_text(&set, text, length, true);
        check_text(&set, text, length, false);
    }
    arena_release(&set.arena);
}
END_TEST

/* A text is read in blocks as long as the longest token; others may lie across their edge. */
START_TEST(tokens_are_found_across_blocks)
{
    enum { LENGTH = 300000, LONG = 70000 };
    char *text = malloc(LENGTH);
    ck_assert_ptr_nonnull(text);
    memset(text, 'x', LENGTH);
    const struct text tokens[] = {{"<ab>", 4}, {"<", 1}, {text, LONG}};
    const lckv_token_type types[] = {3, 3, 3};
    struct set set;
    set_init(&set, tokens, types, 3);
    memset(text, '.', LENGTH);
    for (size_t at = LONG - 12; at < LONG + 8; at += 5)
        memcpy(text + at, "<ab>", 4);
    memset(text + 140000, 'x', LONG);
    memcpy(text + LENGTH - 1, "<", 1);
    struct special_finder finder;
    struct special_match match;
    ck_assert_ok(
        special_finder_init(&finder, &set.specials, &memory_default_allocator, text, LENGTH, true));
    for (size_t at = LONG - 12; at < LONG + 8; at += 5) {
        ck_assert(special_finder_next(&finder, &match));
        ck_assert_uint_eq(match.begin, at);
        ck_assert_int_eq(match.id, 0);
    }
    ck_assert(special_finder_next(&finder, &match));
    ck_assert_uint_eq(match.begin, 140000);
    ck_assert_uint_eq(match.end, 140000 + LONG);
    ck_assert(special_finder_next(&finder, &match));
    ck_assert_uint_eq(match.begin, LENGTH - 1);
    ck_assert(!special_finder_next(&finder, &match));
    special_finder_release(&finder);
    arena_release(&set.arena);
    free(text);
}
END_TEST

/* Tokens share all but their ends with the text at each of its bytes. */
START_TEST(a_byte_costs_a_few_steps_whatever_tokens_share)
{
    enum { SHARED = 4000, LENGTH = 4000000 };
    char *token = malloc(SHARED + 1), *text = malloc(LENGTH);
    ck_assert_ptr_nonnull(token);
    ck_assert_ptr_nonnull(text);
    memset(token, 'a', SHARED);
    token[SHARED] = 'b';
    memset(text, 'a', LENGTH);
    const struct text tokens[] = {{token, SHARED + 1}, {token + 1, SHARED}};
    const lckv_token_type types[] = {3, 3};
    struct set set;
    set_init(&set, tokens, types, 2);
    struct special_finder finder;
    struct special_match match;
    clock_t start = clock();
    ck_assert_ok(
        special_finder_init(&finder, &set.specials, &memory_default_allocator, text, LENGTH, true));
    ck_assert(!special_finder_next(&finder, &match));
    ck_assert_msg(clock() - start < 2 * CLOCKS_PER_SEC, "the search took more than 2 s");
    special_finder_release(&finder);
    arena_release(&set.arena);
    free(token);
    free(text);
}
END_TEST

START_TEST(too_many_bytes_of_special_tokens_are_refused)
{
    size_t length = SPECIAL_TOKENS_MAX_STATES;
    char *bytes = malloc(length);
    ck_assert_ptr_nonnull(bytes);
    memset(bytes, 'a', length);
    struct arena arena;
    struct vocabulary vocabulary = {.arena = NULL};
    struct special_tokens specials;
    arena_init(&arena, &memory_default_allocator);
    ck_assert_ok(vocabulary_init(&vocabulary, &arena, 1, 1));
    ck_assert_ok(vocabulary_set(&vocabulary, 0, (struct text){bytes, length}, LCKV_TOKEN_CONTROL));
    ck_assert_ok(vocabulary_finish(&vocabulary));
    ck_assert_status(special_tokens_init(&specials, &vocabulary, NULL), LCKV_UNSUPPORTED);
    ck_assert_error_has("4194304 bytes");
    arena_release(&arena);
    free(bytes);
}
END_TEST

/* ---- Listed twice ---- */

#define TWICE(vocab, merges, added)                                                       \
    "{\"model\":{\"vocab\":{" vocab "},\"merges\":[" merges "]},\"added_tokens\":[" added \
    "],\"pre_tokenizer\":" SMALL_BYTE_LEVEL "}"

static lckv_token only_token(const struct tokenizer *tokenizer, const char *text)
{
    lckv_token tokens[MAX_TOKENS];
    ck_assert_uint_eq(encode(tokenizer, text, strlen(text), 0, tokens), 1);
    return tokens[0];
}

START_TEST(an_added_token_that_is_listed_twice_has_its_first_id)
{
    static const char *const files[] = {
        TWICE("\"a\":0", "", "{\"id\":1,\"content\":\"<t>\"},{\"id\":1,\"content\":\"<t>\"}"),
        TWICE("\"a\":0", "", "{\"id\":1,\"content\":\"<t>\"},{\"id\":2,\"content\":\"<t>\"}"),
        TWICE("\"a\":0,\"<t>\":1", "", "{\"id\":9,\"content\":\"<t>\"}"),
    };
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        struct tokenizer *tokenizer = tokenizer_of_json(files[i], "");
        ck_assert_int_eq(only_token(tokenizer, "<t>"), 1);
        struct tokenizer *second = tokenizer_rewritten(tokenizer);
        ck_assert_int_eq(only_token(second, "<t>"), 1);
        tokenizer_release(second);
        tokenizer_release(tokenizer);
    }
}
END_TEST

/* The flags that count are those of the last entry. */
START_TEST(an_added_token_that_is_listed_twice_has_its_last_flags)
{
    struct tokenizer *tokenizer =
        tokenizer_of_json(TWICE("\"a\":0,\"\xC4\xA0\":1", "",
                                "{\"id\":2,\"content\":\"<t>\",\"lstrip\":true},"
                                "{\"id\":2,\"content\":\"<t>\",\"rstrip\":true}"),
                          "");
    check_pieces(tokenizer, "a <t> a", 0, "a| |<t>|a");
    tokenizer_release(tokenizer);
}
END_TEST

/* Others number added tokens by themselves, from the size of the vocabulary on. */
START_TEST(added_tokens_whose_ids_others_do_not_see_are_refused)
{
    static const char *const files[] = {
        TWICE("\"a\":0", "", "{\"id\":2,\"content\":\"<t>\"}"),
        TWICE("\"a\":0", "", "{\"id\":2,\"content\":\"<u>\"},{\"id\":1,\"content\":\"<t>\"}"),
        TWICE("\"a\":0,\"b\":2", "", "{\"id\":3,\"content\":\"<t>\"}"),
    };
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        struct checkpoint checkpoint = checkpoint_of_json(files[i], "");
        struct tokenizer *tokenizer = NULL;
        ck_assert_status(tokenizer_create(&checkpoint, &memory_default_allocator, &tokenizer),
                         LCKV_UNSUPPORTED);
        ck_assert_error_has(i < 2 ? "expected 1, the next one" : "expected 2, the next one");
    }
}
END_TEST

/*
 * White space that one token takes may be the text of the next; the pieces are those of Hugging
 * Face's tokenizers.
 */
static const struct {
    const char *added, *text, *pieces;
} taken[] = {
    {"{\"id\":2,\"content\":\" \",\"rstrip\":true}", "a  a", "a| | |a"},
    {"{\"id\":2,\"content\":\" \",\"lstrip\":true,\"rstrip\":true}", "a  a", "a| |a"},
    {"{\"id\":2,\"content\":\"<t>\",\"rstrip\":true},{\"id\":3,\"content\":\" \"}", "a<t> a",
     "a|<t>| |a"},
    {"{\"id\":2,\"content\":\"<t>\",\"rstrip\":true},{\"id\":3,\"content\":\"<u>\",\"lstrip\":"
     "true}",
     "<t>  <u> a", "<t>|<u>| |a"},
};

START_TEST(white_space_that_a_token_takes_may_be_another)
{
    char json[512];
    snprintf(json, sizeof json, TWICE("\"a\":0,\"\xC4\xA0\":1", "", "%s"), taken[_i].added);
    struct tokenizer *tokenizer = tokenizer_of_json(json, "");
    check_pieces(tokenizer, taken[_i].text, 0, taken[_i].pieces);
    tokenizer_release(tokenizer);
}
END_TEST

/* In tokenizer.json the last of equal merges counts, and a GGUF file that is written says so. */
START_TEST(a_merge_that_is_listed_twice_has_its_last_rank)
{
    struct tokenizer *tokenizer = tokenizer_of_json(
        TWICE("\"a\":0,\"b\":1,\"ab\":2,\"ba\":3", "\"a b\",\"b a\",\"a b\"", ""), "");
    struct tokenizer *second = tokenizer_rewritten(tokenizer);
    check_pieces(tokenizer, "aba", 0, "a|ba");
    check_pieces(second, "aba", 0, "a|ba");
    tokenizer_release(second);
    tokenizer_release(tokenizer);
}
END_TEST

START_TEST(a_gguf_file_may_list_tokens_and_merges_twice)
{
    const struct text tokens[] = {{"a", 1},  {"b", 1}, {"ab", 2}, {"ba", 2},
                                  {"ab", 2}, {"", 0},  {"", 0}};
    const struct text merges[] = {{"a b", 3}, {"b a", 3}, {"a b", 3}};
    struct checkpoint checkpoint = {.kind = CHECKPOINT_GGUF, .name = "twice"};
    struct tokenizer *tokenizer = NULL;
    struct arena arena;
    arena_init(&arena, &memory_default_allocator);
    metadata_init(&checkpoint.metadata, &arena);
    ck_assert_ok(metadata_set_text(&checkpoint.metadata, "tokenizer.ggml.model", "gpt2", 4));
    ck_assert_ok(metadata_set_texts(&checkpoint.metadata, "tokenizer.ggml.tokens", tokens, 7));
    ck_assert_ok(metadata_set_texts(&checkpoint.metadata, "tokenizer.ggml.merges", merges, 3));
    ck_assert_ok(tokenizer_create(&checkpoint, &memory_default_allocator, &tokenizer));
    check_pieces(tokenizer, "aba", 0, "ab|a");
    ck_assert_int_eq(only_token(tokenizer, "ab"), 2);
    tokenizer_release(tokenizer);
    arena_release(&arena);
}
END_TEST

/* Tokens that are not normalized come first, wherever they stand, in converted files too. */
START_TEST(normalized_tokens_are_found_between_the_others)
{
    struct tokenizer *tokenizer =
        tokenizer_of_json(TWICE("\"a\":0,\"b\":1,\"<\":2,\">\":3", "",
                                "{\"id\":4,\"content\":\"<ab>\",\"normalized\":true},"
                                "{\"id\":5,\"content\":\"b>a\",\"normalized\":false}"),
                          "");
    struct tokenizer *second = tokenizer_rewritten(tokenizer);
    check_pieces(tokenizer, "<ab>b<ab>a<ab>", 0, "<ab>|b|<|a|b>a|<ab>");
    check_pieces(second, "<ab>b<ab>a<ab>", 0, "<ab>|b|<|a|b>a|<ab>");
    tokenizer_release(second);
    tokenizer_release(tokenizer);
}
END_TEST

/* White space that each of its tokens takes to its end is gone through once. */
START_TEST(white_space_is_taken_in_linear_time)
{
    enum { LENGTH = 1 << 20 };
    struct tokenizer *tokenizer = tokenizer_of_json(
        TWICE("\"a\":0", "", "{\"id\":1,\"content\":\" \",\"lstrip\":true,\"rstrip\":true}"), "");
    char *text = malloc(LENGTH);
    ck_assert_ptr_nonnull(text);
    memset(text, ' ', LENGTH);
    lckv_token tokens[MAX_TOKENS];
    clock_t start = clock();
    ck_assert_uint_eq(encode(tokenizer, text, LENGTH, 0, tokens), 1);
    ck_assert_msg(clock() - start < 2 * CLOCKS_PER_SEC, "it took more than 2 s");
    tokenizer_release(tokenizer);
    free(text);
}
END_TEST

static void add_special_tokens(Suite *suite)
{
    TCase *tcase = tcase_create("special tokens");
    tcase_set_timeout(tcase, 120);
    tcase_add_loop_test(tcase, the_leftmost_and_longest_are_found, 0, 50);
    tcase_add_test(tcase, tokens_are_found_across_blocks);
    tcase_add_test(tcase, a_byte_costs_a_few_steps_whatever_tokens_share);
    tcase_add_test(tcase, too_many_bytes_of_special_tokens_are_refused);
    tcase_add_test(tcase, an_added_token_that_is_listed_twice_has_its_first_id);
    tcase_add_test(tcase, an_added_token_that_is_listed_twice_has_its_last_flags);
    tcase_add_test(tcase, added_tokens_whose_ids_others_do_not_see_are_refused);
    tcase_add_loop_test(tcase, white_space_that_a_token_takes_may_be_another, 0,
                        (int)(sizeof taken / sizeof taken[0]));
    tcase_add_test(tcase, normalized_tokens_are_found_between_the_others);
    tcase_add_test(tcase, white_space_is_taken_in_linear_time);
    tcase_add_test(tcase, a_merge_that_is_listed_twice_has_its_last_rank);
    tcase_add_test(tcase, a_gguf_file_may_list_tokens_and_merges_twice);
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("special_tokens", add_special_tokens)
