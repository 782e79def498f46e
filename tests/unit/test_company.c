/*
 * Runs in company or alone: what is learnt from runs of given lengths.
 */
#include "base/company.h"

#include "support.h"

#define MILLISECOND ((int64_t)1000000)

/*
 * The share of `n` runs that went alone. In company a run takes `together`, of which `stalled` is
 * waiting; alone it takes `lonely`.
 */
static double share_alone(struct company *company, int n, int64_t together, int64_t stalled,
                          int64_t lonely)
{
    int n_alone = 0;
    for (int i = 0; i < n; i++) {
        bool alone = company_alone(company, 1);
        n_alone += alone;
        company_learn(company, alone ? lonely : together, alone ? 0 : stalled);
    }
    return (double)n_alone / n;
}

START_TEST(without_long_waits_nothing_is_tried)
{
    struct company company = {.kind = 0};
    ck_assert_double_eq(share_alone(&company, 10000, MILLISECOND, MILLISECOND / 20, 1), 0);
}
END_TEST

START_TEST(the_faster_way_is_kept_and_the_other_tried_now_and_then)
{
    struct company company = {.kind = 0};
    double share = share_alone(&company, 10000, 2 * MILLISECOND, MILLISECOND, MILLISECOND);
    ck_assert_double_gt(share, 0.85);
    ck_assert_double_lt(share, 0.99);
    company = (struct company){.kind = 0};
    share = share_alone(&company, 10000, MILLISECOND, MILLISECOND / 2, 2 * MILLISECOND);
    ck_assert_double_gt(share, 0.01);
    ck_assert_double_lt(share, 0.15);
}
END_TEST

START_TEST(runs_end_alone_when_the_machine_is_free_again)
{
    struct company company = {.kind = 0};
    share_alone(&company, 1000, 2 * MILLISECOND, MILLISECOND, MILLISECOND);
    share_alone(&company, 1000, MILLISECOND, 0, 2 * MILLISECOND);
    ck_assert_double_eq(share_alone(&company, 1000, MILLISECOND, 0, 2 * MILLISECOND), 0);
}
END_TEST

START_TEST(runs_of_another_kind_begin_in_company)
{
    struct company company = {.kind = 0};
    bool alone = false;
    while (!alone) {
        alone = company_alone(&company, 1);
        company_learn(&company, alone ? MILLISECOND : 2 * MILLISECOND, alone ? 0 : MILLISECOND);
    }
    ck_assert(!company_alone(&company, 2));
    for (int i = 0; i < 1000; i++) {
        ck_assert(!company_alone(&company, 0)); /* like no other run, however long the waits */
        company_learn(&company, MILLISECOND, MILLISECOND);
    }
}
END_TEST

static void add_all(Suite *suite)
{
    const TTest *const tests[] = {without_long_waits_nothing_is_tried,
                                  the_faster_way_is_kept_and_the_other_tried_now_and_then,
                                  runs_end_alone_when_the_machine_is_free_again,
                                  runs_of_another_kind_begin_in_company};
    add_tests(suite, "company", tests, COUNT(tests));
}

TEST_MAIN("company", add_all)
