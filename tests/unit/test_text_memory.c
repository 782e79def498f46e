/*
 * Tokenizers when memory runs out, at every place where it can.
 */
#include "text/chat.h"
#include "text/detokenizer.h"

#include "allocator.h"
#include "spaced_support.h"

static const char *const text = "Once upon e\xCC\x81 time <|bos|>\xFF 123";

static const char template[] = "{% set x = 'a\\n' ~ bos_token %}{% for m in messages %}"
                               "{{ x + m.content | trim + '<|eos|>' }}{% endfor %}";

/* Writes a conversation as text and as tokens. */
static lckv_status talk(const struct tokenizer *tokenizer)
{
    const lckv_message message = {"user", 4, text, strlen(text)};
    const struct chat chat = {&message, sizeof message, 1, 0};
    lckv_token tokens[MAX_TOKENS];
    char buffer[256];
    size_t n_tokens = 0, length = 0;
    lckv_status status = chat_tokenize(tokenizer, &chat, tokens, MAX_TOKENS, &n_tokens);
    return status == LCKV_OK ? chat_format(tokenizer, &chat, buffer, sizeof buffer, &length)
                             : status;
}

/* Tokenizes the text, and gives it back token by token. */
static lckv_status use(const struct tokenizer *tokenizer, const lckv_allocator *allocator)
{
    lckv_token tokens[MAX_TOKENS];
    size_t n_tokens = 0;
    struct lckv_detokenizer detokenizer;
    struct text piece;
    lckv_status status =
        tokenizer_encode(tokenizer, text, strlen(text), 0, tokens, MAX_TOKENS, &n_tokens);
    ck_assert_int_eq(status == LCKV_OK, n_tokens > 0);
    detokenizer_init(&detokenizer, tokenizer, 0, allocator);
    for (size_t i = 0; status == LCKV_OK && i < n_tokens; i++)
        status = detokenizer_push(&detokenizer, tokens[i], &piece);
    detokenizer_release(&detokenizer);
    return status == LCKV_OK ? talk(tokenizer) : status;
}

/*
 * Creates, uses, writes and reads back the tokenizer. LCKV_OK if the allowed allocations suffice.
 */
static lckv_status use_with(const struct checkpoint *checkpoint, struct counting *counting)
{
    const lckv_allocator allocator = counting_allocator(counting);
    struct tokenizer *tokenizer = NULL, *second = NULL;
    struct checkpoint rewritten = {.kind = CHECKPOINT_GGUF, .name = "rewritten"};
    struct arena arena;
    arena_init(&arena, &allocator);
    metadata_init(&rewritten.metadata, &arena);
    lckv_status status = tokenizer_create(checkpoint, &allocator, &tokenizer);
    if (status == LCKV_OK)
        status = use(tokenizer, &allocator);
    if (status == LCKV_OK)
        status = tokenizer_to_metadata(tokenizer, &rewritten.metadata);
    if (status == LCKV_OK)
        status = tokenizer_create(&rewritten, &allocator, &second);
    if (status == LCKV_OK)
        status = use(second, &allocator);
    tokenizer_release(second);
    tokenizer_release(tokenizer);
    arena_release(&arena);
    ck_assert_uint_eq(counting->out, 0);
    return status;
}

/* Opens and uses the tokenizer with ever more allocations that succeed, until all do. */
static void check_survival(struct checkpoint checkpoint)
{
    checkpoint.chat_template = (struct text){template, sizeof template - 1};
    lckv_status status = LCKV_OUT_OF_MEMORY;
    size_t n = 0;
    for (; status != LCKV_OK && n < 1000; n++) {
        struct counting counting = {.n_allowed = n};
        status = use_with(&checkpoint, &counting);
        if (status != LCKV_OK)
            ck_assert_msg(status == LCKV_OUT_OF_MEMORY, "%s", lckv_last_error());
    }
    ck_assert_ok(status);
    ck_assert_uint_gt(n, 10);
}

START_TEST(every_failed_allocation_is_survived)
{
    char *json = read_data("llama3");
    check_survival(checkpoint_of_json(json, ""));
    free(json);
}
END_TEST

/* With all steps that have memory of their own. */
START_TEST(every_failed_allocation_of_a_pipeline_is_survived)
{
    check_survival(checkpoint_of_json(
        "{\"model\":" SMALL_MODEL(
            "") ",\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFD\"},"
                "{\"type\":\"StripAccents\"},{\"type\":\"Lowercase\"},{\"type\":\"Replace\","
                "\"pattern\":{\"Regex\":\"\\\\s+|e\"},\"content\":\"abc \"}]},"
                "\"added_tokens\":[{\"id\":11,\"content\":\"<|BOS|>\",\"normalized\":true,"
                "\"special\":true}],"
                "\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Digits\"},"
                "{\"type\":\"Punctuation\",\"behavior\":\"MergedWithNext\"},"
                "{\"type\":\"ByteLevel\",\"add_prefix_space\":true},{\"type\":\"Split\","
                "\"pattern\":"
                "{\"String\":\"\xC4\xA0\"},\"behavior\":\"Contiguous\"}]}}",
        "{\"bos_token\":\"<|BOS|>\"}"));
}
END_TEST

START_TEST(so_it_is_with_spaced_vocabularies)
{
    size_t length;
    char *bytes = read_spaced(spaced_names[_i], &length);
    check_survival(checkpoint_of_spaced(spaced_names[_i], (struct text){bytes, length},
                                        "{\"bos_token\":\"<s>\"}"));
    free(bytes);
}
END_TEST

static void add_memory(Suite *suite)
{
    TCase *tcase = tcase_create("memory");
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, every_failed_allocation_is_survived);
    tcase_add_test(tcase, every_failed_allocation_of_a_pipeline_is_survived);
    tcase_add_loop_test(tcase, so_it_is_with_spaced_vocabularies, 0, N_SPACED);
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("text_memory", add_memory)
