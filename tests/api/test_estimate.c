/*
 * lckv_cache_estimate tells to the byte what a cache takes once it is made and filled. Uses the
 * public header only.
 */
#include "cache_support.h"

#include <stdbool.h>

#define MOST_SESSIONS 64

static lckv_cache_estimate_report estimate(const lckv_model *model, lckv_cache_options options,
                                           uint64_t context)
{
    lckv_cache_estimate_report report = {.size = sizeof report};
    options.size = sizeof options;
    ck_assert_ok(lckv_cache_estimate(model, &options, context, &report));
    return report;
}

/* Appends tokens to a session, all but the last `n_single` in one call. */
static void fill(lckv_cache *cache, lckv_session *session, size_t n_tokens, size_t n_single)
{
    static lckv_token text[1024];
    lckv_item item = {.session = session, .tokens = text, .n_tokens = n_tokens - n_single};
    ck_assert_uint_le(n_tokens, COUNT(text));
    ck_assert_ok(run(cache, &item, 1, LCKV_PREFILL_AUTO));
    item.n_tokens = 1;
    for (size_t i = 0; i < n_single; i++)
        ck_assert_ok(run(cache, &item, 1, LCKV_PREFILL_AUTO));
}

/* Makes the cache, fills it as the estimate says, and compares. */
static void check_filled(const lckv_model *model, lckv_cache_options options, uint64_t context)
{
    lckv_session *sessions[MOST_SESSIONS];
    lckv_cache_estimate_report report = estimate(model, options, context);
    options.max_sessions = report.max_sessions;
    lckv_cache *cache = make_cache(model, options);
    ck_assert_uint_le(report.sessions_that_fit, MOST_SESSIONS);
    for (size_t i = 0; i < report.sessions_that_fit; i++) {
        sessions[i] = make_session(cache);
        fill(cache, sessions[i], (size_t)context, context > 3 ? 3 : 0);
    }
    lckv_cache_stats stats = stats_of(cache);
    ck_assert_uint_eq(stats.n_pages, report.n_pages);
    ck_assert_uint_eq(stats.page_bytes, report.page_bytes);
    ck_assert_uint_eq(stats.page_bytes_total, report.page_bytes_total);
    ck_assert_uint_eq(stats.scratch_bytes, report.scratch_bytes);
    ck_assert_uint_eq(stats.table_bytes, report.table_bytes);
    for (size_t i = 0; i < report.sessions_that_fit; i++)
        lckv_session_release(sessions[i]);
    lckv_cache_release(cache);
}

/* _i: model. */
START_TEST(estimates_are_what_caches_take)
{
    static const lckv_dtype types[] = {LCKV_DTYPE_F32, LCKV_DTYPE_F16, LCKV_DTYPE_BF16};
    static const uint64_t contexts[] = {1, 16, 33, 250};
    lckv_model *model = open_golden(models[_i], LCKV_PRECISION_FULL);
    for (size_t c = 0; c < COUNT(contexts); c++) {
        for (uint32_t page = 16; page <= 64; page += 48) {
            lckv_cache_options options = {.n_tokens = 3 * contexts[c],
                                          .max_sessions = 3,
                                          .page_positions = page,
                                          .rollback = page == 16 ? 5 : 64,
                                          .kv_dtype = types[(c + page) % 3],
                                          .v_dtype = types[c % 3],
                                          .n_threads = 1 + (uint32_t)c % 2,
                                          .max_rows = 32};
            ck_assert_uint_ge(estimate(model, options, contexts[c]).sessions_that_fit, 3);
            check_filled(model, options, contexts[c]);
        }
    }
    lckv_model_release(model);
}
END_TEST

/* _i: model. The largest batch fits, and no budget could take one more session. */
START_TEST(the_largest_batch_for_a_budget_is_found)
{
    lckv_model *model = open_golden(models[_i], LCKV_PRECISION_FULL);
    for (uint64_t budget = 400000; budget < 1500000; budget += 333333) {
        lckv_cache_options options = {
            .budget_bytes = budget, .page_positions = 16, .max_rows = 16, .n_threads = 1};
        const lckv_cache_estimate_report best = estimate(model, options, 40);
        ck_assert_uint_eq(best.sessions_that_fit, best.max_sessions);
        ck_assert_uint_gt(best.max_sessions, 0);
        ck_assert_uint_le(best.page_bytes_total + best.scratch_bytes + best.table_bytes, budget);
        if (best.max_sessions <= MOST_SESSIONS)
            check_filled(model, options, 40);
        options.max_sessions = best.max_sessions + 1;
        ck_assert_uint_lt(estimate(model, options, 40).sessions_that_fit, options.max_sessions);
    }
    lckv_model_release(model);
}
END_TEST

/* Each session may leave a page begun, so the last pages of all but one are added. */
START_TEST(a_cache_has_pages_for_its_tokens_and_no_more)
{
    lckv_model *model = open_golden("cla2", LCKV_PRECISION_FULL);
    const uint64_t n_slots = plan_info_of(model).n_slots;
    for (uint64_t n_tokens = 255; n_tokens <= 257; n_tokens++) {
        lckv_cache *cache = make_cache(
            model,
            (lckv_cache_options){.n_tokens = n_tokens, .page_positions = 16, .max_sessions = 3});
        ck_assert_uint_eq(stats_of(cache).n_pages, n_slots * ((n_tokens + 15) / 16 + 2));
        lckv_cache_release(cache);
    }
    lckv_model_release(model);
}
END_TEST

START_TEST(bad_requests_are_refused)
{
    lckv_model *model = open_golden(models[0], LCKV_PRECISION_FULL);
    lckv_cache_estimate_report report = {.size = sizeof report};
    lckv_cache_options options = {.size = sizeof options, .budget_bytes = 1000};
    ck_assert_status(lckv_cache_estimate(model, &options, 0, &report), LCKV_INVALID_ARGUMENT);
    ck_assert_error_has("the least that works is");
    options.n_tokens = 1;
    ck_assert_status(lckv_cache_estimate(model, &options, 0, &report), LCKV_INVALID_ARGUMENT);
    ck_assert_status(lckv_cache_estimate(NULL, NULL, 0, &report), LCKV_INVALID_ARGUMENT);
    ck_assert_status(lckv_cache_estimate(model, NULL, 0, NULL), LCKV_INVALID_ARGUMENT);
    ck_assert_ok(lckv_cache_estimate(model, NULL, 0, &report));
    ck_assert_uint_eq(report.max_sessions, 16);
    ck_assert_uint_eq(report.sessions_that_fit, 1); /* of 4096 tokens in a cache for 4096 */
    lckv_model_release(model);
}
END_TEST

static void add_estimate(Suite *suite)
{
    TCase *tcase = tcase_create("estimate");
    tcase_set_timeout(tcase, 120);
    tcase_add_loop_test(tcase, estimates_are_what_caches_take, 0, 3);
    tcase_add_loop_test(tcase, the_largest_batch_for_a_budget_is_found, 0, 3);
    tcase_add_test(tcase, a_cache_has_pages_for_its_tokens_and_no_more);
    tcase_add_test(tcase, bad_requests_are_refused);
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("estimate", add_estimate)
