/*
 * What the Check programs share: assertions on statuses and messages, and a main that runs a list
 * of test cases in this process tree and returns non-zero when one fails.
 */
#ifndef LCKV_TESTS_SUPPORT_H
#define LCKV_TESTS_SUPPORT_H

#include "../tools/tiles.h"
#include "lckv.h"
#include "locks.h"

#include <check.h>
#undef fail /* an old name of ck_abort_msg; the library fails by this name */
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* Fails unless `expression` has status `expected`; shows both names and the message. */
#define ck_assert_status(expression, expected)                                            \
    do {                                                                                  \
        lckv_status status_ = (expression);                                               \
        ck_assert_msg(status_ == (expected), "%s: got %s, expected %s; last error: %s",   \
                      #expression, lckv_status_name(status_), lckv_status_name(expected), \
                      lckv_last_error());                                                 \
    } while (0)
#define ck_assert_ok(expression) ck_assert_status(expression, LCKV_OK)

/* Fails unless the last error contains `part`. */
#define ck_assert_error_has(part)                                                               \
    ck_assert_msg(strstr(lckv_last_error(), (part)) != NULL, "the message \"%s\" lacks \"%s\"", \
                  lckv_last_error(), (part))

/* Adds a test case of tests that need no fixture. */
static inline void add_tests(Suite *suite, const char *name, const TTest *const *tests,
                             size_t n_tests)
{
    TCase *tcase = tcase_create(name);
    for (size_t i = 0; i < n_tests; i++)
        tcase_add_test(tcase, tests[i]);
    suite_add_tcase(suite, tcase);
}

/* TEST_MAIN("plan", add_parsing, add_groups): each function takes a Suite * and adds its TCases. */
typedef void (*add_cases)(Suite *suite);
static int run_suite(const char *name, const add_cases *adds, size_t n_adds)
{
    Suite *suite = suite_create(name);
    for (size_t i = 0; i < n_adds; i++)
        adds[i](suite);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
#define TEST_MAIN(name, ...)                                        \
    int main(void)                                                  \
    {                                                               \
        const add_cases adds[] = {__VA_ARGS__};                     \
        request_tiles();                                            \
        return run_suite(name, adds, sizeof adds / sizeof adds[0]); \
    }

#endif
