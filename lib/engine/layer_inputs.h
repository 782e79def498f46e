/*
 * What some architectures add around the layers: embeddings of its own for each layer, which come
 * in at its end, and a number that multiplies the hidden state there. docs/semantics.md, section 2,
 * has the formulas.
 */
#ifndef LCKV_ENGINE_LAYER_INPUTS_H
#define LCKV_ENGINE_LAYER_INPUTS_H

#include "engine/task.h"

/*
 * inputs = the embeddings that the layers have for themselves, for the batch's tokens, whose shared
 * embeddings are in `hidden`. It does nothing if layers have none. Side streams begin here, too.
 */
void layer_inputs(struct task *task);

/*
 * Brings the embedding of layer i into `hidden`, or into the side streams, and scales it, as far as
 * the model does this.
 */
void finish_layer(struct task *task, const struct model_layer *layer, uint32_t i);

#endif
