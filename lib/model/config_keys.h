/*
 * The keys of configurations: config.json's members and GGUF's "<architecture>." and "lckv." keys.
 * Each is understood, refused unless its value changes nothing, or known to change nothing;
 * anything else gets a remark.
 */
#ifndef LCKV_MODEL_CONFIG_KEYS_H
#define LCKV_MODEL_CONFIG_KEYS_H

#include "base/remark.h"
#include "format/json.h"
#include "model/hparams.h"

/* Of hyperparameters that have been read: the shape of a head decides what some values change. */
lckv_status config_keys_check_json(const struct json_value *config, const struct hparams *hparams,
                                   const struct remarks *remarks);
lckv_status config_keys_check_gguf(const struct metadata *metadata, const struct hparams *hparams,
                                   const struct remarks *remarks);

#endif
