/*
 * How far the keys and values of rows move in a pass of a cyclic stage: the difference from those
 * of the pass before, as the cache stores them.
 */
#ifndef LCKV_ENGINE_MOVEMENT_H
#define LCKV_ENGINE_MOVEMENT_H

#include "engine/task.h"

/* Squares of Euclidean norms, of one head: of the differences, and of what has been stored. */
struct movement {
    float k_change, k_size, v_change, v_size;
};

/* How many of them a row has in the stage that needs the most: one for each KV head of a slot. */
size_t movement_heads(const struct lckv_model *model);

/* Stores one head of row m's key and value in its slot, and notes how far they have moved. */
void movement_store(const struct task *task, const struct model_layer *layer, size_t m,
                    uint32_t head, const float *k, const float *v);

/*
 * After a pass: the relative change of row m's keys or values, whichever is larger, in the slot
 * where it is largest. NaN if one of them is.
 */
float movement_of_row(const struct pass *pass, size_t m);

#endif
