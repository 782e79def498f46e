/*
 * The weights that a pass comes to. Those of a streamed model are there when these functions
 * return, wherever the ring has them, until the next one is called: a worker that calls it has seen
 * that the steps before are over.
 */
#ifndef LCKV_ENGINE_LAYER_WEIGHTS_H
#define LCKV_ENGINE_LAYER_WEIGHTS_H

#include "base/checked.h"
#include "engine/task.h"

/*
 * Before and after the workers' part in a pass. If the weights are streamed, weights_begin takes
 * the ring and reads the rows of the embedding into the workspace's `hidden`; weights_end says
 * whether all weights could be read.
 */
CHECKED lckv_status weights_begin(struct pass *pass);
CHECKED lckv_status weights_end(struct pass *pass);

/*
 * The weights of a layer, and a part of the output matrix. If they cannot be read or the call has
 * been cancelled, the worker has left when they return.
 */
const struct model_layer *layer_weights(struct task *task, uint32_t i);
const struct output_part *output_weights(struct task *task, uint32_t i);

#endif
