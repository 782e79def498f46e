/*
 * Where hyperparameters are read from. For hparams.c only.
 */
#ifndef LCKV_MODEL_HPARAMS_SOURCES_H
#define LCKV_MODEL_HPARAMS_SOURCES_H

#include "base/checked.h"
#include "base/remark.h"
#include "model/hparams.h"

struct json_value;

#define HPARAMS_FORWARD_PASSES 7 /* the defaults of the published configuration */
#define HPARAMS_BACKWARD_PASSES 2
#define HPARAMS_SLIDING_WINDOW 4096

CHECKED lckv_status hparams_from_gguf(struct checkpoint *checkpoint, struct hparams *hparams,
                                      const struct remarks *remarks);
CHECKED lckv_status hparams_from_config(struct checkpoint *checkpoint, struct hparams *hparams,
                                        const struct remarks *remarks);

/* Theta and scaling; for hparams_config.c. */
CHECKED lckv_status hparams_rope_from_config(const struct json_value *config,
                                             struct hparams *hparams,
                                             const struct remarks *remarks);

/* The tensor rope_freqs.weight, if there is one. */
CHECKED lckv_status hparams_read_rope_factors(struct checkpoint *checkpoint,
                                              struct hparams *hparams);

#endif
