/*
 * Architectures: under which names files know each, and what tells it from the others. A new
 * architecture is a table entry here, not a copy of the forward pass.
 */
#ifndef LCKV_MODEL_ARCHITECTURE_H
#define LCKV_MODEL_ARCHITECTURE_H

#include "format/metadata.h"

struct architecture {
    const char *gguf_name;     /* general.architecture */
    const char *hf_model_type; /* config.json model_type */
    bool gguf_rope_adjacent;   /* GGUF files pair elements 2d and 2d + 1: q, k rows are permuted */
    bool condensed;            /* reads lckv.* keys: layer plans and force_nodiag */
};

/* NULL if there is none of that name. */
const struct architecture *architecture_from_gguf(struct text name);
const struct architecture *architecture_from_hf(struct text model_type);

#endif
