/*
 * Packs weights, or only measures them: which of a checkpoint's tensors become which of the model's
 * matrices and vectors.
 */
#ifndef LCKV_MODEL_LOAD_WEIGHTS_H
#define LCKV_MODEL_LOAD_WEIGHTS_H

#include "base/checked.h"
#include "model/packer.h"

/*
 * Fills in the weights of a model, and calls `meanwhile` as packer_run does. After a failure some
 * of them may remain.
 */
CHECKED lckv_status load_weights(struct lckv_model *model, const lckv_model_options *options,
                                 packer_meanwhile meanwhile);

/*
 * Finds and checks the weights of a model without reading them: their matrices have shapes, and no
 * data.
 */
CHECKED lckv_status measure_weights(struct lckv_model *model, const lckv_model_options *options);

/* Frees the weights that load_weights made, all of them or some. */
void release_weights(struct lckv_model *model);

#endif
