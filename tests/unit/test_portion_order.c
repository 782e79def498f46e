/*
 * The order of portions in a pass, against the plain list of all that this pass and the next visit.
 */
#include "model/portion_order.h"
#include "support.h"

enum { N_LAYERS = 8, N_OUTPUTS = 3, N_PORTIONS = N_LAYERS + N_OUTPUTS };

static void check(const struct portion_order *order)
{
    uint32_t portions[2 * N_PORTIONS];
    size_t n = 0;
    for (uint32_t i = order->first_layer; i < order->end_layer; i++)
        portions[n++] = i;
    for (uint32_t i = N_LAYERS; i < order->end_output; i++)
        portions[n++] = i;
    ck_assert_uint_eq(portion_positions(order), n);
    const size_t n_all = n + N_PORTIONS;
    for (uint32_t i = 0; i < N_PORTIONS; i++) /* the next pass, and round again */
        portions[n + i] = (order->next_layer + i) % N_PORTIONS;
    for (uint32_t portion = 0; portion < N_PORTIONS; portion++) {
        size_t expected = n_all;
        for (size_t from = n_all; from-- > 0;) {
            if (portions[from] == portion)
                expected = from;
            if (from <= n)
                ck_assert_uint_eq(portion_next_use(order, portion, from), expected);
        }
    }
}

START_TEST(the_next_use_is_the_next_in_the_list)
{
    struct portion_order order = {.n_layers = N_LAYERS, .n_portions = N_PORTIONS};
    for (order.first_layer = 0; order.first_layer <= N_LAYERS; order.first_layer++) {
        for (order.end_layer = order.first_layer; order.end_layer <= N_LAYERS; order.end_layer++) {
            for (order.end_output = N_LAYERS; order.end_output <= N_PORTIONS; order.end_output++) {
                for (order.next_layer = 0; order.next_layer < N_LAYERS; order.next_layer++)
                    check(&order);
            }
        }
    }
}
END_TEST

static void add_all(Suite *suite)
{
    TCase *tcase = tcase_create("portion order");
    tcase_add_test(tcase, the_next_use_is_the_next_in_the_list);
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("portion_order", add_all)
