/*
 * Checks that the tensors of a checkpoint are those of the model that its configuration and plan
 * describe. Their shapes and types are checked where they are loaded.
 */
#ifndef LCKV_MODEL_CHECK_TENSORS_H
#define LCKV_MODEL_CHECK_TENSORS_H

#include "base/checked.h"
#include "base/remark.h"
#include "model/hparams.h"

enum tensor_use {
    TENSOR_USED,
    TENSOR_SKIPPED, /* nothing reads it, and the model is the same without it */
    TENSOR_REFUSED  /* it belongs to another model, which would compute something else */
};

/* What becomes of the tensor of this name. If it is not used, *why says why. */
enum tensor_use tensor_use(const struct checkpoint *checkpoint, const struct hparams *hparams,
                           const struct lckv_plan *plan, struct text name, const char **why);

/*
 * k and v tensors must be there wherever the plan computes keys and values (else LCKV_BAD_PLAN),
 * and so must the biases that config.json promises (else LCKV_BAD_FORMAT). Tensors that nothing
 * reads are skipped with a remark, among them keys and values of layers that compute none. Parts of
 * other models that change the computation are LCKV_UNSUPPORTED.
 */
CHECKED lckv_status check_tensors(const struct checkpoint *checkpoint,
                                  const struct hparams *hparams, const struct lckv_plan *plan,
                                  const struct remarks *remarks);

#endif
