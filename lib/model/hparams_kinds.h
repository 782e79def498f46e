/*
 * The kinds of layers: which of them slide, that is, have a window. Files list them, or say that of
 * some layers in turn the last does not slide.
 */
#ifndef LCKV_MODEL_HPARAMS_KINDS_H
#define LCKV_MODEL_HPARAMS_KINDS_H

#include "base/checked.h"
#include "model/hparams.h"

struct json_value;

/*
 * Set `sliding`, [n_layers], and *found to true if the file says it; otherwise they change neither.
 * The number of layers must be within the limits.
 */
CHECKED lckv_status hparams_kinds_from_config(const struct json_value *config,
                                              const struct hparams *hparams, bool *sliding,
                                              bool *found);
CHECKED lckv_status hparams_kinds_from_gguf(const struct metadata *metadata,
                                            const struct hparams *hparams, bool *sliding,
                                            bool *found);

#endif
