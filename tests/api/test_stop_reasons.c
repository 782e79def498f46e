/*
 * Why a generation ended, and with which text. Of several reasons that come with one token, the
 * first counts. On the public header only, with the bundled model.
 */
#include "sessions.h"

#define MODEL "examples/models/stories-lckv-q8_0.gguf"
#define PROMPT "Once upon a time"

enum { N = 8, MOST_TEXT = 256 };

struct run {
    lckv_model *model;
    lckv_cache *cache;
    lckv_session *session;
    lckv_sampler *sampler;
    lckv_token prompt[32], tokens[N];
    size_t n_prompt, n_tokens;
    char text[MOST_TEXT];
    size_t ends[N]; /* of the text with each token */
    size_t length;
    size_t stop_at; /* the callback asks to stop with this call; 0: never */
    size_t n_calls;
    lckv_generate_report report;
};

static void create(struct run *run, lckv_cache_options options)
{
    *run = (struct run){.report = {.size = sizeof run->report}};
    run->model = open_model(MODEL, (lckv_model_options){0});
    run->cache = make_cache(run->model, options);
    ck_assert_ok(lckv_tokenize(run->model, PROMPT, strlen(PROMPT), 0, run->prompt,
                               COUNT(run->prompt), &run->n_prompt));
}

static void release(struct run *run)
{
    lckv_sampler_release(run->sampler);
    lckv_cache_release(run->cache);
    lckv_model_release(run->model);
}

static int32_t take(void *user, lckv_token token, const char *text, size_t length)
{
    struct run *run = user;
    ck_assert_uint_le(run->length + length, MOST_TEXT);
    memcpy(run->text + run->length, text, length);
    run->length += length;
    if (token >= 0) {
        ck_assert_uint_lt(run->n_tokens, N);
        run->ends[run->n_tokens] = run->length;
        run->tokens[run->n_tokens++] = token;
    }
    return ++run->n_calls == run->stop_at;
}

/* A session of its own; greedy, unless the run has a sampler. */
static void generate(struct run *run, lckv_generate_options options)
{
    options.size = sizeof options;
    options.callback = take;
    options.callback_user = run;
    run->n_tokens = run->length = run->n_calls = 0;
    run->session = make_session(run->cache);
    ck_assert_ok(lckv_generate(run->session, run->sampler, run->prompt, run->n_prompt, &options,
                               &run->report));
    ck_assert_uint_eq(run->report.n_generated, run->n_tokens);
    /* And the last, with what is left, unless the callback asked to stop before. */
    const int hushed = run->report.reason == LCKV_STOP_CALLBACK;
    ck_assert_uint_eq(run->n_calls, run->n_tokens + !hushed);
    lckv_session_release(run->session);
}

/* With `max_tokens` as the other reason, or far from it. */
START_TEST(a_stop_string_ends_it)
{
    struct run run;
    char expected[MOST_TEXT];
    create(&run, (lckv_cache_options){0});
    generate(&run, (lckv_generate_options){.max_tokens = N});
    ck_assert_int_eq(run.report.reason, LCKV_STOP_LENGTH);
    ck_assert_uint_eq(run.report.n_prompt, run.n_prompt);
    ck_assert_uint_eq(run.report.n_generated, N);
    memcpy(expected, run.text, run.length);
    const size_t begin = run.ends[1], end = run.ends[2];
    ck_assert_uint_gt(end, begin);
    const lckv_string stop = {expected + begin, end - begin};
    for (uint64_t max_tokens = 3; max_tokens <= N; max_tokens += N - 3) {
        generate(&run,
                 (lckv_generate_options){.max_tokens = max_tokens, .stops = &stop, .n_stops = 1});
        ck_assert_int_eq(run.report.reason, LCKV_STOP_STRING);
        ck_assert_uint_eq(run.report.n_generated, 3);
        ck_assert_uint_eq(run.length, begin);
        ck_assert_mem_eq(run.text, expected, begin);
    }
    release(&run);
}
END_TEST

START_TEST(a_callback_ends_it)
{
    struct run run;
    create(&run, (lckv_cache_options){0});
    run.stop_at = 3;
    for (uint64_t max_tokens = 3; max_tokens <= N; max_tokens += N - 3) {
        generate(&run, (lckv_generate_options){.max_tokens = max_tokens});
        ck_assert_int_eq(run.report.reason, LCKV_STOP_CALLBACK);
        ck_assert_uint_eq(run.report.n_generated, 3);
    }
    generate(&run, (lckv_generate_options){.max_tokens = 2}); /* it asks when all is over */
    ck_assert_int_eq(run.report.reason, LCKV_STOP_LENGTH);
    ck_assert_uint_eq(run.report.n_generated, 2);
    release(&run);
}
END_TEST

START_TEST(an_end_token_ends_it)
{
    struct run run;
    create(&run, (lckv_cache_options){0});
    const lckv_token eos = lckv_model_special_token(run.model, LCKV_SPECIAL_EOS);
    ck_assert_int_ge(eos, 0);
    const lckv_logit_bias bias = {.token = eos, .bias = 1e6f};
    const lckv_sampler_options options = {
        .size = sizeof options, .logit_bias = &bias, .n_logit_bias = 1};
    ck_assert_ok(lckv_sampler_create(&options, &run.sampler));
    for (uint64_t max_tokens = 1; max_tokens <= N; max_tokens += N - 1) {
        generate(&run, (lckv_generate_options){.max_tokens = max_tokens});
        ck_assert_int_eq(run.report.reason, LCKV_STOP_END);
        ck_assert_uint_eq(run.report.n_generated, 1);
        ck_assert_int_eq(run.tokens[0], eos);
        ck_assert_uint_eq(run.length, 0);
    }
    generate(&run, (lckv_generate_options){.max_tokens = N, .ignore_end = 1});
    ck_assert_int_eq(run.report.reason, LCKV_STOP_LENGTH);
    ck_assert_uint_eq(run.report.n_generated, N);
    release(&run);
}
END_TEST

/* The session has room for a page of tokens, the last of which is generated but not appended. */
START_TEST(a_full_cache_ends_it)
{
    struct run run;
    create(&run, (lckv_cache_options){.n_tokens = 16, .page_positions = 16, .max_sessions = 1});
    ck_assert_uint_le(run.n_prompt, 14);
    for (; run.n_prompt < 14; run.n_prompt++)
        run.prompt[run.n_prompt] = run.prompt[run.n_prompt - 1];
    generate(&run, (lckv_generate_options){.max_tokens = N, .ignore_end = 1});
    ck_assert_int_eq(run.report.reason, LCKV_STOP_FULL);
    ck_assert_uint_eq(run.report.n_generated, 3);
    generate(&run, (lckv_generate_options){.max_tokens = 3, .ignore_end = 1});
    ck_assert_int_eq(run.report.reason, LCKV_STOP_LENGTH);
    release(&run);
}
END_TEST

static void add_reasons(Suite *suite)
{
    TCase *tcase = tcase_create("reasons");
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, a_stop_string_ends_it);
    tcase_add_test(tcase, a_callback_ends_it);
    tcase_add_test(tcase, an_end_token_ends_it);
    tcase_add_test(tcase, a_full_cache_ends_it);
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("stop_reasons", add_reasons)
