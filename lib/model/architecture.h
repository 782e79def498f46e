/*
 * Architectures: the names under which files know each, and what distinguishes it from the others.
 * A new architecture is an entry in this table, not a copy of the forward pass.
 */
#ifndef LCKV_MODEL_ARCHITECTURE_H
#define LCKV_MODEL_ARCHITECTURE_H

#include "format/metadata.h"

struct architecture {
    const char *gguf_name;     /* general.architecture */
    const char *hf_model_type; /* config.json model_type */
    bool gguf_rope_adjacent;   /* GGUF files rotate elements 2d and 2d + 1 as a pair */
    bool condensed;            /* has lckv.* keys: layer plans and force_nodiag */
};

/* They give NULL if there is no architecture of that name. */
const struct architecture *architecture_from_gguf(struct text name);
const struct architecture *architecture_from_hf(struct text model_type);

#endif
