/*
 * The shape of keys and values of models that lckv does not run yet: enough to tell what they would
 * take in a cache.
 */
#ifndef LCKV_MODEL_CACHE_SHAPE_H
#define LCKV_MODEL_CACHE_SHAPE_H

#include "base/checked.h"
#include "model/hparams.h"

/*
 * Reads from config.json the plan, the window, and the KV heads of each layer, into empty
 * hyperparameters. LCKV_UNSUPPORTED if the architecture is not one that is known to keep its keys
 * and values like this.
 */
CHECKED lckv_status cache_shape_read(struct checkpoint *checkpoint, struct hparams *hparams,
                                     struct lckv_plan **plan);

#endif
