/*
 * Checks that a configuration asks for what lckv computes. Each key is understood, or refused
 * unless its value changes nothing, or known to change nothing. Any other key gets a remark.
 */
#ifndef LCKV_MODEL_CONFIG_CHECK_H
#define LCKV_MODEL_CONFIG_CHECK_H

#include "base/checked.h"
#include "base/remark.h"
#include "format/json.h"
#include "model/hparams.h"

/*
 * The hyperparameters must have been read: the shape of a head decides whether some values change
 * anything.
 */
CHECKED lckv_status config_check_json(const struct json_value *config,
                                      const struct hparams *hparams, const struct remarks *remarks);
/* What stands beside text_config, of which only a little concerns texts. */
CHECKED lckv_status config_check_outer(const struct json_value *config,
                                       const struct hparams *hparams,
                                       const struct remarks *remarks);
CHECKED lckv_status config_check_gguf(const struct metadata *metadata,
                                      const struct hparams *hparams, const struct remarks *remarks);

#endif
