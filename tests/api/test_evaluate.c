/*
 * What one lckv_evaluate call gives and when: its report, the rows that are wanted, the logits that
 * the cache holds. Arguments are read only once. Uses the public header only.
 */
#include "cache_support.h"

#define HIDDEN_SIZE 64
#define N_LONG 200

static lckv_token long_prompt[N_LONG];
static float hidden[2][N_TOKENS * HIDDEN_SIZE];

static void set_up(void)
{
    make_tokens();
    fill_tokens(long_prompt, N_LONG);
}

static lckv_evaluate_report report_of(lckv_cache *cache, const lckv_item *item,
                                      lckv_evaluate_options options)
{
    lckv_evaluate_report report = {.size = sizeof report};
    options.size = sizeof options;
    ck_assert_ok(lckv_evaluate(cache, item, sizeof *item, 1, &options, &report));
    return report;
}

/* ---- The report ---- */

/*
 * This holds also where the upper layers see only the last row. _i: model, and whether logits are
 * wanted.
 */
START_TEST(every_token_is_a_row)
{
    lckv_model *model = open_golden(models[_i / 2], LCKV_PRECISION_FULL);
    lckv_cache *cache = make_cache(model, (lckv_cache_options){.max_rows = 64});
    lckv_session *session = make_session(cache);
    lckv_item item = make_item(session, long_prompt, N_LONG, NULL, N_VOCAB);
    item.want = _i % 2 == 0 ? LCKV_WANT_LAST : LCKV_WANT_NOTHING;
    uint64_t free_before = free_pages(cache);
    lckv_evaluate_report report = report_of(cache, &item, (lckv_evaluate_options){0});
    ck_assert_uint_eq(report.n_rows, N_LONG);
    ck_assert_uint_eq(report.n_tokens, N_LONG);
    ck_assert_int_eq(report.failed_item, -1);
    ck_assert_uint_eq(report.pages_free, free_before);
    ck_assert_uint_ge(report.pages_needed, free_before - free_pages(cache));
    item.n_tokens = 1;
    ck_assert_uint_eq(report_of(cache, &item, (lckv_evaluate_options){0}).n_rows, 1);
    lckv_session_release(session);
    lckv_cache_release(cache);
    lckv_model_release(model);
}
END_TEST

START_TEST(an_iterated_token_is_a_row_for_each_pass)
{
    lckv_model *model = open_golden(UPWARD, LCKV_PRECISION_FULL);
    lckv_cache *cache = make_cache(model, (lckv_cache_options){0});
    lckv_session *session = make_session(cache);
    lckv_item item = make_item(session, tokens, 10, NULL, N_VOCAB);
    item.want = LCKV_WANT_LAST;
    lckv_evaluate_options options = {
        .prefill = LCKV_PREFILL_ITERATED, .forward_passes = 5, .backward_passes = 2};
    ck_assert_uint_eq(report_of(cache, &item, options).n_rows, 70);
    options = (lckv_evaluate_options){.prefill = LCKV_PREFILL_EXACT};
    ck_assert_uint_eq(report_of(cache, &item, options).n_rows, 10);
    lckv_session_release(session);
    lckv_cache_release(cache);
    lckv_model_release(model);
}
END_TEST

/* ---- What is wanted ---- */

/* All hidden states are the same with no, one and all logits. _i: model, want. */
START_TEST(hidden_states_of_all_positions_need_no_logits)
{
    static const uint32_t wants[] = {LCKV_WANT_NOTHING, LCKV_WANT_LAST, LCKV_WANT_ALL};
    lckv_model *model = open_golden(models[_i / 3], LCKV_PRECISION_FULL);
    uint32_t want = wants[_i % 3];
    lckv_cache *cache = make_cache(model, (lckv_cache_options){.max_rows = 16});
    lckv_session *a = make_session(cache), *b = make_session(cache);
    lckv_item both = item_of(a, 0, N_TOKENS, got[0]), all = item_of(b, 0, N_TOKENS, got[1]);
    both.want = LCKV_WANT_ALL | LCKV_WANT_HIDDEN;
    both.hidden = hidden[0];
    both.hidden_capacity = COUNT(hidden[0]);
    ck_assert_ok(run(cache, &both, 1, LCKV_PREFILL_AUTO));
    all.want = want | LCKV_WANT_HIDDEN_ALL;
    all.hidden = hidden[1];
    all.hidden_capacity = COUNT(hidden[1]);
    all.logits_capacity = want == LCKV_WANT_ALL ? N_TOKENS * N_VOCAB : N_VOCAB;
    memset(got[1], 0, sizeof got[1]);
    ck_assert_ok(run(cache, &all, 1, LCKV_PREFILL_AUTO));
    ck_assert_mem_eq(hidden[1], hidden[0], sizeof hidden[0]);
    const float *last = got[0] + (N_TOKENS - 1) * N_VOCAB;
    if (want == LCKV_WANT_ALL)
        ck_assert_mem_eq(got[1], got[0], sizeof got[0]);
    else if (want == LCKV_WANT_LAST)
        ck_assert_mem_eq(got[1], last, N_VOCAB * sizeof(float));
    for (size_t i = want == LCKV_WANT_LAST ? N_VOCAB : 0;
         want != LCKV_WANT_ALL && i < COUNT(got[1]); i++)
        ck_assert(got[1][i] == 0.0f);
    /* HIDDEN alone gives the last row. */
    ck_assert_ok(lckv_session_truncate(b, 0));
    all.want = LCKV_WANT_HIDDEN;
    all.hidden_capacity = HIDDEN_SIZE;
    ck_assert_ok(run(cache, &all, 1, LCKV_PREFILL_AUTO));
    ck_assert_mem_eq(hidden[1], hidden[0] + (N_TOKENS - 1) * HIDDEN_SIZE,
                     HIDDEN_SIZE * sizeof(float));
    lckv_session_release(a);
    lckv_session_release(b);
    lckv_cache_release(cache);
    lckv_model_release(model);
}
END_TEST

/* ---- The logits that the cache holds ---- */

static int32_t cancel_at_end(void *user, uint64_t done, uint64_t total)
{
    (void)user;
    return done == total;
}

/* A call that fails late, early, or before it computes leaves the rows of the call before it. */
START_TEST(failed_calls_leave_the_logits_that_were_held)
{
    lckv_model *model = open_golden(models[_i], LCKV_PRECISION_FULL);
    lckv_cache *cache = make_cache(model, (lckv_cache_options){.n_tokens = 64, .max_sessions = 2});
    lckv_session *a = make_session(cache), *b = make_session(cache);
    lckv_item items[2] = {item_of(a, 0, 5, NULL), item_of(b, 3, 9, NULL)};
    items[0].want = items[1].want = LCKV_WANT_LAST;
    for (int round = 0; round < 3; round++) { /* in either half of the scratch */
        float kept[2][N_VOCAB];
        const float *before[2], *after;
        size_t n_rows;
        ck_assert_ok(run(cache, items, 2, LCKV_PREFILL_AUTO));
        ck_assert_ok(lckv_session_logits(a, &before[0], &n_rows));
        ck_assert_ok(lckv_session_logits(b, &before[1], NULL));
        memcpy(kept[0], before[0], sizeof kept[0]);
        memcpy(kept[1], before[1], sizeof kept[1]);
        ck_assert(memcmp(kept[0], kept[1], sizeof kept[0]) != 0);

        lckv_evaluate_options options = {.size = sizeof options, .progress = cancel_at_end};
        lckv_item more[2] = {item_of(b, 0, 2, NULL), item_of(a, 7, 11, NULL)};
        more[0].want = more[1].want = LCKV_WANT_LAST;
        ck_assert_status(lckv_evaluate(cache, more, sizeof *more, 2, &options, NULL),
                         LCKV_CANCELLED);
        lckv_token wrong = N_VOCAB, many[1000] = {0};
        lckv_item bad = make_item(a, &wrong, 1, NULL, N_VOCAB);
        ck_assert_status(run(cache, &bad, 1, LCKV_PREFILL_AUTO), LCKV_INVALID_ARGUMENT);
        bad = make_item(a, many, 1000, NULL, N_VOCAB);
        bad.want = LCKV_WANT_LAST;
        ck_assert_status(run(cache, &bad, 1, LCKV_PREFILL_AUTO), LCKV_CACHE_FULL);

        ck_assert_ok(lckv_session_logits(a, &after, &n_rows));
        ck_assert_ptr_eq(after, before[0]);
        ck_assert_uint_eq(n_rows, 1);
        ck_assert_mem_eq(after, kept[0], sizeof kept[0]);
        ck_assert_mem_eq(before[1], kept[1], sizeof kept[1]);
        lckv_sampler *greedy;
        lckv_token token;
        ck_assert_ok(lckv_sampler_create(NULL, &greedy));
        ck_assert_ok(lckv_sampler_sample_session(greedy, b, &token));
        ck_assert_uint_eq((size_t)token, most_likely(kept[1], N_VOCAB));
        lckv_sampler_release(greedy);
    }
    lckv_session_release(a);
    lckv_session_release(b);
    lckv_cache_release(cache);
    lckv_model_release(model);
}
END_TEST

START_TEST(a_truncate_and_the_next_call_drop_logits)
{
    lckv_model *model = open_golden(models[_i], LCKV_PRECISION_FULL);
    lckv_cache *cache = make_cache(model, (lckv_cache_options){0});
    lckv_session *a = make_session(cache), *b = make_session(cache);
    lckv_item items[2] = {item_of(a, 0, 5, NULL), item_of(b, 3, 9, NULL)};
    items[0].want = items[1].want = LCKV_WANT_LAST;
    const float *logits = NULL;
    size_t n_rows = 77;
    lckv_token token = -5;
    lckv_sampler *greedy;
    ck_assert_ok(lckv_sampler_create(NULL, &greedy));
    ck_assert_status(lckv_session_logits(a, &logits, &n_rows), LCKV_INVALID_ARGUMENT);
    ck_assert_ok(run(cache, items, 2, LCKV_PREFILL_AUTO));
    ck_assert_ok(lckv_session_truncate(a, 5)); /* nothing is forgotten */
    ck_assert_ok(lckv_session_logits(a, &logits, &n_rows));
    ck_assert_ok(lckv_session_truncate(a, 4));
    logits = NULL, n_rows = 77;
    ck_assert_status(lckv_session_logits(a, &logits, &n_rows), LCKV_INVALID_ARGUMENT);
    ck_assert_error_has("truncate");
    ck_assert_ptr_null(logits);
    ck_assert_uint_eq(n_rows, 77);
    ck_assert_status(lckv_sampler_sample_session(greedy, a, &token), LCKV_INVALID_ARGUMENT);
    ck_assert_int_eq(token, -5);
    ck_assert_ok(lckv_session_logits(b, &logits, &n_rows)); /* the other one's stay */
    items[0] = item_of(a, 0, 1, got[0]);
    ck_assert_ok(run(cache, items, 1, LCKV_PREFILL_AUTO));
    ck_assert_status(lckv_session_logits(a, &logits, &n_rows), LCKV_INVALID_ARGUMENT);
    ck_assert_status(lckv_session_logits(b, &logits, &n_rows), LCKV_INVALID_ARGUMENT);
    lckv_sampler_release(greedy);
    lckv_session_release(a);
    lckv_session_release(b);
    lckv_cache_release(cache);
    lckv_model_release(model);
}
END_TEST

/* Several sessions want as many rows as the cache may hold, and no more, call after call. */
START_TEST(the_cache_holds_as_many_rows_as_it_was_made_for)
{
    static const size_t steps[] = {2, 4};
    lckv_model *model = open_golden(UPWARD, LCKV_PRECISION_FULL);
    reference_logits(model, 0, expected);
    lckv_cache *cache = make_cache(model, (lckv_cache_options){.max_logit_rows = 6});
    lckv_session *sessions[2] = {make_session(cache), make_session(cache)};
    lckv_item items[2];
    for (size_t round = 0; round < N_TOKENS / 4; round++) {
        for (int s = 0; s < 2; s++)
            items[s] = item_of(sessions[s], round * steps[s], (round + 1) * steps[s], NULL);
        ck_assert_ok(run(cache, items, 2, LCKV_PREFILL_AUTO));
        for (int s = 0; s < 2; s++) {
            const float *logits;
            size_t n_rows;
            ck_assert_ok(lckv_session_logits(sessions[s], &logits, &n_rows));
            ck_assert_uint_eq(n_rows, steps[s]);
            ck_assert_mem_eq(logits, expected + round * steps[s] * N_VOCAB,
                             n_rows * N_VOCAB * sizeof(float));
        }
    }
    /* A sampler chooses from the last row. */
    lckv_sampler *greedy;
    lckv_token token;
    ck_assert_ok(lckv_sampler_create(NULL, &greedy));
    for (size_t s = 0, differ = 0; s < 2; s++) {
        const float *first = expected + (N_TOKENS / 4 - 1) * steps[s] * N_VOCAB;
        const float *last = first + (steps[s] - 1) * N_VOCAB;
        ck_assert_ok(lckv_sampler_sample_session(greedy, sessions[s], &token));
        ck_assert_uint_eq((size_t)token, most_likely(last, N_VOCAB));
        differ += most_likely(first, N_VOCAB) != most_likely(last, N_VOCAB);
        ck_assert(s == 0 || differ > 0);
    }
    lckv_sampler_release(greedy);
    items[0] = item_of(sessions[0], 0, 7, NULL);
    ck_assert_status(run(cache, items, 1, LCKV_PREFILL_AUTO), LCKV_INVALID_ARGUMENT);
    ck_assert_error_has("max_logit_rows");
    items[0] = item_of(sessions[0], 0, 4, NULL);
    items[1] = item_of(sessions[1], 0, 3, NULL);
    ck_assert_status(run(cache, items, 2, LCKV_PREFILL_AUTO), LCKV_INVALID_ARGUMENT);
    lckv_session_release(sessions[0]);
    lckv_session_release(sessions[1]);
    lckv_cache_release(cache);
    lckv_model_release(model);
}
END_TEST

/* ---- Arguments are read once ---- */

struct meddler {
    lckv_token tokens[N_TOKENS];
    lckv_item item;
    lckv_session *other;
};

static int32_t meddle(void *user, uint64_t done, uint64_t total)
{
    struct meddler *meddler = user;
    (void)done, (void)total;
    for (int i = 0; i < N_TOKENS; i++)
        meddler->tokens[i] = INT32_MAX;
    meddler->item = (lckv_item){.session = meddler->other, .n_tokens = 1000000};
    return 0;
}

START_TEST(what_a_callback_writes_to_the_items_changes_nothing)
{
    lckv_model *model = open_golden(models[_i], LCKV_PRECISION_FULL);
    reference_logits(model, 0, expected);
    lckv_cache *cache = make_cache(model, (lckv_cache_options){.max_rows = 16});
    lckv_session *session = make_session(cache);
    struct meddler meddler = {.other = make_session(cache)};
    memcpy(meddler.tokens, tokens, sizeof tokens);
    meddler.item = make_item(session, meddler.tokens, N_TOKENS, got[0], N_VOCAB);
    lckv_evaluate_options options = {
        .size = sizeof options, .progress = meddle, .progress_user = &meddler};
    ck_assert_ok(lckv_evaluate(cache, &meddler.item, sizeof meddler.item, 1, &options, NULL));
    ck_assert_mem_eq(got[0], expected, sizeof expected);
    lckv_token kept[N_TOKENS];
    size_t n;
    ck_assert_ok(lckv_session_tokens(session, kept, N_TOKENS, &n));
    ck_assert_uint_eq(n, N_TOKENS);
    ck_assert_mem_eq(kept, tokens, sizeof tokens);
    ck_assert_uint_eq(length_of(meddler.other), 0);
    lckv_session_release(session);
    lckv_session_release(meddler.other);
    lckv_cache_release(cache);
    lckv_model_release(model);
}
END_TEST

START_TEST(sessions_end_at_4_gibi_tokens)
{
    lckv_model *model = open_golden(UPWARD, LCKV_PRECISION_FULL);
    lckv_cache *cache = make_cache(model, (lckv_cache_options){0});
    lckv_session *session = make_session(cache);
    lckv_item item = item_of(session, 0, 1, got[0]);
    item.want = LCKV_WANT_NOTHING;
    item.n_tokens = (size_t)UINT32_MAX + 1;
    ck_assert_status(run(cache, &item, 1, LCKV_PREFILL_AUTO), LCKV_UNSUPPORTED);
    item.n_tokens = 1;
    ck_assert_ok(run(cache, &item, 1, LCKV_PREFILL_AUTO));
    item.n_tokens = UINT32_MAX;
    ck_assert_status(run(cache, &item, 1, LCKV_PREFILL_AUTO), LCKV_UNSUPPORTED);
    ck_assert_error_has("2^32");
    lckv_session_release(session);
    lckv_cache_release(cache);
    lckv_model_release(model);
}
END_TEST

START_TEST(items_may_lie_in_larger_structs)
{
    lckv_model *model = open_golden(UPWARD, LCKV_PRECISION_FULL);
    lckv_cache *cache = make_cache(model, (lckv_cache_options){0});
    lckv_session *a = make_session(cache), *b = make_session(cache);
    struct {
        lckv_item item;
        const char *name;
    } named[2] = {{make_item(a, tokens, 3, NULL, N_VOCAB), "a"},
                  {make_item(b, tokens, 5, NULL, N_VOCAB), "b"}};
    ck_assert_ok(lckv_evaluate(cache, &named[0].item, sizeof named[0], 2, NULL, NULL));
    ck_assert_uint_eq(length_of(a), 3);
    ck_assert_uint_eq(length_of(b), 5);
    size_t strides[] = {0, sizeof(lckv_item) - 8, sizeof(lckv_item) + 4};
    for (size_t i = 0; i < 3; i++) {
        ck_assert_status(lckv_evaluate(cache, &named[0].item, strides[i], 1, NULL, NULL),
                         LCKV_INVALID_ARGUMENT);
        ck_assert_error_has("stride");
    }
    lckv_session_release(a);
    lckv_session_release(b);
    lckv_cache_release(cache);
    lckv_model_release(model);
}
END_TEST

/* The model's own way iterates prompts that are longer than the 9 iterations it asks for. */
START_TEST(short_prompts_are_not_iterated)
{
    lckv_model *model = open_golden(UPWARD, LCKV_PRECISION_FULL);
    lckv_cache *cache = make_cache(model, (lckv_cache_options){0});
    const lckv_evaluate_options options = {.size = sizeof options, .prefill = LCKV_PREFILL_MODEL};
    for (size_t n = 8; n <= 10; n++) {
        lckv_session *session = make_session(cache);
        lckv_item item = make_item(session, tokens, n, NULL, N_VOCAB);
        lckv_evaluate_report report = {.size = sizeof report};
        item.want = LCKV_WANT_NOTHING;
        ck_assert_ok(lckv_evaluate(cache, &item, sizeof item, 1, &options, &report));
        ck_assert_uint_eq(report.n_rows, n <= 9 ? n : 9 * n);
        lckv_session_release(session);
    }
    lckv_cache_release(cache);
    lckv_model_release(model);
}
END_TEST

START_TEST(more_iterations_than_the_header_allows_are_refused)
{
    lckv_model *model = open_golden(UPWARD, LCKV_PRECISION_FULL);
    lckv_cache *cache = make_cache(model, (lckv_cache_options){0});
    lckv_session *session = make_session(cache);
    lckv_item item = make_item(session, tokens, 3, NULL, N_VOCAB);
    lckv_evaluate_options options = {.size = sizeof options, .prefill = LCKV_PREFILL_ITERATED};
    for (int i = 0; i < 2; i++) {
        options.forward_passes = i == 0 ? 65537 : 1;
        options.backward_passes = i == 0 ? 1 : 65537;
        ck_assert_status(lckv_evaluate(cache, &item, sizeof item, 1, &options, NULL),
                         LCKV_INVALID_ARGUMENT);
        ck_assert_error_has("at most 65536 each");
    }
    lckv_session_release(session);
    lckv_cache_release(cache);
    lckv_model_release(model);
}
END_TEST

static void add_all(Suite *suite)
{
    TCase *tcase = tcase_create("evaluate");
    tcase_set_timeout(tcase, 300);
    tcase_add_checked_fixture(tcase, set_up, NULL);
    tcase_add_loop_test(tcase, every_token_is_a_row, 0, 6);
    tcase_add_test(tcase, an_iterated_token_is_a_row_for_each_pass);
    tcase_add_loop_test(tcase, hidden_states_of_all_positions_need_no_logits, 0, 9);
    tcase_add_loop_test(tcase, failed_calls_leave_the_logits_that_were_held, 0, 3);
    tcase_add_loop_test(tcase, a_truncate_and_the_next_call_drop_logits, 0, 3);
    tcase_add_test(tcase, the_cache_holds_as_many_rows_as_it_was_made_for);
    tcase_add_loop_test(tcase, what_a_callback_writes_to_the_items_changes_nothing, 0, 3);
    tcase_add_test(tcase, sessions_end_at_4_gibi_tokens);
    tcase_add_test(tcase, items_may_lie_in_larger_structs);
    tcase_add_test(tcase, short_prompts_are_not_iterated);
    tcase_add_test(tcase, more_iterations_than_the_header_allows_are_refused);
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("evaluate", add_all)
