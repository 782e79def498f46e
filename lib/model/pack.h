/*
 * Packing: a checkpoint's tensors into the model's matrices and vectors, in the kernel set's
 * layout.
 */
#ifndef LCKV_MODEL_PACK_H
#define LCKV_MODEL_PACK_H

#include "model/model.h"

/* Fills in the weights of a model that has everything else. May leave part of them on failure. */
lckv_status pack_weights(struct lckv_model *model, const lckv_model_options *options);

/* Frees what pack_weights made, all of it or part. */
void unpack_weights(struct lckv_model *model);

#endif
