/*
 * The order of portions in a pass. See portion_order.h.
 */
#include "model/portion_order.h"

uint64_t portion_next_use(const struct portion_order *order, uint32_t portion, uint64_t from)
{
    const uint32_t n_layers = order->end_layer - order->first_layer;
    uint32_t position = UINT32_MAX;
    if (portion >= order->first_layer && portion < order->end_layer)
        position = portion - order->first_layer;
    else if (portion >= order->n_layers && portion < order->end_output)
        position = n_layers + (portion - order->n_layers);
    if (position != UINT32_MAX && position >= from)
        return position;
    return (uint64_t)portion_positions(order) +
           (portion + order->n_portions - order->next_layer) % order->n_portions;
}
