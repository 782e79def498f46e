/*
 * Layer plans in the words of other programs: they say in various keys which layers share keys and
 * values, and all of these become one plan.
 */
#ifndef LCKV_MODEL_HPARAMS_PLAN_H
#define LCKV_MODEL_HPARAMS_PLAN_H

#include "base/checked.h"
#include "model/hparams.h"

struct json_value;

/*
 * Read what a configuration says about the plan, once hparams->n_layers is known (and for GGUF
 * hparams->architecture and, if there is one, the plan of lckv's own key). They set hparams->plan,
 * whose text is in the checkpoint's arena, and for GGUF hparams->sliding_window.
 */
CHECKED lckv_status hparams_plan_from_config(struct checkpoint *checkpoint,
                                             const struct json_value *config,
                                             struct hparams *hparams);
CHECKED lckv_status hparams_plan_from_gguf(struct checkpoint *checkpoint, struct hparams *hparams);

/* Whether an entry of the text of the plan has the window flag; the text may not be a plan yet. */
CHECKED bool hparams_has_windows(const struct hparams *hparams);

/*
 * Writes the sources and the windows of a plan in the keys of an architecture that others read.
 * Nothing is written of what the plan does not have.
 */
CHECKED lckv_status hparams_plan_to_metadata(const struct hparams *hparams,
                                             const struct lckv_plan *plan, const char *architecture,
                                             struct metadata *metadata);

/* Whether the keys that other programs read say all of a plan, to those that read them. */
CHECKED bool hparams_plan_is_common(const struct hparams *hparams, const struct lckv_plan *plan);

#endif
