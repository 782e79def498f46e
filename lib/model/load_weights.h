/*
 * Packing: which of a checkpoint's tensors become which of the model's matrices and vectors, and
 * the threads that do it.
 */
#ifndef LCKV_MODEL_LOAD_WEIGHTS_H
#define LCKV_MODEL_LOAD_WEIGHTS_H

#include "base/checked.h"
#include "model/packer.h"

/*
 * Fills in the weights of a model, and calls `meanwhile` as packer_run does. May leave part of them
 * on failure.
 */
CHECKED lckv_status load_weights(struct lckv_model *model, const lckv_model_options *options,
                                 packer_meanwhile meanwhile);

/* Frees what load_weights made, all of it or part. */
void release_weights(struct lckv_model *model);

#endif
