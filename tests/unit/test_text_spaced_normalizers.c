/*
 * Normalisers of every kind before a vocabulary that is spelled with U+2581: a text that one
 * changes has the ids of the changed text without it. tests/tokenizers compares them with the
 * references.
 */
#include "spaced_support.h"

#define MARK "\xE2\x96\x81"
#define SPACES "{\"type\":\"Replace\",\"pattern\":{\"String\":\" \"},\"content\":\"" MARK "\"}"
#define PREPEND "{\"type\":\"Prepend\",\"prepend\":\"" MARK "\"}"
#define LOWERCASE "{\"type\":\"Lowercase\"}"
#define REGEX(pattern, content) \
    "{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"" pattern "\"},\"content\":\"" content "\"}"
#define SEQUENCE(steps) "{\"type\":\"Sequence\",\"normalizers\":[" steps "]}"

/* tokenizer.json of a file, with another normaliser and added tokens; the caller frees it. */
static char *with_normalizer(const char *name, const char *normalizer, const char *added)
{
    char *json = read_spaced(name, NULL);
    char *begin = strstr(json, "\"normalizer\":"), *end = strstr(json, ",\"pre_tokenizer\"");
    char *tokens = strstr(json, "\"added_tokens\":[");
    ck_assert(begin != NULL && end != NULL && tokens != NULL && tokens < begin);
    tokens += strlen("\"added_tokens\":[");
    char *changed = calloc(strlen(json) + strlen(normalizer) + strlen(added) + 16, 1);
    ck_assert_ptr_nonnull(changed);
    sprintf(changed, "%.*s%s%.*s\"normalizer\":%s%s", (int)(tokens - json), json, added,
            (int)(begin - tokens), tokens, normalizer, end);
    free(json);
    return changed;
}

static struct tokenizer *tokenizer_with(const char *name, const char *normalizer, const char *added)
{
    char *json = with_normalizer(name, normalizer, added);
    struct checkpoint checkpoint =
        checkpoint_of_spaced(name, (struct text){json, strlen(json)}, "");
    struct tokenizer *tokenizer = NULL;
    ck_assert_ok(tokenizer_create(&checkpoint, &memory_default_allocator, &tokenizer));
    free(json);
    return tokenizer;
}

static const struct {
    const char *name, *normalizer, *text, *same;
} cases[] = {
    {"gemma.json", SEQUENCE(LOWERCASE "," SPACES), "The DOG \xC3\x89t\xC3\xA9",
     "the dog \xC3\xA9t\xC3\xA9"},
    {"gemma.json", SEQUENCE(REGEX("\\\\s+", " ") "," SPACES), "the \n\t dog", "the dog"},
    {"llama.json", SEQUENCE("{\"type\":\"NFKC\"}," PREPEND "," SPACES),
     "\xEF\xAC\x81ne\xC2\xA0the \xE2\x91\xA0", "fine the 1"},
    {"llama.json", SEQUENCE(SEQUENCE(LOWERCASE) "," PREPEND "," SPACES), "The dog</s>The dog",
     "the dog</s>the dog"},
    {"llama.json", SEQUENCE(PREPEND "," SPACES "," LOWERCASE), "The DOG", "the dog"},
    {"llama.json", SEQUENCE(SPACES "," PREPEND), "the  dog ", "the  dog "},
    {"llama.json", SEQUENCE("{\"type\":\"Strip\"}," PREPEND "," SPACES), "\n the dog \t",
     "the dog"},
    {"mistral.json", LOWERCASE, "The</s>The DOG", "the</s>the dog"},
    {"mistral.json", SEQUENCE("{\"type\":\"NFD\"},{\"type\":\"StripAccents\"}"), "caf\xC3\xA9 the",
     "cafe the"},
    {"mistral.json", "{\"type\":\"Prepend\",\"prepend\":\"the \"}", "dog", "the dog"},
    {"unigram.json", SEQUENCE(LOWERCASE ",{\"type\":\"NFC\"}"), "The DOG e\xCC\x81",
     "the dog \xC3\xA9"},
    {"mistral.json", REGEX(" {2,}", " "), "the   dog", "the dog"},
    {"mistral.json", "{\"type\":\"Strip\",\"strip_left\":false}", "\n the dog \t", "\n the dog"},
    {"gemma.json", SEQUENCE("{\"type\":\"Strip\",\"strip_right\":false}," SPACES), "\n the dog \t",
     "the dog \t"},
    {"mistral.json", "{\"type\":\"Strip\",\"strip_left\":false,\"strip_right\":false}", "\n the \t",
     "\n the \t"},
    {"mistral.json", REGEX(" {2,}", MARK), "the   dog  ", "the dog "},
    /* a space in front of the text's first character, unless that is gone */
    {"mistral.json", REGEX("^[tx]", "s"), "the", "she"},
    {"mistral.json", REGEX("^x*", ""), "xx the", " the"},
    {"mistral.json", LOWERCASE, "A\xFF\xC3(", "a\xEF\xBF\xBD\xEF\xBF\xBD("},
    {"mistral.json", LOWERCASE, "", ""},
    {"mistral.json", LOWERCASE, "The \xE2\x96", "the \xEF\xBF\xBD\xEF\xBF\xBD"},
    {"gemma.json", SEQUENCE(LOWERCASE "," SPACES), "THE\xE2", "the\xEF\xBF\xBD"},
};

static void check_same(const struct tokenizer *tokenizer, const struct tokenizer *plain,
                       const char *text, const char *same)
{
    lckv_token tokens[2][MAX_TOKENS];
    const size_t length = strlen(text);
    const size_t n = encode(tokenizer, text, length, 0, tokens[0]);
    ck_assert_uint_eq(n, encode(plain, same, strlen(same), 0, tokens[1]));
    ck_assert_mem_eq(tokens[0], tokens[1], n * sizeof tokens[0][0]);
    /* What stands behind the text does not count, even if it would complete a character. */
    char longer[128];
    ck_assert_uint_lt(length + 4, sizeof longer);
    memcpy(longer, text, length);
    memcpy(longer + length, "\x94\x81 \n", 4);
    ck_assert_uint_eq(n, encode(tokenizer, longer, length, 0, tokens[0]));
    ck_assert_mem_eq(tokens[0], tokens[1], n * sizeof tokens[0][0]);
}

START_TEST(a_text_has_the_ids_of_what_it_becomes)
{
    struct tokenizer *plain = tokenizer_of_spaced(cases[_i].name, "");
    struct tokenizer *tokenizer = tokenizer_with(cases[_i].name, cases[_i].normalizer, "");
    struct tokenizer *rewritten = tokenizer_rewritten(tokenizer);
    struct tokenizer *again = tokenizer_rewritten(rewritten);
    check_same(tokenizer, plain, cases[_i].text, cases[_i].same);
    check_same(rewritten, plain, cases[_i].text, cases[_i].same);
    check_same(again, plain, cases[_i].text, cases[_i].same);
    tokenizer_release(again);
    tokenizer_release(rewritten);
    tokenizer_release(tokenizer);
    tokenizer_release(plain);
}
END_TEST

/* Tokens that are normalized are found in what the text becomes; others as they stand. */
START_TEST(added_tokens_are_found_before_and_behind)
{
    static const char added[] =
        "{\"id\":420,\"content\":\"The Cat\",\"normalized\":true,\"special\":false},"
        "{\"id\":421,\"content\":\"THE\",\"normalized\":false,\"special\":false},";
    struct tokenizer *tokenizer =
        tokenizer_with("gemma.json", SEQUENCE(LOWERCASE "," SPACES), added);
    struct tokenizer *rewritten = tokenizer_rewritten(tokenizer);
    const struct tokenizer *both[] = {tokenizer, rewritten};
    for (size_t i = 0; i < COUNT(both); i++) {
        check_pieces(both[i], "THE THE CaT", LCKV_TOKENIZE_NO_BOS, "THE| |THE| c|at");
        check_pieces(both[i], "tHE CAT", LCKV_TOKENIZE_NO_BOS, "The Cat");
    }
    tokenizer_release(rewritten);
    tokenizer_release(tokenizer);
}
END_TEST

/* So it is behind a usual normaliser: what it puts in front of a text, it puts before the token. */
START_TEST(added_tokens_are_found_behind_usual_normalizers)
{
    static const char added[] =
        "{\"id\":420,\"content\":\"The Cat\",\"normalized\":true,\"special\":false},"
        "{\"id\":421,\"content\":\"THE\",\"normalized\":false,\"special\":false},";
    struct tokenizer *tokenizer = tokenizer_with("llama.json", SEQUENCE(PREPEND "," SPACES), added);
    struct tokenizer *rewritten = tokenizer_rewritten(tokenizer);
    const struct tokenizer *both[] = {tokenizer, rewritten};
    for (size_t i = 0; i < COUNT(both); i++) {
        check_pieces(both[i], "The Cat", LCKV_TOKENIZE_NO_BOS, "The Cat");
        check_pieces(both[i], "xThe Cat", LCKV_TOKENIZE_NO_BOS, " |x|T|he| |C|at");
        check_pieces(both[i], "a The CatTHEThe Cat", LCKV_TOKENIZE_NO_BOS,
                     " a|The Cat|THE|The Cat");
    }
    tokenizer_release(rewritten);
    tokenizer_release(tokenizer);
}
END_TEST

static const struct {
    const char *name, *normalizer, *message;
    lckv_status status;
} refused[] = {
    {"gemma.json", SEQUENCE(SPACES "," LOWERCASE), "together with U+2581: \"Split\"",
     LCKV_UNSUPPORTED},
    {"llama.json", SEQUENCE(LOWERCASE "," PREPEND), "expected a Metaspace", LCKV_UNSUPPORTED},
    {"mistral.json", "{\"type\":\"BertNormalizer\"}",
     "tokenizer.json: normalizer: \"BertNormalizer\" is not supported", LCKV_UNSUPPORTED},
    {"mistral.json", SEQUENCE(LOWERCASE ",{\"type\":\"Prepend\"}"),
     "Prepend: prepend is missing, expected a string", LCKV_BAD_FORMAT},
    {"mistral.json", SEQUENCE(LOWERCASE ",{\"type\":\"Prepend\",\"prepend\":\"a\",\"more\":1}"),
     "member \"more\"", LCKV_UNSUPPORTED},
    {"mistral.json",
     SEQUENCE(LOWERCASE ",{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"AAAA\"}"),
     "precompiled_charsmap: ", LCKV_BAD_FORMAT},
};

START_TEST(normalizers_that_are_not_known_are_refused_by_name)
{
    char *json = with_normalizer(refused[_i].name, refused[_i].normalizer, "");
    struct checkpoint checkpoint =
        checkpoint_of_spaced(refused[_i].name, (struct text){json, strlen(json)}, "");
    check_tokenizer_refused(&checkpoint, refused[_i].status, refused[_i].message);
    free(json);
}
END_TEST

static void add_normalizers(Suite *suite)
{
    TCase *tcase = tcase_create("normalizers");
    tcase_add_loop_test(tcase, a_text_has_the_ids_of_what_it_becomes, 0, COUNT(cases));
    tcase_add_test(tcase, added_tokens_are_found_before_and_behind);
    tcase_add_test(tcase, added_tokens_are_found_behind_usual_normalizers);
    tcase_add_loop_test(tcase, normalizers_that_are_not_known_are_refused_by_name, 0,
                        COUNT(refused));
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("text_spaced_normalizers", add_normalizers)
