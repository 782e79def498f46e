/*
 * Attention over the cache for the rows of a pass.
 */
#ifndef LCKV_ENGINE_ATTENTION_H
#define LCKV_ENGINE_ATTENTION_H

#include "engine/task.h"

/*
 * One step: rotates the keys that the layer has computed for all rows, and stores keys and values
 * in the layer's slot.
 */
void attention_store(struct task *task, const struct model_layer *layer);

/*
 * Rotates queries and leaves in `attended` their attention over the slot that the layer reads.
 * `store`: keys and values have been computed and must be stored first. `next` is the matrix that
 * multiplies `attended` in the next step: if there are few rows, memory has time to bring some of
 * it meanwhile.
 */
void attention(struct task *task, const struct model_layer *layer, bool store,
               const struct matrix *next);

#endif
