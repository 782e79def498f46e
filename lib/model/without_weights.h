/* Models that are opened without their weights (LCKV_WEIGHTS_NONE). */
#ifndef LCKV_MODEL_WITHOUT_WEIGHTS_H
#define LCKV_MODEL_WITHOUT_WEIGHTS_H

#include "base/checked.h"
#include "model/model.h"

/*
 * Takes over what can be known of an opened checkpoint without weights. Why it could not run as a
 * model is kept in model->problem, and is no failure of this call.
 */
CHECKED lckv_status model_open_without_weights(struct lckv_model *model,
                                               const lckv_model_options *options);

#endif
