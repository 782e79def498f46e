/*
 * Real vocabularies, where LCKV_TEST_VOCABULARIES names a folder that holds them: the files
 * ggml-vocab-*.gguf with their texts (.inp) and ids (.out) that llama.cpp publishes. They are in
 * vendor/llama.cpp/models of the source package of llama-cpp-python 0.3.36:
 *
 *     pip download --no-binary :all: --no-deps llama-cpp-python==0.3.36
 */
#include <stdlib.h>
#include <time.h>

#include "format/checkpoint_open.h"

#include "text_support.h"

#define SEPARATOR "\n__ggml_vocab_test__\n"

static const char *const names[] = {"llama-spm", "phi-3", "gemma-4"};
#define N_NAMES ((int)(sizeof names / sizeof names[0]))

/* Those without published ids, too: they must open and keep a text. */
static const char *const others[] = {"baichuan", "nomic-bert-moe"};
#define N_OTHERS ((int)(sizeof others / sizeof others[0]))

static const char *path_of(const char *name, const char *suffix)
{
    static char path[4096];
    snprintf(path, sizeof path, "%s/ggml-vocab-%s.gguf%s", getenv("LCKV_TEST_VOCABULARIES"), name,
             suffix);
    return path;
}

static struct tokenizer *tokenizer_named(const char *name)
{
    struct checkpoint checkpoint = {.kind = CHECKPOINT_GGUF};
    struct tokenizer *tokenizer = NULL;
    ck_assert_ok(checkpoint_open(&checkpoint, path_of(name, ""), &memory_default_allocator));
    ck_assert_ok(tokenizer_create(&checkpoint, &memory_default_allocator, &tokenizer));
    ck_assert_ptr_nonnull(tokenizer);
    checkpoint_close(&checkpoint);
    return tokenizer;
}

/* Fails unless the text has the ids of that line; returns the next line. */
static const char *check_line(const struct tokenizer *tokenizer, const char *text, size_t length,
                              const char *line)
{
    lckv_token tokens[MAX_TOKENS];
    size_t n_tokens =
        encode(tokenizer, text, length, LCKV_TOKENIZE_NO_BOS | LCKV_TOKENIZE_NO_SPECIAL, tokens);
    for (size_t i = 0; i < n_tokens; i++) {
        char *end;
        long expected = strtol(line, &end, 10);
        ck_assert_msg(end != line && memchr(line, '\n', (size_t)(end - line)) == NULL,
                      "\"%.*s\": more than %zu ids", (int)length, text, i);
        ck_assert_msg(tokens[i] == expected, "\"%.*s\": id %zu is %d, expected %ld", (int)length,
                      text, i, tokens[i], expected);
        line = end;
    }
    line += strspn(line, " ");
    ck_assert_msg(*line == '\n', "\"%.*s\": only %zu ids", (int)length, text, n_tokens);
    return line + 1;
}

static void check_all(const struct tokenizer *tokenizer, const char *texts, const char *ids)
{
    size_t n_texts = 0;
    for (const char *text = texts, *end; text != NULL && *ids != '\0'; text = end, n_texts++) {
        end = strstr(text, SEPARATOR);
        ids = check_line(tokenizer, text, end != NULL ? (size_t)(end - text) : strlen(text), ids);
        end = end != NULL ? end + strlen(SEPARATOR) : NULL;
    }
    ck_assert_uint_ge(n_texts, 40);
    ck_assert_str_eq(ids, "");
}

START_TEST(ids_are_the_published_ones)
{
    char *texts = read_whole(path_of(names[_i], ".inp"), NULL);
    char *ids = read_whole(path_of(names[_i], ".out"), NULL);
    struct tokenizer *tokenizer = tokenizer_named(names[_i]);
    struct tokenizer *rewritten = tokenizer_rewritten(tokenizer);
    check_all(tokenizer, texts, ids);
    check_all(rewritten, texts, ids);
    tokenizer_release(rewritten);
    tokenizer_release(tokenizer);
    free(ids);
    free(texts);
}
END_TEST

static void check_megabyte(const struct tokenizer *tokenizer, const char *unit)
{
    const size_t length = 1 << 20;
    char *text = malloc(length);
    lckv_token *tokens = malloc(2 * length * sizeof *tokens);
    size_t n_tokens = 0, n_unit = strlen(unit);
    for (size_t i = 0; i < length; i++)
        text[i] = unit[i % n_unit];
    clock_t begin = clock();
    ck_assert_ok(tokenizer_encode(tokenizer, text, length, 0, tokens, 2 * length, &n_tokens));
    double seconds = (double)(clock() - begin) / CLOCKS_PER_SEC;
    printf("1 MB of \"%.16s\": %zu tokens in %.2f s\n", unit, n_tokens, seconds);
    ck_assert_double_le(seconds, 2.0);
    free(tokens);
    free(text);
}

START_TEST(a_megabyte_takes_under_two_seconds)
{
    const char *name = _i < N_NAMES ? names[_i] : others[_i - N_NAMES];
    struct tokenizer *tokenizer = tokenizer_named(name);
    char *story = read_whole("tests/data/heldout.txt", NULL);
    check_megabyte(tokenizer, story);
    check_megabyte(tokenizer, "a");
    check_megabyte(tokenizer, " ");
    check_megabyte(tokenizer, "\n");
    check_megabyte(tokenizer, "\xE4\xBD\xA0\xE5\xA5\xBD");
    check_megabyte(tokenizer, "\xFF");
    free(story);
    tokenizer_release(tokenizer);
}
END_TEST

static void add_vocabularies(Suite *suite)
{
    TCase *tcase = tcase_create("vocabularies");
    tcase_set_timeout(tcase, 300);
    if (getenv("LCKV_TEST_VOCABULARIES") == NULL) {
        printf("skipped: LCKV_TEST_VOCABULARIES is not set\n");
    } else {
        tcase_add_loop_test(tcase, ids_are_the_published_ones, 0, N_NAMES);
        tcase_add_loop_test(tcase, a_megabyte_takes_under_two_seconds, 0, N_NAMES + N_OTHERS);
    }
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("vocabularies", add_vocabularies)
