/*
 * Structs that carry their size, across versions: a library that is newer or older than its caller.
 */
#include "support.h"

#include "api/options.h"

#include <string.h>

/* The structs of this "version", and of its neighbours. */
struct known {
    size_t size;
    uint64_t first, second;
};
struct older {
    size_t size;
    uint64_t first;
};
struct newer {
    size_t size;
    uint64_t first, second, third;
};

START_TEST(null_gives_defaults)
{
    struct known known = {9, 9, 9};
    ck_assert_ok(options_read(&known, sizeof known, NULL, "known"));
    ck_assert_uint_eq(known.size, sizeof known);
    ck_assert_uint_eq(known.first, 0);
    ck_assert_uint_eq(known.second, 0);
}
END_TEST

START_TEST(an_older_struct_has_defaults_behind_its_end)
{
    struct known known = {9, 9, 9};
    const struct older older = {sizeof older, 5};
    ck_assert_ok(options_read(&known, sizeof known, &older, "known"));
    ck_assert_uint_eq(known.size, sizeof known);
    ck_assert_uint_eq(known.first, 5);
    ck_assert_uint_eq(known.second, 0);
}
END_TEST

START_TEST(a_newer_struct_must_not_use_what_it_added)
{
    struct known known;
    struct newer newer = {sizeof newer, 5, 6, 0};
    ck_assert_ok(options_read(&known, sizeof known, &newer, "known"));
    ck_assert_uint_eq(known.size, sizeof known);
    ck_assert_uint_eq(known.second, 6);
    newer.third = UINT64_C(1) << 63;
    ck_assert_status(options_read(&known, sizeof known, &newer, "known"), LCKV_INVALID_ARGUMENT);
    ck_assert_error_has("known comes from a newer lckv.h");
}
END_TEST

/* Tests 0, half a member, the size of a pointer, and what uninitialised memory may hold. */
START_TEST(sizes_that_no_version_has_are_refused)
{
    static const size_t sizes[] = {0, 1, 8, 12, 15, 17, 23, 4104, SIZE_MAX, SIZE_MAX - 7};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct known known;
        struct newer given = {sizes[i], 1, 2, 3}, before = given;
        ck_assert_status(options_read(&known, sizeof known, &given, "known"),
                         LCKV_INVALID_ARGUMENT);
        ck_assert_error_has("known.size");
        ck_assert_status(result_check(&given, sizeof known, "known"), LCKV_INVALID_ARGUMENT);
        ck_assert_status(result_write(&given, &known, sizeof known, "known"),
                         LCKV_INVALID_ARGUMENT);
        ck_assert_status(options_init(&given, sizes[i], "known"), LCKV_INVALID_ARGUMENT);
        ck_assert_mem_eq(&given, &before, sizeof given);
    }
}
END_TEST

START_TEST(results_fill_what_the_caller_has)
{
    const struct known known = {sizeof known, 5, 6};
    struct {
        struct older older;
        uint64_t guard;
    } small = {{sizeof(struct older), 9}, 77};
    ck_assert_ok(result_write(&small.older, &known, sizeof known, "known"));
    ck_assert_uint_eq(small.older.size, sizeof small.older);
    ck_assert_uint_eq(small.older.first, 5);
    ck_assert_uint_eq(small.guard, 77);

    struct newer large = {sizeof large, 9, 9, 9};
    ck_assert_ok(result_write(&large, &known, sizeof known, "known"));
    ck_assert_uint_eq(large.size, sizeof large);
    ck_assert_uint_eq(large.second, 6);
    ck_assert_uint_eq(large.third, 0);
    ck_assert_status(result_write(NULL, &known, sizeof known, "known"), LCKV_INVALID_ARGUMENT);
}
END_TEST

static void add_options(Suite *suite)
{
    TCase *tcase = tcase_create("options");
    tcase_add_test(tcase, null_gives_defaults);
    tcase_add_test(tcase, an_older_struct_has_defaults_behind_its_end);
    tcase_add_test(tcase, a_newer_struct_must_not_use_what_it_added);
    tcase_add_test(tcase, sizes_that_no_version_has_are_refused);
    tcase_add_test(tcase, results_fill_what_the_caller_has);
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("options", add_options)
