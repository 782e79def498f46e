/*
 * The order of portions in a pass. See portion_order.h.
 */
#include "model/portion_order.h"

static void add(struct portion_order *order, uint32_t first, uint32_t end, uint32_t times)
{
    if (first == end)
        return;
    order->visits[order->n_visits++] = (struct visits){first, end, times};
    order->n_positions += (uint64_t)(end - first) * times;
}

void portion_order_set(struct portion_order *order, const struct lckv_plan *plan,
                       uint32_t n_iterations, uint32_t end_layer, uint32_t end_output)
{
    order->n_visits = 0;
    order->n_positions = 0;
    if (n_iterations == 0)
        add(order, 0, end_layer, 1);
    for (uint32_t g = 0; n_iterations != 0 && g < plan->n_groups; g++) {
        const struct plan_group *group = &plan->groups[g];
        add(order, group->first, group->last + 1, group->cyclic ? n_iterations : 1);
    }
    add(order, plan->n_layers, end_output, 1);
}

uint64_t portion_next_use(const struct portion_order *order, uint32_t portion, uint64_t from)
{
    uint64_t begin = 0; /* the position of the first of these visits */
    for (uint32_t v = 0; v < order->n_visits; v++) {
        const struct visits *visits = &order->visits[v];
        const uint64_t round = visits->end - visits->first;
        if (portion >= visits->first && portion < visits->end) {
            const uint64_t first = begin + (portion - visits->first);
            const uint64_t missed = from > first ? (from - first + round - 1) / round : 0;
            if (missed < visits->times)
                return first + missed * round;
            break;
        }
        begin += round * visits->times;
    }
    return order->n_positions + portion;
}
