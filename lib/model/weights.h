/*
 * Which tensors a model must have, may have and must not have, and of what shape.
 */
#ifndef LCKV_MODEL_WEIGHTS_H
#define LCKV_MODEL_WEIGHTS_H

#include "model/architecture.h"
#include "model/hparams.h"

/* The shape that the weight of a role must have; *columns is 0 for a vector. */
void weight_shape(const struct hparams *hparams, enum weight weight, uint64_t *rows,
                  uint64_t *columns);

/* Whether models exist without it. */
bool weight_is_optional(const struct hparams *hparams, enum weight weight);

/*
 * The tensor that plays a role, of `n_dims` 1 ([rows]) or 2 ([rows, columns]). *tensor is NULL if
 * it is missing and not required. LCKV_BAD_FORMAT names the tensor, what was expected and what is
 * there.
 */
lckv_status weight_find(const struct checkpoint *checkpoint, enum weight weight, uint32_t layer,
                        uint32_t n_dims, uint64_t rows, uint64_t columns, bool required,
                        const struct tensor **tensor);

/*
 * Checks the names: k and v tensors stand exactly where the plan computes keys and values
 * (LCKV_BAD_PLAN), biases that config.json promises are there (LCKV_BAD_FORMAT), and tensors that
 * nothing reads are named to `log` (may be NULL).
 */
lckv_status weights_check(const struct checkpoint *checkpoint, const struct hparams *hparams,
                          const struct lckv_plan *plan, lckv_log_callback log, void *log_user);

#endif
