/*
 * The choice of a window, for layers of a model with a thousand million weights.
 */
#include "engine/window_choice.h"
#include "sessions.h"
#include "support.h"

#define PER_POSITION (20.0 * 4 * 2048) /* operations on keys and values */

static const struct window_load load = {.kernel_set = "avx512",
                                        .precision = LCKV_PRECISION_FAST,
                                        .weights = 1e9,
                                        .weight_bytes = 0.5625e9,
                                        .attention = 256 * PER_POSITION,
                                        .n_streams = 1};

static const char *const kernel_sets[] = {"portable",   "avx2", "avx512",
                                          "avx512bf16", "amx",  "amxbf16"};
static const double bytes[] = {0.5625, 1.0625, 2, 4}; /* of a weight */

/* More sessions and deeper contexts make it smaller, down to one token. */
START_TEST(sessions_and_depth_make_a_window_smaller)
{
    struct window_load each = load;
    each.kernel_set = kernel_sets[_i / 8];
    each.weight_bytes = each.weights * bytes[_i % 8 / 2];
    each.precision = _i % 2 == 0 ? LCKV_PRECISION_FULL : LCKV_PRECISION_FAST;
    each.tile_weights = _i / 8 >= 4 && _i % 2 == 1 ? each.weights : 0; /* amx, amxbf16 */
    uint32_t before = UINT32_MAX;
    for (each.n_streams = 1; each.n_streams < 2e3; each.n_streams *= 2) {
        ck_assert_uint_ge(window_for(&each), 1);
        ck_assert_uint_le(window_for(&each), before);
        before = window_for(&each);
    }
    ck_assert_uint_eq(before, 1);
    each.n_streams = 1;
    before = UINT32_MAX;
    for (double depth = 1; depth < 1e9; depth *= 4) {
        each.attention = depth * PER_POSITION;
        ck_assert_uint_ge(window_for(&each), 1);
        ck_assert_uint_le(window_for(&each), before);
        before = window_for(&each);
    }
    ck_assert_uint_eq(before, 1);
}
END_TEST

/* With the set amxbf16, f16 weights do not go through tiles. */
START_TEST(floats_have_the_window_of_full_precision)
{
    struct window_load each = load;
    each.kernel_set = "amxbf16";
    each.weight_bytes = 2 * each.weights;
    each.tile_weights = each.weights;
    const uint32_t in_tiles = window_for(&each);
    each.float_weights = 0.6 * each.weights;
    each.tile_weights = 0.4 * each.weights;
    const uint32_t as_floats = window_for(&each);
    ck_assert_uint_gt(in_tiles, as_floats);
    each.kernel_set = "amx";
    ck_assert_uint_eq(window_for(&each), as_floats);
}
END_TEST

/* Tiles compute more rows in the time in which weights are read. */
START_TEST(tiles_have_a_wider_window)
{
    static const uint32_t in_tiles[] = {16, 64, 64}; /* bench/results/prefill.md */
    struct window_load each = load;
    each.kernel_set = "amxbf16";
    each.weight_bytes = each.weights * bytes[_i];
    const uint32_t in_vectors = window_for(&each);
    each.tile_weights = 0.4 * each.weights; /* the others are of types that have no tiles */
    ck_assert_uint_eq(window_for(&each), in_vectors);
    each.tile_weights = 0.6 * each.weights;
    ck_assert_uint_eq(window_for(&each), in_tiles[_i]);
    ck_assert_uint_gt(in_tiles[_i], in_vectors);
    each.precision = LCKV_PRECISION_FULL; /* has no tiles */
    each.tile_weights = 0;
    each.kernel_set = "avx512";
    const uint32_t in_full = window_for(&each);
    each.kernel_set = "amxbf16";
    ck_assert_uint_eq(window_for(&each), in_full);
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
    lckv_cache *cache = make_cache(model, (lckv_cache_options){0});
    ck_assert_uint_eq(window_choose(cache, 1, 0), 1);
    lckv_cache_release(cache);
    lckv_model_release(model);
}
END_TEST

/* The weights of a model are counted by how this machine's kernel set multiplies them. */
START_TEST(weights_count_as_they_are_multiplied)
{
    const bool fast = _i == 1;
    lckv_model *model = open_model(
        "examples/models/stories-lckv-q8_0.gguf",
        (lckv_model_options){.precision = fast ? LCKV_PRECISION_FAST : LCKV_PRECISION_FULL});
    lckv_cache *cache = make_cache(model, (lckv_cache_options){0});
    const struct window_load counted = window_load(cache, 1, 0);
    const bool in_tiles = fast && strncmp(counted.kernel_set, "amx", 3) == 0;
    ck_assert_double_gt(counted.weights, 0);
    ck_assert_double_eq(counted.tile_weights, in_tiles ? counted.weights : 0);
    ck_assert_double_eq(counted.float_weights, fast ? 0 : counted.weights);
    lckv_cache_release(cache);
    lckv_model_release(model);
}
END_TEST

/* Reading a file takes so long that rows cost nothing, however few weights there are. */
START_TEST(streamed_weights_have_the_widest)
{
    struct window_load each = load;
    each.is_streamed = true;
    ck_assert_uint_eq(window_for(&each), 64);
    each.weights = each.weight_bytes = 1e6;
    each.attention = 0;
    ck_assert_uint_eq(window_for(&each), 64);
    each.n_streams = 1000;
    ck_assert_uint_eq(window_for(&each), 1);
}
END_TEST

static void add_all(Suite *suite)
{
    TCase *tcase = tcase_create("window choice");
    tcase_add_loop_test(tcase, sessions_and_depth_make_a_window_smaller, 0,
                        8 * (int)COUNT(kernel_sets));
    tcase_add_test(tcase, floats_have_the_window_of_full_precision);
    tcase_add_loop_test(tcase, tiles_have_a_wider_window, 0, 3);
    tcase_add_test(tcase, wide_weights_have_a_wider_window);
    tcase_add_test(tcase, a_model_that_caches_hold_has_none);
    tcase_add_loop_test(tcase, weights_count_as_they_are_multiplied, 0, 2);
    tcase_add_test(tcase, streamed_weights_have_the_widest);
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("window_choice", add_all)
