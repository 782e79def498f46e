/*
 * The sources of hyperparameters. This header is for hparams.c and the files that it calls.
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

/* Reads theta and scaling; called by hparams_config.c. */
CHECKED lckv_status hparams_rope_from_config(const struct json_value *config,
                                             struct hparams *hparams,
                                             const struct remarks *remarks);

/* Reads the tensor rope_freqs.weight, if there is one. */
CHECKED lckv_status hparams_read_rope_factors(struct checkpoint *checkpoint,
                                              struct hparams *hparams);

#endif
