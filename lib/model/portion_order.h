/*
 * The order in which passes come to the weights of a streamed model.
 *
 * A portion is what is read and given up as a whole: the matrices of a layer, or some rows of the
 * output matrix. Portions are numbered: first the layers, then the parts of the output matrix. A
 * pass comes to one portion after the other, and to those of a cyclic group several times; the
 * number of such an event in the pass is its position.
 */
#ifndef LCKV_MODEL_PORTION_ORDER_H
#define LCKV_MODEL_PORTION_ORDER_H

#include "plan/plan.h"

/* Portions [first, end), one after the other, `times` times. */
struct visits {
    uint32_t first, end;
    uint32_t times;
};

struct portion_order {
    struct visits *visits; /* room for n_layers + 1; no portion is in two of them */
    uint32_t n_visits;
    uint64_t n_positions; /* of the pass */
};

/*
 * The order of a pass that ends below layer `end_layer`, and then multiplies by the portions
 * [n_layers, end_output). If `n_iterations` is not 0, cyclic groups are computed so many times.
 */
void portion_order_set(struct portion_order *order, const struct lckv_plan *plan,
                       uint32_t n_iterations, uint32_t end_layer, uint32_t end_output);

/*
 * The first position at or after `from` at which the pass comes to the portion. If there is none,
 * the portion is taken to come in the next pass, which begins with the first layer.
 */
uint64_t portion_next_use(const struct portion_order *order, uint32_t portion, uint64_t from);

#endif
