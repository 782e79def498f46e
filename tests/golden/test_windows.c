/*
 * Prompts of 330 tokens for the models with sliding windows: so long that windowed slots drop pages
 * while the prompts are encoded, in caches that are made for just these tokens. An independent
 * oracle gave the logits (tests/data/goldens/make_windows.py). The tests run under the kernel set
 * that LCKV_CPU names. Uses the public header only.
 */
#include "feeding.h"

#define N_TOKENS 330
#define MOST_VOCAB 160

static const char *const fixtures[] = {"cycle3-window", "mixattention", "yoco-windows"};
#define N_FIXTURES ((int)(sizeof fixtures / sizeof fixtures[0]))

struct prompt {
    const char *name;
    struct safetensors file;
    const lckv_token *tokens;
    size_t n_vocab;
    lckv_model *model;
};

static struct prompt open_prompt(int i, lckv_precision precision)
{
    struct prompt prompt = {.name = fixtures[i]};
    char path[256];
    prompt.model = open_golden(fixtures[i], precision);
    prompt.n_vocab = info_of(prompt.model).n_vocab;
    ck_assert_uint_le(prompt.n_vocab, MOST_VOCAB);
    snprintf(path, sizeof path, "tests/data/goldens/%s/windows.safetensors", fixtures[i]);
    safetensors_open(&prompt.file, path);
    const struct safetensors_array *tokens = safetensors_find(&prompt.file, "tokens");
    ck_assert_uint_eq(tokens->n_elements, N_TOKENS);
    prompt.tokens = tokens->data;
    return prompt;
}

static void close_prompt(struct prompt *prompt)
{
    safetensors_close(&prompt->file);
    lckv_model_release(prompt->model);
}

/* Computes the logits of all tokens, [N_TOKENS, n_vocab]. */
static void feed(const struct prompt *prompt, struct feeding feeding, float *logits)
{
    const uint64_t least = feed_tokens(prompt->model, feeding, prompt->tokens, N_TOKENS, logits);
    ck_assert_uint_gt(least, 0); /* some tokens are forgotten, or this tests nothing */
}

/* Compares the rows that are stored of the oracle's `array`. */
static void check_rows(const struct prompt *prompt, const char *array, const float *logits)
{
    check_listed_rows(prompt->name, &prompt->file, "rows", array, prompt->n_vocab, logits);
}

static float first[N_TOKENS * MOST_VOCAB], again[N_TOKENS * MOST_VOCAB];

START_TEST(long_prompts_agree_with_the_oracle)
{
    static const size_t chunks[] = {N_TOKENS, 100, 7};
    struct prompt prompt = open_prompt(_i, LCKV_PRECISION_FULL);
    for (size_t c = 0; c < sizeof chunks / sizeof chunks[0]; c++) {
        feed(&prompt, (struct feeding){.chunk = chunks[c], .n_threads = 2}, first);
        check_rows(&prompt, "logits_exact", first);
    }
    close_prompt(&prompt);
}
END_TEST

START_TEST(long_prompts_in_two_iterated_calls_agree_with_the_oracle)
{
    struct prompt prompt = open_prompt(_i, LCKV_PRECISION_FULL);
    lckv_plan_info plan = plan_info_of(prompt.model);
    struct feeding feeding = {
        .chunk = (size_t)prompt.file.split, .prefill = LCKV_PREFILL_ITERATED, .n_threads = 2};
    feed(&prompt, feeding, first);
    check_rows(&prompt, plan.n_upward > 0 ? "logits_split_m3b2" : "logits_exact", first);
    close_prompt(&prompt);
}
END_TEST

/* _i: fixture and precision. */
START_TEST(long_prompts_give_bitwise_the_same_logits_however_they_are_split)
{
    static const struct feeding feedings[] = {
        {.chunk = 1, .prefill = LCKV_PREFILL_AUTO},
        {.chunk = 7, .prefill = LCKV_PREFILL_AUTO, .n_threads = 2},
        {.chunk = 33, .prefill = LCKV_PREFILL_EXACT, .page_positions = 16, .rollback = 1},
        {.chunk = 64, .prefill = LCKV_PREFILL_AUTO, .page_positions = 16, .rollback = 1},
        {.chunk = 70, .prefill = LCKV_PREFILL_AUTO, .page_positions = 128},
        {.chunk = 100, .prefill = LCKV_PREFILL_AUTO, .max_rows = 40},
        {.chunk = 150, .prefill = LCKV_PREFILL_AUTO, .n_threads = 3},
        {.chunk = N_TOKENS, .prefill = LCKV_PREFILL_AUTO, .page_positions = 16, .rollback = 1},
    };
    struct prompt prompt =
        open_prompt(_i % N_FIXTURES, _i < N_FIXTURES ? LCKV_PRECISION_FULL : LCKV_PRECISION_FAST);
    feed(&prompt, (struct feeding){.chunk = N_TOKENS, .prefill = LCKV_PREFILL_EXACT}, first);
    for (size_t f = 0; f < sizeof feedings / sizeof feedings[0]; f++) {
        feed(&prompt, feedings[f], again);
        ck_assert_msg(memcmp(first, again, N_TOKENS * prompt.n_vocab * sizeof *first) == 0,
                      "%s: calls of %zu tokens differ", prompt.name, feedings[f].chunk);
    }
    close_prompt(&prompt);
}
END_TEST

static void add_all(Suite *suite)
{
    TCase *tcase = tcase_create("windows");
    tcase_set_timeout(tcase, 300);
    tcase_add_loop_test(tcase, long_prompts_agree_with_the_oracle, 0, N_FIXTURES);
    tcase_add_loop_test(tcase, long_prompts_in_two_iterated_calls_agree_with_the_oracle, 0,
                        N_FIXTURES);
    tcase_add_loop_test(tcase, long_prompts_give_bitwise_the_same_logits_however_they_are_split, 0,
                        2 * N_FIXTURES);
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("windows", add_all)
