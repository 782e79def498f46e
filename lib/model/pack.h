/*
 * Packing: which of a checkpoint's tensors become which of the model's matrices and vectors, and
 * the threads that do it.
 */
#ifndef LCKV_MODEL_PACK_H
#define LCKV_MODEL_PACK_H

#include "model/packer.h"

/*
 * Fills in the weights of a model, and calls `meanwhile` as packer_run does. May leave part of them
 * on failure.
 */
lckv_status pack_weights(struct lckv_model *model, const lckv_model_options *options,
                         packer_meanwhile meanwhile);

/* Frees what pack_weights made, all of it or part. */
void release_weights(struct lckv_model *model);

#endif
