/*
 * lckv_generate as one call that works on the cache from its beginning to its end: who may come
 * between its steps, what a cancel leaves, and what may be released while it runs. Uses the public
 * header only.
 */
#include "sessions.h"

#include <pthread.h>

#define MODEL "tests/data/goldens/lckv-w2" /* upward, 160 tokens, no tokenizer */
#define N_PROMPT 5
#define N_LONG 120
#define N_TOKENS 12

static lckv_token prompt[N_LONG];

/* What a callback works on, and what it does when the third token comes. */
struct run {
    lckv_model *model;
    lckv_cache *cache;
    lckv_session *session, *other;
    lckv_sampler *sampler;
    void (*act)(struct run *run);
    lckv_token tokens[N_TOKENS];
    int n_tokens, n_ends;
    lckv_status status;
    lckv_generate_report report;
};

static void create(struct run *run)
{
    *run = (struct run){.report = {.size = sizeof run->report}};
    fill_tokens(prompt, N_LONG);
    run->model = open_model(MODEL, (lckv_model_options){0});
    ck_assert_ok(lckv_cache_create(run->model, NULL, &run->cache));
    run->session = make_session(run->cache);
    run->other = make_session(run->cache);
    ck_assert_ok(lckv_sampler_create(NULL, &run->sampler));
}

/* Releases what `act` has not released. */
static void release(struct run *run)
{
    lckv_sampler_release(run->sampler);
    lckv_session_release(run->other);
    lckv_session_release(run->session);
    lckv_cache_release(run->cache);
    lckv_model_release(run->model);
    run->sampler = NULL;
    run->session = run->other = NULL;
    run->cache = NULL;
    run->model = NULL;
}

static int32_t take(void *user, lckv_token token, const char *text, size_t length)
{
    struct run *run = user;
    (void)text, (void)length;
    if (token < 0) {
        run->n_ends++;
        return 0;
    }
    ck_assert_int_lt(run->n_tokens, N_TOKENS);
    run->tokens[run->n_tokens++] = token;
    if (run->n_tokens == 3 && run->act != NULL)
        run->act(run);
    return 0;
}

static lckv_status generate(struct run *run, size_t n_prompt)
{
    lckv_generate_options options = {.size = sizeof options,
                                     .max_tokens = N_TOKENS,
                                     .ignore_end = 1,
                                     .callback = take,
                                     .callback_user = run};
    run->n_tokens = run->n_ends = 0;
    return lckv_generate(run->session, run->sampler, prompt, n_prompt, &options, &run->report);
}

/* The tokens of a run without disturbance: one greedy token after the other. */
static void expected_tokens(lckv_token tokens[N_TOKENS])
{
    struct run run;
    create(&run);
    ck_assert_ok(generate(&run, N_PROMPT));
    ck_assert_int_eq(run.report.reason, LCKV_STOP_LENGTH);
    ck_assert_uint_eq(run.report.n_generated, N_TOKENS);
    memcpy(tokens, run.tokens, sizeof run.tokens);
    /* The session holds what its tokens say: it continues in the same way step by step. */
    lckv_item item = {.session = run.other, .tokens = prompt, .n_tokens = N_PROMPT, .want = 1};
    for (int i = 0; i < N_TOKENS; i++) {
        lckv_token token;
        ck_assert_ok(lckv_evaluate(run.cache, &item, sizeof item, 1, NULL, NULL));
        ck_assert_ok(lckv_sampler_sample_session(run.sampler, run.other, &token));
        ck_assert_int_eq(token, tokens[i]);
        item.tokens = &tokens[i];
        item.n_tokens = 1;
    }
    release(&run);
}

/* ---- No call comes between the steps ---- */

static void evaluate_other(struct run *run)
{
    lckv_item item = {.session = run->other, .tokens = prompt, .n_tokens = 1, .want = 1};
    run->status = lckv_evaluate(run->cache, &item, sizeof item, 1, NULL, NULL);
}

static void truncate_session(struct run *run)
{
    run->status = lckv_session_truncate(run->session, 0);
}

static void create_session(struct run *run)
{
    lckv_session *session;
    run->status = lckv_session_create(run->cache, &session);
}

static void sample_session(struct run *run)
{
    lckv_token token;
    run->status = lckv_sampler_sample_session(run->sampler, run->session, &token);
}

static void generate_inside(struct run *run)
{
    run->status = lckv_generate(run->other, NULL, prompt, N_PROMPT, NULL, NULL);
}

static void (*const intrusions[])(struct run *run) = {
    evaluate_other, truncate_session, create_session, sample_session, generate_inside};

START_TEST(the_cache_is_busy_between_the_steps)
{
    lckv_token expected[N_TOKENS];
    struct run run;
    expected_tokens(expected);
    create(&run);
    run.act = intrusions[_i];
    ck_assert_ok(generate(&run, N_PROMPT));
    ck_assert_int_eq(run.status, LCKV_BUSY);
    ck_assert_int_eq(run.report.reason, LCKV_STOP_LENGTH);
    ck_assert(memcmp(run.tokens, expected, sizeof expected) == 0);
    ck_assert_uint_eq(length_of(run.session), N_PROMPT + N_TOKENS - 1);
    ck_assert_uint_eq(length_of(run.other), 0);
    release(&run);
}
END_TEST

static void ask_length(struct run *run)
{
    lckv_token tokens[N_PROMPT + N_TOKENS];
    size_t n;
    ck_assert_uint_eq(length_of(run->session), N_PROMPT + 2);
    run->status = lckv_session_tokens(run->session, tokens, COUNT(tokens), &n);
    ck_assert_uint_eq(n, N_PROMPT + 2);
    ck_assert_mem_eq(tokens + N_PROMPT, run->tokens, 2 * sizeof *tokens);
}

START_TEST(a_callback_sees_the_session_grow)
{
    struct run run;
    create(&run);
    run.act = ask_length;
    ck_assert_ok(generate(&run, N_PROMPT));
    ck_assert_ok(run.status);
    release(&run);
}
END_TEST

static int32_t generate_in_progress(void *user, uint64_t done, uint64_t total)
{
    struct run *run = user;
    (void)done, (void)total;
    run->status = generate(run, N_PROMPT);
    return 0;
}

START_TEST(a_busy_cache_generates_nothing)
{
    struct run run;
    create(&run);
    run.report.n_prompt = 77; /* written on success only */
    lckv_item item = {.session = run.other, .tokens = prompt, .n_tokens = 1, .want = 1};
    lckv_evaluate_options options = {
        .size = sizeof options, .progress = generate_in_progress, .progress_user = &run};
    ck_assert_ok(lckv_evaluate(run.cache, &item, sizeof item, 1, &options, NULL));
    ck_assert_int_eq(run.status, LCKV_BUSY);
    ck_assert_uint_eq(run.report.n_prompt, 77);
    ck_assert_int_eq(run.n_tokens + run.n_ends, 0);
    ck_assert_uint_eq(length_of(run.session), 0);
    release(&run);
}
END_TEST

/* ---- Cancels ---- */

static void cancel(struct run *run)
{
    lckv_cache_cancel(run->cache);
}

START_TEST(a_cancel_between_the_steps_ends_it)
{
    lckv_token expected[N_TOKENS];
    struct run run;
    expected_tokens(expected);
    create(&run);
    run.act = cancel;
    ck_assert_ok(generate(&run, N_PROMPT));
    ck_assert_int_eq(run.report.reason, LCKV_STOP_CANCELLED);
    ck_assert_uint_eq(run.report.n_prompt, N_PROMPT);
    ck_assert_uint_eq(run.report.n_generated, 3);
    ck_assert_int_eq(run.n_tokens, 3);
    ck_assert_int_eq(run.n_ends, 1);
    ck_assert_uint_eq(length_of(run.session), N_PROMPT + 2);
    /* The next call does not see the cancel. It goes on from the token that was not evaluated. */
    lckv_token last = run.tokens[2];
    run.act = NULL;
    prompt[0] = last;
    ck_assert_ok(generate(&run, 1));
    ck_assert_int_eq(run.report.reason, LCKV_STOP_LENGTH);
    ck_assert(memcmp(run.tokens, expected + 3, (N_TOKENS - 3) * sizeof *expected) == 0);
    release(&run);
}
END_TEST

struct canceller {
    lckv_cache *cache;
    pthread_barrier_t started;
    _Atomic int done;
};

static void *cancel_all_the_time(void *user)
{
    struct canceller *canceller = user;
    pthread_barrier_wait(&canceller->started);
    while (!canceller->done)
        lckv_cache_cancel(canceller->cache);
    return NULL;
}

/* A cancel at any moment leaves what the report says. */
START_TEST(a_cancel_from_another_thread_is_a_reason)
{
    struct run run;
    create(&run);
    int n_cancelled = 0;
    for (int i = 0; i < 200 && n_cancelled < 5; i++) {
        struct canceller canceller = {.cache = run.cache};
        pthread_t thread;
        pthread_barrier_init(&canceller.started, NULL, 2);
        ck_assert_int_eq(pthread_create(&thread, NULL, cancel_all_the_time, &canceller), 0);
        pthread_barrier_wait(&canceller.started);
        ck_assert_ok(lckv_session_truncate(run.session, 0));
        ck_assert_ok(generate(&run, N_LONG));
        canceller.done = 1;
        pthread_join(thread, NULL);
        pthread_barrier_destroy(&canceller.started);
        ck_assert_int_eq(run.n_ends, 1);
        ck_assert_uint_eq(run.report.n_generated, run.n_tokens);
        uint64_t n = run.report.n_generated;
        ck_assert_uint_eq(length_of(run.session), run.report.n_prompt + (n > 0 ? n - 1 : 0));
        if (run.report.n_prompt == 0) {
            ck_assert_int_eq(run.report.reason, LCKV_STOP_CANCELLED);
            ck_assert_uint_eq(n, 0);
            n_cancelled++;
        }
    }
    ck_assert_int_gt(n_cancelled, 0);
    release(&run);
}
END_TEST

static int32_t refuse_third(void *user, float *logits, size_t n_vocab)
{
    int *n = user;
    (void)logits, (void)n_vocab;
    return ++*n == 3;
}

START_TEST(a_samplers_callback_cancels_too)
{
    struct run run;
    int n = 0;
    create(&run);
    lckv_sampler_release(run.sampler);
    lckv_sampler_options options = {
        .size = sizeof options, .callback = refuse_third, .callback_user = &n};
    ck_assert_ok(lckv_sampler_create(&options, &run.sampler));
    ck_assert_ok(generate(&run, N_PROMPT));
    ck_assert_int_eq(run.report.reason, LCKV_STOP_CANCELLED);
    ck_assert_uint_eq(run.report.n_generated, 2);
    ck_assert_uint_eq(length_of(run.session), N_PROMPT + 2); /* all that were generated */
    release(&run);
}
END_TEST

/* ---- Releases ---- */

START_TEST(everything_may_be_released_while_it_runs)
{
    lckv_token expected[N_TOKENS];
    struct run run;
    expected_tokens(expected);
    create(&run);
    run.act = release;
    ck_assert_ok(generate(&run, N_PROMPT));
    ck_assert_int_eq(run.report.reason, LCKV_STOP_LENGTH);
    ck_assert_uint_eq(run.report.n_generated, N_TOKENS);
    ck_assert(memcmp(run.tokens, expected, sizeof expected) == 0);
}
END_TEST

struct releaser {
    struct run *run;
    pthread_barrier_t seen;
};

static void *release_elsewhere(void *user)
{
    struct releaser *releaser = user;
    struct run *run = releaser->run;
    pthread_barrier_wait(&releaser->seen);
    lckv_session_release(run->session);
    lckv_cache_release(run->cache);
    lckv_model_release(run->model);
    return NULL;
}

static int32_t show_first(void *user, lckv_token token, const char *text, size_t length)
{
    struct releaser *releaser = user;
    (void)text, (void)length;
    if (token >= 0 && releaser->run->n_tokens++ == 0)
        pthread_barrier_wait(&releaser->seen);
    return 0;
}

START_TEST(another_thread_may_release_while_it_runs)
{
    struct run run;
    create(&run);
    lckv_session_release(run.other);
    struct releaser releaser = {.run = &run};
    pthread_t thread;
    pthread_barrier_init(&releaser.seen, NULL, 2);
    ck_assert_int_eq(pthread_create(&thread, NULL, release_elsewhere, &releaser), 0);
    lckv_generate_options options = {.size = sizeof options,
                                     .max_tokens = 50,
                                     .ignore_end = 1,
                                     .callback = show_first,
                                     .callback_user = &releaser};
    ck_assert_ok(lckv_generate(run.session, NULL, prompt, N_PROMPT, &options, &run.report));
    pthread_join(thread, NULL);
    pthread_barrier_destroy(&releaser.seen);
    ck_assert_uint_eq(run.report.n_generated, 50);
    lckv_sampler_release(run.sampler);
}
END_TEST

static int32_t release_in_sampler(void *user, float *logits, size_t n_vocab)
{
    (void)logits, (void)n_vocab;
    release(user);
    return 0;
}

START_TEST(a_samplers_callback_may_release_everything)
{
    struct run run;
    lckv_token token = -1;
    create(&run);
    lckv_sampler_release(run.sampler);
    lckv_sampler_options options = {
        .size = sizeof options, .callback = release_in_sampler, .callback_user = &run};
    ck_assert_ok(lckv_sampler_create(&options, &run.sampler));
    lckv_item item = {.session = run.session, .tokens = prompt, .n_tokens = N_PROMPT, .want = 1};
    ck_assert_ok(lckv_evaluate(run.cache, &item, sizeof item, 1, NULL, NULL));
    ck_assert_ok(lckv_sampler_sample_session(run.sampler, run.session, &token));
    ck_assert_int_ge(token, 0);
}
END_TEST

static void add_all(Suite *suite)
{
    TCase *tcase = tcase_create("generate");
    tcase_set_timeout(tcase, 300);
    tcase_add_loop_test(tcase, the_cache_is_busy_between_the_steps, 0,
                        sizeof intrusions / sizeof intrusions[0]);
    tcase_add_test(tcase, a_callback_sees_the_session_grow);
    tcase_add_test(tcase, a_busy_cache_generates_nothing);
    tcase_add_test(tcase, a_cancel_between_the_steps_ends_it);
    tcase_add_test(tcase, a_cancel_from_another_thread_is_a_reason);
    tcase_add_test(tcase, a_samplers_callback_cancels_too);
    tcase_add_test(tcase, everything_may_be_released_while_it_runs);
    tcase_add_test(tcase, another_thread_may_release_while_it_runs);
    tcase_add_test(tcase, a_samplers_callback_may_release_everything);
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("generate", add_all)
