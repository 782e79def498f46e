/*
 * The layers of a model: how each rotates, what it reads, and its shape, before it has weights.
 */
#ifndef LCKV_MODEL_LAYERS_H
#define LCKV_MODEL_LAYERS_H

#include "base/checked.h"
#include "model/model.h"

/* Makes the layers and the ropes of a model that has its hyperparameters and its plan. */
CHECKED lckv_status layers_create(struct lckv_model *model);

#endif
