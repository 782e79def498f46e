/*
 * What layers attend to, and what slots must keep for that: with sliding windows, and with a
 * context window and its sinks.
 */
#include "plan/windows.h"

#include "support.h"

static const struct {
    uint32_t source; /* of layer 1 */
    bool windowed;
    bool force_nodiag;
    uint64_t t;
    uint64_t begin, end;
} spans[] = {
    /* own or downward: p <= t */
    {1, false, false, 0, 0, 1},
    {0, false, false, 9, 0, 10},
    /* upward, or force_nodiag: p < t */
    {2, false, false, 0, 0, 0},
    {2, false, false, 9, 0, 9},
    {0, false, true, 0, 0, 0},
    {1, false, true, 9, 0, 9},
    {2, false, true, 9, 0, 9},
    /* a window of 4: p > t - 4 besides */
    {1, true, false, 0, 0, 1},
    {1, true, false, 3, 0, 4},
    {1, true, false, 4, 1, 5},
    {0, true, false, 9, 6, 10},
    {2, true, false, 4, 1, 4},
    {1, true, true, 9, 6, 9},
};

START_TEST(a_layer_attends_to_its_span)
{
    const struct windows windows = {.sliding = 4};
    const struct plan_layer layer = {
        .source = spans[_i].source, .windowed = spans[_i].windowed, .upward = spans[_i].source > 1};
    struct span span = window_span(&windows, &layer, spans[_i].t, spans[_i].force_nodiag);
    ck_assert_uint_eq(span.begin, spans[_i].begin);
    ck_assert_uint_eq(span.end, spans[_i].end);
    span = sink_span(&windows, &layer, spans[_i].t);
    ck_assert_uint_eq(span.begin, span.end);
}
END_TEST

START_TEST(a_window_of_one_token_sees_itself_or_nothing)
{
    const struct windows windows = {.sliding = 1};
    const struct plan_layer own = {.windowed = true};
    const struct plan_layer upward = {.source = 1, .windowed = true, .upward = true};
    struct span span = window_span(&windows, &own, 5, false);
    ck_assert(span.begin == 5 && span.end == 6);
    span = window_span(&windows, &upward, 5, false);
    ck_assert_uint_eq(span.begin, span.end);
}
END_TEST

/*
 * docs/semantics.md, section 7, word for word: numbers the positions that the session keeps, and
 * applies section 2 to the numbers.
 */
static bool is_attended(const struct windows *windows, const struct plan_layer *layer, uint64_t t,
                        bool force_nodiag, uint64_t position)
{
    uint64_t n_kept = 0, number = UINT64_MAX, own = UINT64_MAX;
    for (uint64_t p = 0; p <= t; p++) {
        if (p >= windows->n_sinks && p + windows->context - windows->n_sinks <= t)
            continue;
        number = p == position ? n_kept : number;
        own = p == t ? n_kept : own;
        n_kept++;
    }
    bool sees_itself = !layer->upward && !force_nodiag;
    return number != UINT64_MAX && (number < own || (number == own && sees_itself)) &&
           (!layer->windowed || number + windows->sliding > own);
}

static void check_position(const struct windows *windows, const struct plan_layer *layer,
                           uint64_t t, bool force_nodiag, uint64_t p)
{
    struct span window = window_span(windows, layer, t, force_nodiag);
    struct span sinks = sink_span(windows, layer, t);
    int times = (p >= window.begin && p < window.end) + (p >= sinks.begin && p < sinks.end);
    if (times != is_attended(windows, layer, t, force_nodiag, p))
        ck_abort_msg("window %u, context %u, %u sinks: token %llu attends %d times to %llu",
                     windows->sliding, windows->context, windows->n_sinks, (unsigned long long)t,
                     times, (unsigned long long)p);
    /* Slots keep it, however far they were cut back before. */
    const uint32_t rollback = 3;
    struct reach reach = slot_reach(windows, layer->windowed);
    for (uint64_t length = t; times > 0 && length <= t + rollback; length++) {
        if (p >= reach.n_sinks && p < reach_begin(reach, length, rollback))
            ck_abort_msg("position %llu is lost", (unsigned long long)p);
    }
}

/* _i: the context window is 2, 5, 8 or 11. */
START_TEST(a_context_window_is_section_2_on_what_it_keeps)
{
    const uint32_t context = 2 + 3 * (uint32_t)_i;
    for (uint32_t n_sinks = 1; n_sinks < context; n_sinks++) {
        for (uint32_t kind = 0; kind < 8 * (context + 1); kind++) {
            const struct windows windows = {1 + kind / 8, context, n_sinks};
            const struct plan_layer layer = {.windowed = kind % 2 == 1,
                                             .upward = kind / 2 % 2 == 1};
            for (uint64_t t = 0; t < 2 * context + 3; t++) {
                for (uint64_t p = 0; p <= t; p++)
                    check_position(&windows, &layer, t, kind / 4 % 2 == 1, p);
            }
        }
    }
}
END_TEST

START_TEST(sliding_windows_shorter_than_what_moves_change_nothing)
{
    const struct windows without = {.sliding = 20}, with = {20, 24, 4};
    const struct plan_layer layer = {.windowed = true};
    for (uint64_t t = 0; t < 100; t++) {
        struct span a = window_span(&without, &layer, t, false);
        struct span b = window_span(&with, &layer, t, false);
        struct span sinks = sink_span(&with, &layer, t);
        ck_assert(a.begin == b.begin && a.end == b.end && sinks.begin == sinks.end);
    }
    ck_assert_uint_eq(slot_reach(&with, true).n_sinks, 0);
    ck_assert_uint_eq(slot_reach(&with, true).window, 20);
}
END_TEST

START_TEST(a_slot_keeps_its_reach_and_the_rollback)
{
    const struct windows sliding = {.sliding = 4}, both = {4, 30, 10};
    const struct windows most = {.sliding = UINT32_MAX};
    ck_assert_uint_eq(reach_begin(slot_reach(&sliding, false), 1000, 2), 0);
    ck_assert_uint_eq(reach_begin(slot_reach(&sliding, true), 6, 2), 0);
    ck_assert_uint_eq(reach_begin(slot_reach(&sliding, true), 7, 2), 1);
    ck_assert_uint_eq(reach_begin(slot_reach(&sliding, true), 1000, 2), 994);
    ck_assert_uint_eq(reach_begin(slot_reach(&most, true), 1000, UINT32_MAX), 0);
    ck_assert_uint_eq(slot_reach(&both, true).n_sinks, 0);
    ck_assert_uint_eq(reach_begin(slot_reach(&both, true), 1000, 2), 994);
    ck_assert_uint_eq(slot_reach(&both, false).n_sinks, 10);
    ck_assert_uint_eq(reach_begin(slot_reach(&both, false), 1000, 2), 978);
}
END_TEST

static const struct {
    struct windows given;
    lckv_status status;
    const char *message; /* part of it */
    uint32_t n_sinks;    /* completed */
} options[] = {
    {{0, 0, 0}, LCKV_OK, NULL, 0},
    {{0, 512, 0}, LCKV_OK, NULL, 4},
    {{0, 5, 0}, LCKV_OK, NULL, 4},
    {{0, 4, 0}, LCKV_OK, NULL, 3},
    {{0, 2, 0}, LCKV_OK, NULL, 1},
    {{0, 2, 1}, LCKV_OK, NULL, 1},
    {{0, 10, 9}, LCKV_OK, NULL, 9},
    {{0, UINT32_MAX, 1024}, LCKV_OK, NULL, 1024},
    {{0, 1, 0}, LCKV_INVALID_ARGUMENT, "context_window is 1; expected at least 2", 0},
    {{0, 0, 4}, LCKV_INVALID_ARGUMENT, "n_sinks is 4, but there is no context_window", 0},
    {{0, 10, 10}, LCKV_INVALID_ARGUMENT, "n_sinks is 10; with a context_window of 10", 0},
    {{0, 5000, 1025}, LCKV_INVALID_ARGUMENT, "expected at most 1024", 0},
};

START_TEST(windows_that_make_no_sense_are_refused)
{
    struct windows windows = options[_i].given;
    ck_assert_status(windows_complete(&windows), options[_i].status);
    if (options[_i].status == LCKV_OK)
        ck_assert_uint_eq(windows.n_sinks, options[_i].n_sinks);
    else
        ck_assert_error_has(options[_i].message);
}
END_TEST

static void add_all(Suite *suite)
{
    TCase *tcase = tcase_create("masks");
    tcase_add_loop_test(tcase, a_layer_attends_to_its_span, 0, COUNT(spans));
    tcase_add_test(tcase, a_window_of_one_token_sees_itself_or_nothing);
    tcase_add_loop_test(tcase, a_context_window_is_section_2_on_what_it_keeps, 0, 4);
    tcase_add_test(tcase, sliding_windows_shorter_than_what_moves_change_nothing);
    tcase_add_test(tcase, a_slot_keeps_its_reach_and_the_rollback);
    tcase_add_loop_test(tcase, windows_that_make_no_sense_are_refused, 0, COUNT(options));
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("masks", add_all)
