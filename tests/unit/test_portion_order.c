/*
 * The order of portions in a pass, against the plain list of all that the pass visits.
 */
#include "model/portion_order.h"
#include "plan_support.h"
#include "support.h"

enum { MOST = 4096, N_OUTPUTS = 3 };

/* The portions of a pass in the order of the forward pass. */
static size_t list(const struct lckv_plan *plan, uint32_t n_iterations, uint32_t end_layer,
                   uint32_t end_output, uint32_t *portions)
{
    size_t n = 0;
    if (n_iterations == 0) {
        for (uint32_t i = 0; i < end_layer; i++)
            portions[n++] = i;
    } else {
        for (uint32_t g = 0; g < plan->n_groups; g++) {
            const struct plan_group *group = &plan->groups[g];
            for (uint32_t p = 0; p < (group->cyclic ? n_iterations : 1); p++) {
                for (uint32_t i = group->first; i <= group->last; i++)
                    portions[n++] = i;
            }
        }
    }
    for (uint32_t i = plan->n_layers; i < end_output; i++)
        portions[n++] = i;
    ck_assert_uint_le(n, MOST);
    return n;
}

static void check(const struct lckv_plan *plan, uint32_t n_iterations, uint32_t end_layer,
                  uint32_t end_output)
{
    static uint32_t portions[MOST];
    struct visits visits[PLAN_MAX_LAYERS + 1];
    struct portion_order order = {.visits = visits};
    size_t n = list(plan, n_iterations, end_layer, end_output, portions);
    portion_order_set(&order, plan, n_iterations, end_layer, end_output);
    ck_assert_uint_le(order.n_visits, plan->n_layers + 1);
    ck_assert_uint_eq(order.n_positions, n);
    for (uint32_t portion = 0; portion < plan->n_layers + N_OUTPUTS; portion++) {
        uint64_t expected = n + portion; /* in the next pass */
        for (size_t from = n + 2; from-- > 0;) {
            if (from < n && portions[from] == portion)
                expected = from;
            ck_assert_uint_eq(portion_next_use(&order, portion, from), expected);
        }
    }
}

static uint32_t count_entries(const char *text)
{
    uint32_t n = 1;
    for (; *text != '\0'; text++)
        n += *text == '_';
    return n;
}

static const char *const plans[] = {"0",
                                    "0_1_2_3",
                                    "0_6_6_6_6_6_6_7",
                                    "0_4_4_4_4_4_4_7",
                                    "0_0_2_2_4_4_6_6",
                                    "2_2_2_3_6_6_6_7",
                                    "7_7_7_7_7_7_7_7",
                                    "1_2_0"};

START_TEST(the_next_use_is_the_next_in_the_list)
{
    struct lckv_plan *plan = parse(plans[_i], count_entries(plans[_i]));
    for (uint32_t outputs = 0; outputs <= N_OUTPUTS; outputs++) {
        for (uint32_t end = 1; end <= plan->n_layers; end++)
            check(plan, 0, end, plan->n_layers + outputs);
        for (uint32_t n_iterations = 1; n_iterations <= 9; n_iterations += 4)
            check(plan, n_iterations, plan->n_layers, plan->n_layers + outputs);
    }
    plan_release(plan);
}
END_TEST

/* Numbers of iterations are up to 131072, and no list of them is made. */
START_TEST(many_iterations_are_counted_and_not_listed)
{
    struct lckv_plan *plan = parse("7_7_7_7_7_7_7_7", 8);
    struct visits visits[9];
    struct portion_order order = {.visits = visits};
    portion_order_set(&order, plan, UINT32_MAX, 8, 9);
    ck_assert_uint_eq(order.n_positions, 8 * (uint64_t)UINT32_MAX + 1);
    ck_assert_uint_eq(portion_next_use(&order, 3, 8 * (uint64_t)1000000000 + 4),
                      8 * (uint64_t)1000000001 + 3);
    ck_assert_uint_eq(portion_next_use(&order, 8, 5), order.n_positions - 1);
    plan_release(plan);
}
END_TEST

static void add_all(Suite *suite)
{
    TCase *tcase = tcase_create("portion order");
    tcase_add_loop_test(tcase, the_next_use_is_the_next_in_the_list, 0, COUNT(plans));
    tcase_add_test(tcase, many_iterations_are_counted_and_not_listed);
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("portion_order", add_all)
