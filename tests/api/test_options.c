/*
 * The contract of structs that carry their size, through the public calls that take them: sizes
 * that are impossible, the sizes of the first version (which stay valid for ever), shorter and
 * longer structs.
 */
#include "support.h"

#include <string.h>

#define ROOM 4096 /* more than any struct */

/* A struct as raw bytes, as another version of the header may have made it. */
union raw {
    size_t size;
    unsigned char bytes[ROOM];
    void *align;
};

static lckv_plan *plan;

/*
 * Each calls one function with the struct at `raw`. All that the function looks at before is valid.
 */
static lckv_status use_model_options(union raw *raw)
{
    lckv_model *model;
    return lckv_model_open("no such file", (const void *)raw->bytes, &model);
}

static lckv_status use_convert_options(union raw *raw)
{
    return lckv_convert("no such file", "no such directory/out", (const void *)raw->bytes, NULL);
}

static lckv_status use_sampler_options(union raw *raw)
{
    lckv_sampler *sampler;
    lckv_status status = lckv_sampler_create((const void *)raw->bytes, &sampler);
    if (status == LCKV_OK)
        lckv_sampler_release(sampler);
    return status;
}

static lckv_status use_memory_request(union raw *raw)
{
    lckv_memory_request *request = (void *)raw->bytes;
    request->plan = plan;
    request->n_kv_heads = 4;
    request->head_dim = 64;
    lckv_memory_report report = {.size = sizeof report};
    return lckv_memory_estimate(request, &report);
}

/*
 * `least` is the shortest prefix that the call can work with. A good struct gives `good`, which may
 * come from the missing files above: it shows that the options were accepted.
 */
static const struct {
    const char *name;
    lckv_status (*use)(union raw *raw);
    size_t size_0_0_1, size, least;
    lckv_status good;
} options_table[] = {
    {"lckv_model_options", use_model_options, 72, sizeof(lckv_model_options), 16, LCKV_IO},
    {"lckv_convert_options", use_convert_options, 64, sizeof(lckv_convert_options), 16, LCKV_IO},
    {"lckv_sampler_options", use_sampler_options, 88, sizeof(lckv_sampler_options), 16, LCKV_OK},
    {"lckv_memory_request", use_memory_request, 64, sizeof(lckv_memory_request), 24, LCKV_OK},
};
#define N_OPTIONS ((int)(sizeof options_table / sizeof options_table[0]))

static void set_up(void)
{
    ck_assert_ok(lckv_plan_parse("0_3_3_3", 7, 4, &plan));
}

static void tear_down(void)
{
    lckv_plan_release(plan);
}

static lckv_status use_with_size(int row, size_t size)
{
    union raw raw = {.bytes = {0}};
    raw.size = size;
    return options_table[row].use(&raw);
}

START_TEST(sizes_that_cannot_be_are_refused)
{
    static const size_t sizes[] = {0, 1, 4, sizeof(size_t), 17, 20, 4104, SIZE_MAX};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        ck_assert_status(use_with_size(_i, sizes[i]), LCKV_INVALID_ARGUMENT);
        ck_assert_error_has(options_table[_i].name);
        ck_assert_error_has("size");
    }
}
END_TEST

START_TEST(this_size_the_first_and_shorter_ones_are_accepted)
{
    lckv_status good = options_table[_i].good;
    ck_assert_status(use_with_size(_i, options_table[_i].size), good);
    ck_assert_status(use_with_size(_i, options_table[_i].size_0_0_1), good);
    ck_assert_status(use_with_size(_i, options_table[_i].least), good);
}
END_TEST

/* Bytes behind the end of a shorter struct belong to the caller and are not read. */
START_TEST(nothing_behind_a_shorter_struct_is_read)
{
    union raw raw;
    memset(raw.bytes, 0xff, sizeof raw.bytes);
    memset(raw.bytes, 0, options_table[_i].least);
    raw.size = options_table[_i].least;
    ck_assert_status(options_table[_i].use(&raw), options_table[_i].good);
}
END_TEST

START_TEST(a_newer_struct_is_accepted_with_a_zero_tail_only)
{
    size_t size = options_table[_i].size;
    union raw raw = {.bytes = {0}};
    raw.size = size + 64;
    ck_assert_status(options_table[_i].use(&raw), options_table[_i].good);
    for (size_t at = size; at < size + 64; at += 21) {
        raw.bytes[at] = 1;
        ck_assert_status(options_table[_i].use(&raw), LCKV_INVALID_ARGUMENT);
        ck_assert_error_has(options_table[_i].name);
        ck_assert_error_has("newer");
        raw.bytes[at] = 0;
    }
}
END_TEST

START_TEST(init_clears_and_sets_the_size)
{
    union raw raw;
#define CHECK_INIT(type)                                                                         \
    do {                                                                                         \
        memset(raw.bytes, 0xff, sizeof raw.bytes);                                               \
        ck_assert_ok(type##_init((void *)raw.bytes, sizeof(type)));                              \
        ck_assert_uint_eq(raw.size, sizeof(type));                                               \
        for (size_t i = sizeof(size_t); i < sizeof(type); i++)                                   \
            ck_assert_uint_eq(raw.bytes[i], 0);                                                  \
        ck_assert_uint_eq(raw.bytes[sizeof(type)], 0xff);                                        \
        ck_assert_status(type##_init(NULL, sizeof(type)), LCKV_INVALID_ARGUMENT);                \
        ck_assert_status(type##_init((void *)raw.bytes, 0), LCKV_INVALID_ARGUMENT);              \
        ck_assert_status(type##_init((void *)raw.bytes, sizeof(void *)), LCKV_INVALID_ARGUMENT); \
        ck_assert_uint_eq(raw.size, sizeof(type));                                               \
    } while (0)
    CHECK_INIT(lckv_model_options);
    CHECK_INIT(lckv_convert_options);
    CHECK_INIT(lckv_cache_options);
    CHECK_INIT(lckv_sampler_options);
    CHECK_INIT(lckv_generate_options);
    CHECK_INIT(lckv_evaluate_options);
    CHECK_INIT(lckv_memory_request);
}
END_TEST

static lckv_status get_plan_info(void *info)
{
    return lckv_plan_get_info(plan, info);
}

static lckv_status get_layer(void *info)
{
    return lckv_plan_get_layer(plan, 0, info);
}

static lckv_status get_slot(void *info)
{
    return lckv_plan_get_slot(plan, 0, info);
}

static lckv_status get_group(void *info)
{
    return lckv_plan_get_group(plan, 0, info);
}

static lckv_status get_memory_report(void *report)
{
    const lckv_memory_request request = {
        .size = sizeof request, .plan = plan, .n_kv_heads = 4, .head_dim = 64};
    return lckv_memory_estimate(&request, report);
}

static const struct {
    const char *name;
    lckv_status (*get)(void *result);
    size_t size_0_0_1, size;
} results_table[] = {
    {"lckv_plan_info", get_plan_info, 32, sizeof(lckv_plan_info)},
    {"lckv_layer_info", get_layer, 32, sizeof(lckv_layer_info)},
    {"lckv_slot_info", get_slot, 24, sizeof(lckv_slot_info)},
    {"lckv_group_info", get_group, 24, sizeof(lckv_group_info)},
    {"lckv_memory_report", get_memory_report, 72, sizeof(lckv_memory_report)},
};
#define N_RESULTS ((int)(sizeof results_table / sizeof results_table[0]))

START_TEST(results_go_as_far_as_the_callers_struct)
{
    union raw full, raw;
    size_t size = results_table[_i].size;
    memset(full.bytes, 0xff, sizeof full.bytes);
    full.size = size;
    ck_assert_ok(results_table[_i].get(&full));
    ck_assert_uint_eq(full.size, size);

    const size_t sizes[] = {16, results_table[_i].size_0_0_1, size + 40};
    for (size_t i = 0; i < 3; i++) {
        memset(raw.bytes, 0xff, sizeof raw.bytes);
        raw.size = sizes[i];
        ck_assert_ok(results_table[_i].get(&raw));
        ck_assert_uint_eq(raw.size, sizes[i]);
        size_t both = sizes[i] < size ? sizes[i] : size;
        ck_assert_mem_eq(raw.bytes + sizeof(size_t), full.bytes + sizeof(size_t),
                         both - sizeof(size_t));
        for (size_t at = both; at < sizes[i]; at++)
            ck_assert_uint_eq(raw.bytes[at], 0);
        ck_assert_uint_eq(raw.bytes[sizes[i]], 0xff);
    }
}
END_TEST

START_TEST(results_without_a_size_are_refused_unwritten)
{
    static const size_t sizes[] = {0, 1, sizeof(size_t), 17, 20, 4104};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        union raw raw;
        memset(raw.bytes, 0xff, sizeof raw.bytes);
        raw.size = sizes[i];
        ck_assert_status(results_table[_i].get(&raw), LCKV_INVALID_ARGUMENT);
        ck_assert_error_has(results_table[_i].name);
        ck_assert_uint_eq(raw.size, sizes[i]);
        ck_assert_uint_eq(raw.bytes[sizeof(size_t)], 0xff);
    }
    ck_assert_status(results_table[_i].get(NULL), LCKV_INVALID_ARGUMENT);
}
END_TEST

static void add_options(Suite *suite)
{
    TCase *tcase = tcase_create("options");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_loop_test(tcase, sizes_that_cannot_be_are_refused, 0, N_OPTIONS);
    tcase_add_loop_test(tcase, this_size_the_first_and_shorter_ones_are_accepted, 0, N_OPTIONS);
    tcase_add_loop_test(tcase, nothing_behind_a_shorter_struct_is_read, 0, N_OPTIONS);
    tcase_add_loop_test(tcase, a_newer_struct_is_accepted_with_a_zero_tail_only, 0, N_OPTIONS);
    tcase_add_test(tcase, init_clears_and_sets_the_size);
    suite_add_tcase(suite, tcase);
}

static void add_results(Suite *suite)
{
    TCase *tcase = tcase_create("results");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_loop_test(tcase, results_go_as_far_as_the_callers_struct, 0, N_RESULTS);
    tcase_add_loop_test(tcase, results_without_a_size_are_refused_unwritten, 0, N_RESULTS);
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("options", add_options, add_results)
