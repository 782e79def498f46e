/*
 * The stages of plans, against what docs/semantics.md, section 3, says of groups.
 */
#include "engine/stages.h"
#include "plan_support.h"
#include "support.h"

static uint32_t count_entries(const char *text)
{
    uint32_t n = 1;
    for (; *text != '\0'; text++)
        n += *text == '_';
    return n;
}

static const struct {
    const char *plan;
    uint32_t n_stages;
    struct stage stages[5];
} rows[] = {
    {"0_1_2_3", 1, {{0, 4, true, false, false, true}}},
    {"0_0_2_2", 1, {{0, 4, true, false, false, true}}},
    {"0_6_6_6_6_6_6_7",
     3,
     {{0, 1, true, false, false, false},
      {1, 7, false, false, true, false},
      {6, 8, false, true, false, true}}},
    {"3_3_3_3",
     3,
     {{0, 0, true, false, false, false},
      {0, 4, false, false, true, false},
      {3, 4, false, true, false, true}}},
    {"1_2_0", /* layer 0 reads 1, which reads 2 */
     3,
     {{0, 0, true, false, false, false},
      {0, 3, false, false, true, false},
      {2, 3, false, true, false, true}}},
    {"2_2_2_5_5_5", /* one cyclic group directly above another */
     5,
     {{0, 0, true, false, false, false},
      {0, 3, false, false, true, false},
      {2, 3, false, true, false, false},
      {3, 6, false, false, true, false},
      {5, 6, false, true, false, true}}},
    {"0_2_2_3_5_5_6",
     5,
     {{0, 1, true, false, false, false},
      {1, 3, false, false, true, false},
      {2, 4, false, true, false, false},
      {4, 6, false, false, true, false},
      {5, 7, false, true, false, true}}},
};

START_TEST(stages_follow_from_the_plan)
{
    const uint32_t n_layers = count_entries(rows[_i].plan);
    struct lckv_plan *plan = parse(rows[_i].plan, n_layers);
    ck_assert_uint_eq(stages_count(plan), rows[_i].n_stages);
    for (uint32_t k = 0; k < rows[_i].n_stages; k++) {
        const struct stage got = stages_at(plan, k), expected = rows[_i].stages[k];
        ck_assert_uint_eq(got.first, expected.first);
        ck_assert_uint_eq(got.end, expected.end);
        ck_assert_int_eq(got.begins, expected.begins);
        ck_assert_int_eq(got.resumes, expected.resumes);
        ck_assert_int_eq(got.cyclic, expected.cyclic);
        ck_assert_int_eq(got.ends, expected.ends);
    }
    const struct stage all = stage_of_all(plan);
    ck_assert(all.first == 0 && all.end == n_layers && all.begins && all.ends);
    ck_assert(!all.resumes && !all.cyclic);
    plan_release(plan);
}
END_TEST

static void add_all(Suite *suite)
{
    TCase *tcase = tcase_create("stages");
    tcase_add_loop_test(tcase, stages_follow_from_the_plan, 0, COUNT(rows));
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("stages", add_all)
