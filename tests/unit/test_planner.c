/*
 * The memory planner. In most tests the shape makes sums easy: 1 KV head of dimension 2 in f32
 * takes 16 bytes for each position and slot, so a page of 16 positions takes 256.
 */
#include "plan/planner.h"

#include <stdio.h>

#include "plan_support.h"
#include "random.h"

static struct lckv_plan *plan;

static void use_plan(const char *text, uint32_t n_layers)
{
    struct lckv_plan *next = parse(text, n_layers);
    plan_release(plan);
    plan = next;
}

static void make_plan(void)
{
    use_plan("0_2_2_3", 4);
}

static void release_plan(void)
{
    plan_release(plan);
    plan = NULL;
}

static lckv_memory_request small_request(void)
{
    return (lckv_memory_request){.size = sizeof(lckv_memory_request),
                                 .plan = plan,
                                 .n_kv_heads = 1,
                                 .head_dim = 2,
                                 .kv_dtype = LCKV_DTYPE_F32,
                                 .page_positions = 16,
                                 .context = 100};
}

static lckv_memory_report estimate(const lckv_memory_request *request)
{
    lckv_memory_report report = {.size = sizeof report};
    ck_assert_ok(planner_estimate(request, &report));
    ck_assert_uint_eq(report.size, sizeof report);
    return report;
}

START_TEST(scales_are_counted)
{
    lckv_memory_request request = small_request();
    request.head_dim = 64;
    request.kv_dtype = LCKV_DTYPE_Q8_0;
    lckv_memory_report report = estimate(&request);
    ck_assert_uint_eq(report.bytes_per_token, 3 * 2 * (64 + 2 * 2));
    request.v_dtype = LCKV_DTYPE_Q4_0;
    report = estimate(&request);
    ck_assert_uint_eq(report.bytes_per_token, 3 * (64 + 2 * 2 + 32 + 2 * 2));
    ck_assert_uint_eq(report.bytes_per_session, 3 * 7 * 16 * (64 + 2 * 2 + 32 + 2 * 2));
}
END_TEST

START_TEST(whole_pages_are_counted)
{
    lckv_memory_request request = small_request();
    lckv_memory_report report = estimate(&request);
    ck_assert_uint_eq(report.bytes_per_token, 3 * 16);
    ck_assert_uint_eq(report.standard_bytes_per_token, 4 * 16);
    ck_assert_uint_eq(report.bytes_per_session, 3 * 7 * 256);
    ck_assert_uint_eq(report.standard_bytes_per_session, 4 * 7 * 256);
    ck_assert_uint_eq(report.bytes_needed, report.bytes_per_session);
    request.context = 96;
    ck_assert_uint_eq(estimate(&request).bytes_per_session, 3 * 6 * 256);
    request.n_sessions = 5;
    ck_assert_uint_eq(estimate(&request).bytes_needed, 5 * 3 * 6 * 256);
}
END_TEST

START_TEST(a_budget_holds_so_many_sessions)
{
    lckv_memory_request request = small_request();
    request.budget_bytes = 2 * 3 * 7 * 256;
    lckv_memory_report report = estimate(&request);
    ck_assert_uint_eq(report.sessions_that_fit, 2);
    ck_assert_uint_eq(report.standard_sessions_that_fit, 1);
    request.budget_bytes--;
    ck_assert_uint_eq(estimate(&request).sessions_that_fit, 1);
    request.budget_bytes = 1;
    report = estimate(&request);
    ck_assert_uint_eq(report.sessions_that_fit, 0);
    ck_assert_uint_eq(report.context_that_fits, 0);
    request.budget_bytes = 0;
    report = estimate(&request);
    ck_assert_uint_eq(report.sessions_that_fit, 0);
    ck_assert_uint_eq(report.context_that_fits, 0);
}
END_TEST

START_TEST(a_budget_holds_so_long_a_context)
{
    lckv_memory_request request = small_request();
    request.budget_bytes = 3 * 7 * 256;
    ck_assert_uint_eq(estimate(&request).context_that_fits, 7 * 16);
    request.budget_bytes--;
    ck_assert_uint_eq(estimate(&request).context_that_fits, 6 * 16);
    request.n_sessions = 2;
    ck_assert_uint_eq(estimate(&request).context_that_fits, 3 * 16);
    request.budget_bytes = UINT64_MAX;
    request.n_sessions = 1;
    ck_assert_uint_eq(estimate(&request).context_that_fits, UINT64_MAX / (3 * 256) * 16);
}
END_TEST

START_TEST(the_longest_context_fits_and_one_more_does_not)
{
    use_plan("0s_3_2s_3", 4);
    lckv_memory_request request = small_request();
    request.sliding_window = 40;
    request.rollback = 5;
    for (uint64_t budget = 256; budget < 100 * 256; budget += 100) {
        request.budget_bytes = budget;
        request.context = 1;
        const uint64_t longest = estimate(&request).context_that_fits;
        if (longest > 0) {
            request.context = longest;
            ck_assert_uint_le(estimate(&request).bytes_per_session, budget);
        }
        request.context = longest + 1;
        ck_assert_uint_gt(estimate(&request).bytes_per_session, budget);
    }
}
END_TEST

static uint64_t random_below(uint64_t n)
{
    return ((uint64_t)random_bits() << 32 | random_bits()) % n;
}

/* Uses a plan of up to 8 layers, some of which may be windowed. */
static void use_random_plan(void)
{
    char text[64];
    size_t length = 0;
    uint32_t n_layers = 1 + (uint32_t)random_below(8);
    for (uint32_t i = 0; i < n_layers; i++)
        length +=
            (size_t)snprintf(text + length, sizeof text - length, "%s%u%s", i > 0 ? "_" : "",
                             (unsigned)random_below(n_layers), random_below(2) == 0 ? "s" : "");
    use_plan(text, n_layers);
}

/* Numbers of every magnitude. */
static uint64_t any_number(void)
{
    return (random_below(UINT64_MAX) >> random_below(64)) + 1;
}

/* What the planner says to fit is a request that succeeds and needs no more than the budget. */
START_TEST(what_is_said_to_fit_fits_and_one_more_does_not)
{
    random_seed = (uint64_t)_i + 1;
    for (int round = 0; round < 2000; round++) {
        use_random_plan();
        lckv_memory_request request = {.size = sizeof request,
                                       .plan = plan,
                                       .n_kv_heads = (uint32_t)(1 + random_below(16)),
                                       .head_dim = (uint32_t)(2 * (1 + random_below(64))),
                                       .page_positions = (uint32_t)(16 * (1 + random_below(64))),
                                       .sliding_window = (uint32_t)(1 + random_below(1000)),
                                       .rollback = (uint32_t)random_below(200),
                                       .context = 1,
                                       .budget_bytes = any_number(),
                                       .n_sessions = random_below(2) == 0 ? 1 : any_number()};
        lckv_memory_report report = {.size = sizeof report};
        if (planner_estimate(&request, &report) != LCKV_OK)
            continue; /* more sessions than 64 bits of bytes hold */
        const uint64_t longest = report.context_that_fits;
        if (longest > 0) {
            request.context = longest;
            ck_assert_ok(planner_estimate(&request, &report));
            ck_assert_uint_le(report.bytes_needed, request.budget_bytes);
            ck_assert_uint_eq(report.context_that_fits, longest);
        }
        if (longest < UINT64_MAX) {
            request.context = longest + 1;
            ck_assert(planner_estimate(&request, &report) != LCKV_OK ||
                      report.bytes_needed > request.budget_bytes);
        }
        request.context = 1 + random_below(100000);
        request.n_sessions = 1;
        ck_assert_ok(planner_estimate(&request, &report));
        const uint64_t sessions = report.sessions_that_fit;
        if (sessions > 0) {
            request.n_sessions = sessions;
            ck_assert_ok(planner_estimate(&request, &report));
            ck_assert_uint_le(report.bytes_needed, request.budget_bytes);
            ck_assert_uint_ge(report.context_that_fits, request.context);
        }
        request.n_sessions = sessions + 1;
        ck_assert(planner_estimate(&request, &report) != LCKV_OK ||
                  report.bytes_needed > request.budget_bytes);
    }
}
END_TEST

/*
 * The standard plan serves for comparison only: the call does not fail if that plan is too large.
 */
START_TEST(a_standard_plan_beyond_64_bits_is_no_failure)
{
    use_plan("0s_0s", 2);
    lckv_memory_request request = small_request();
    request.sliding_window = 20;
    request.rollback = 10;
    request.context = UINT64_MAX;
    request.budget_bytes = UINT64_MAX;
    lckv_memory_report report = estimate(&request);
    ck_assert_uint_eq(report.bytes_per_session, 3 * 256);
    ck_assert_uint_eq(report.standard_bytes_per_session, UINT64_MAX);
    ck_assert_uint_eq(report.standard_sessions_that_fit, 0);
    ck_assert_uint_eq(report.standard_bytes_per_token, 2 * 16);
    ck_assert_uint_eq(report.context_that_fits, UINT64_MAX);
}
END_TEST

/*
 * One full slot, and one windowed slot that keeps 20 + 10 positions: these take 2 pages, and one
 * more because they may begin within a page.
 */
static const struct {
    uint64_t context;
    uint64_t windowed_pages, full_pages;
} windowed[] = {
    {1, 1, 1},  {16, 1, 1}, {17, 2, 2}, {30, 2, 2},    {31, 2, 2},
    {33, 3, 3}, {48, 3, 3}, {49, 3, 4}, {1000, 3, 63},
};

START_TEST(a_windowed_slot_stops_growing)
{
    use_plan("0s_1", 2);
    lckv_memory_request request = small_request();
    request.sliding_window = 20;
    request.rollback = 10;
    request.context = windowed[_i].context;
    lckv_memory_report report = estimate(&request);
    ck_assert_uint_eq(report.bytes_per_session,
                      256 * (windowed[_i].windowed_pages + windowed[_i].full_pages));
    ck_assert_uint_eq(report.standard_bytes_per_session, 256 * 2 * windowed[_i].full_pages);
}
END_TEST

/* The standard model is planned for with the same sinks. */
START_TEST(sinks_that_are_not_given_are_four)
{
    use_plan("0s_1", 2);
    lckv_memory_request request = small_request();
    request.sliding_window = 20;
    request.context_window = 48;
    request.rollback = 10;
    request.context = 1000;
    const lckv_memory_report by_default = estimate(&request);
    request.n_sinks = 4;
    const lckv_memory_report given = estimate(&request);
    ck_assert_mem_eq(&by_default, &given, sizeof given);
}
END_TEST

START_TEST(windows_alone_have_no_longest_context)
{
    use_plan("0s_0s", 2);
    lckv_memory_request request = small_request();
    request.sliding_window = 20;
    request.rollback = 10;
    request.budget_bytes = 3 * 256;
    ck_assert_uint_eq(estimate(&request).context_that_fits, UINT64_MAX);
    request.budget_bytes--;
    ck_assert_uint_eq(estimate(&request).context_that_fits, 2 * 16);
}
END_TEST

START_TEST(zero_means_the_default)
{
    use_plan("0s_1", 2);
    lckv_memory_request request = {.size = sizeof request,
                                   .plan = plan,
                                   .n_kv_heads = 4,
                                   .head_dim = 64,
                                   .sliding_window = 64};
    lckv_memory_report report = estimate(&request);
    /*
     * f16, 4096 tokens in pages of 64. The window and 64 tokens of rollback take two pages and one
     * more.
     */
    ck_assert_uint_eq(report.bytes_per_token, 2 * 2 * 4 * 64 * 2);
    ck_assert_uint_eq(report.bytes_per_session, (64 + 3) * 64ull * 2 * 4 * 64 * 2);
    ck_assert_uint_eq(report.bytes_needed, report.bytes_per_session);
}
END_TEST

START_TEST(tinyllama_with_ten_warm_up_layers)
{
    /* The shape of the paper's small model: 22 layers, 4 KV heads of 64. */
    use_plan("0_1_2_3_4_16_16_16_16_16_16_16_16_16_16_16_16_17_18_19_20_21", 22);
    lckv_memory_request request = {.size = sizeof request,
                                   .plan = plan,
                                   .n_kv_heads = 4,
                                   .head_dim = 64,
                                   .context = 2048,
                                   .budget_bytes = 1ull << 30};
    lckv_memory_report report = estimate(&request);
    ck_assert_uint_eq(report.bytes_per_token, 11264);
    ck_assert_uint_eq(report.standard_bytes_per_token, 22528);
    ck_assert_uint_eq(report.sessions_that_fit, 46);
    ck_assert_uint_eq(report.standard_sessions_that_fit, 23);
}
END_TEST

enum change {
    NO_PLAN,
    NO_HEADS,
    NO_HEAD_DIM,
    ODD_HEAD_DIM,
    QUANTISED,
    UNKNOWN_DTYPE,
    ODD_BLOCKS,
    ODD_PAGES,
    LARGE_PAGES,
    NO_WINDOW,
    HUGE_SHAPE,
    HUGE_CONTEXT,
    HUGE_SESSIONS,
    N_CHANGES
};

static const struct {
    lckv_status status;
    const char *message;
} refusals[N_CHANGES] = {
    [NO_PLAN] = {LCKV_INVALID_ARGUMENT, "plan is NULL"},
    [NO_HEADS] = {LCKV_INVALID_ARGUMENT, "n_kv_heads is 0"},
    [NO_HEAD_DIM] = {LCKV_INVALID_ARGUMENT, "head_dim is 0"},
    [ODD_HEAD_DIM] = {LCKV_INVALID_ARGUMENT, "head_dim is 63, expected an even number"},
    [QUANTISED] = {LCKV_UNSUPPORTED, "kv_dtype is q4_K; keys and values are kept as f32"},
    [UNKNOWN_DTYPE] = {LCKV_UNSUPPORTED, "kv_dtype is -3"},
    [ODD_BLOCKS] = {LCKV_UNSUPPORTED,
                    "v_dtype is q4_0, which needs a head_dim that is a multiple of "
                    "32; this head_dim is 80"},
    [ODD_PAGES] = {LCKV_INVALID_ARGUMENT, "page_positions is 24, expected a multiple of 16"},
    [LARGE_PAGES] = {LCKV_INVALID_ARGUMENT, "page_positions is 1040"},
    [NO_WINDOW] = {LCKV_INVALID_ARGUMENT, "sliding_window is 0"},
    [HUGE_SHAPE] = {LCKV_INVALID_ARGUMENT, "exceed 64 bits"},
    [HUGE_CONTEXT] = {LCKV_INVALID_ARGUMENT, "exceed 64 bits"},
    [HUGE_SESSIONS] = {LCKV_INVALID_ARGUMENT, "exceed 64 bits"},
};

START_TEST(wrong_requests_are_refused_by_member)
{
    /* Layer 1 is windowed, but no slot is: layer 0 reads the same slot whole. */
    use_plan("0_0s", 2);
    lckv_memory_request request = small_request();
    request.sliding_window = 8;
    lckv_memory_report report = {.size = sizeof report, .bytes_needed = 77};
    switch (_i) {
    case NO_PLAN:
        request.plan = NULL;
        break;
    case NO_HEADS:
        request.n_kv_heads = 0;
        break;
    case NO_HEAD_DIM:
        request.head_dim = 0;
        break;
    case ODD_HEAD_DIM:
        request.head_dim = 63;
        break;
    case QUANTISED:
        request.kv_dtype = LCKV_DTYPE_Q4_K;
        break;
    case UNKNOWN_DTYPE:
        request.kv_dtype = -3;
        break;
    case ODD_BLOCKS:
        request.head_dim = 80;
        request.v_dtype = LCKV_DTYPE_Q4_0;
        break;
    case ODD_PAGES:
        request.page_positions = 24;
        break;
    case LARGE_PAGES:
        request.page_positions = 1040;
        break;
    case NO_WINDOW:
        request.sliding_window = 0;
        break;
    case HUGE_SHAPE:
        request.n_kv_heads = UINT32_MAX;
        request.head_dim = UINT32_MAX - 1;
        break;
    case HUGE_CONTEXT:
        request.context = UINT64_MAX;
        break;
    default:
        request.n_sessions = UINT64_MAX;
        break;
    }
    ck_assert_status(planner_estimate(&request, &report), refusals[_i].status);
    ck_assert_error_has(refusals[_i].message);
    ck_assert_uint_eq(report.bytes_needed, 77);
}
END_TEST

static void add_planner(Suite *suite)
{
    TCase *tcase = tcase_create("planner");
    tcase_add_checked_fixture(tcase, make_plan, release_plan);
    tcase_add_test(tcase, whole_pages_are_counted);
    tcase_add_test(tcase, scales_are_counted);
    tcase_add_test(tcase, a_budget_holds_so_many_sessions);
    tcase_add_test(tcase, a_budget_holds_so_long_a_context);
    tcase_add_test(tcase, the_longest_context_fits_and_one_more_does_not);
    tcase_add_loop_test(tcase, what_is_said_to_fit_fits_and_one_more_does_not, 0, 4);
    tcase_add_test(tcase, a_standard_plan_beyond_64_bits_is_no_failure);
    tcase_add_loop_test(tcase, a_windowed_slot_stops_growing, 0,
                        sizeof windowed / sizeof windowed[0]);
    tcase_add_test(tcase, sinks_that_are_not_given_are_four);
    tcase_add_test(tcase, windows_alone_have_no_longest_context);
    tcase_add_test(tcase, zero_means_the_default);
    tcase_add_test(tcase, tinyllama_with_ten_warm_up_layers);
    tcase_add_loop_test(tcase, wrong_requests_are_refused_by_member, 0, N_CHANGES);
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("planner", add_planner)
