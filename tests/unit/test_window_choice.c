/*
 * The choice of a window, for layers of a model with a thousand million weights.
 */
#include "engine/window_choice.h"
#include "sessions.h"
#include "support.h"

static const struct window_load load = {.kernel_set = "avx512",
                                        .precision = LCKV_PRECISION_FAST,
                                        .weights = 1e9,
                                        .weight_bytes = 0.5625e9,
                                        .attention = 20 * 4 * 2048,
                                        .n_streams = 1,
                                        .depth = 256};

static const char *const kernel_sets[] = {"portable", "avx2", "avx512", "avx512bf16", "amx"};
static const double bytes[] = {0.5625, 1.0625, 2, 4}; /* of a weight */

/* More sessions and deeper contexts make it smaller, down to one token. */
START_TEST(sessions_and_depth_make_a_window_smaller)
{
    struct window_load each = load;
    each.kernel_set = kernel_sets[_i / 8];
    each.weight_bytes = each.weights * bytes[_i % 8 / 2];
    each.precision = _i % 2 == 0 ? LCKV_PRECISION_FULL : LCKV_PRECISION_FAST;
    uint32_t before = UINT32_MAX;
    for (each.n_streams = 1; each.n_streams < 2e3; each.n_streams *= 2) {
        ck_assert_uint_ge(window_for(&each), 1);
        ck_assert_uint_le(window_for(&each), before);
        before = window_for(&each);
    }
    ck_assert_uint_eq(before, 1);
    each.n_streams = 1;
    before = UINT32_MAX;
    for (each.depth = 1; each.depth < 1e9; each.depth *= 4) {
        ck_assert_uint_ge(window_for(&each), 1);
        ck_assert_uint_le(window_for(&each), before);
        before = window_for(&each);
    }
    ck_assert_uint_eq(before, 1);
}
END_TEST

START_TEST(wide_weights_have_a_wider_window)
{
    struct window_load each = load;
    uint32_t before = 4;
    for (size_t i = 0; i < 2; i++) {
        each.weight_bytes = each.weights * bytes[i];
        ck_assert_uint_ge(window_for(&each), before);
        before = window_for(&each);
    }
    ck_assert_uint_ge(before, 8);
    each.kernel_set = "avx2"; /* computes more slowly, and reads as fast */
    ck_assert_uint_le(window_for(&each), before);
    each.kernel_set = "portable";
    ck_assert_uint_eq(window_for(&each), 1);
}
END_TEST

/* The weights of a small model stay in the caches: then a window saves nothing. */
START_TEST(a_model_that_caches_hold_has_none)
{
    struct window_load each = load;
    each.weights = 20e6;
    each.weight_bytes = 20e6;
    ck_assert_uint_eq(window_for(&each), 1);
    each.weights = each.weight_bytes = 100e6;
    each.attention = 0;
    ck_assert_uint_gt(window_for(&each), 1);
    lckv_model *model = open_golden("lckv-w2", LCKV_PRECISION_FAST);
    ck_assert_uint_eq(window_choose(model, 1, 0), 1);
    lckv_model_release(model);
}
END_TEST

static void add_all(Suite *suite)
{
    TCase *tcase = tcase_create("window choice");
    tcase_add_loop_test(tcase, sessions_and_depth_make_a_window_smaller, 0,
                        8 * (int)COUNT(kernel_sets));
    tcase_add_test(tcase, wide_weights_have_a_wider_window);
    tcase_add_test(tcase, a_model_that_caches_hold_has_none);
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("window_choice", add_all)
