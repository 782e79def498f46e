/*
 * Whether the tensors of a checkpoint are those of the model that its configuration and plan
 * describe. Their shapes and types are looked at where they are loaded.
 */
#ifndef LCKV_MODEL_CHECK_TENSORS_H
#define LCKV_MODEL_CHECK_TENSORS_H

#include "base/remark.h"
#include "model/hparams.h"

/* Why no part of the model reads the tensor of this name; NULL if one does. */
const char *why_not_used(const struct checkpoint *checkpoint, const struct hparams *hparams,
                         const struct lckv_plan *plan, struct text name);

/*
 * k and v tensors must be there wherever the plan computes keys and values (LCKV_BAD_PLAN), and so
 * must the biases that config.json promises (LCKV_BAD_FORMAT). Tensors that nothing reads, keys and
 * values of layers that compute none among them, are skipped with a remark.
 */
lckv_status check_tensors(const struct checkpoint *checkpoint, const struct hparams *hparams,
                          const struct lckv_plan *plan, const struct remarks *remarks);

#endif
