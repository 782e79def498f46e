/*
 * The order in which passes come to the weights of a streamed model.
 *
 * A portion is what is read and given up as a whole: the matrices of a layer, or some rows of the
 * output matrix. Portions are numbered: first the layers, then the parts of the output matrix. A
 * pass comes to some layers, one after the other, and then perhaps to parts of the output matrix;
 * the number of such an event in the pass is its position.
 */
#ifndef LCKV_MODEL_PORTION_ORDER_H
#define LCKV_MODEL_PORTION_ORDER_H

#include <stdint.h>

struct portion_order {
    uint32_t n_layers, n_portions;   /* of the model */
    uint32_t first_layer, end_layer; /* the layers of the pass */
    uint32_t end_output;             /* then come the portions [n_layers, end_output) */
    uint32_t next_layer;             /* the first layer of the pass that is likely to follow */
};

/* How many positions the pass has. */
static inline uint32_t portion_positions(const struct portion_order *order)
{
    return order->end_layer - order->first_layer + order->end_output - order->n_layers;
}

/*
 * The first position at or after `from` at which the pass comes to the portion. If there is none,
 * the portion is taken to come in the next pass, which goes round from `next_layer`.
 */
uint64_t portion_next_use(const struct portion_order *order, uint32_t portion, uint64_t from);

#endif
