/*
 * Architectures: for each, a name and the names of its tensors in GGUF and Hugging Face files. A
 * new architecture is a table entry here, not a copy of the forward pass.
 */
#ifndef LCKV_MODEL_ARCHITECTURE_H
#define LCKV_MODEL_ARCHITECTURE_H

#include "format/checkpoint.h"

/* The roles that tensors play. */
enum weight {
    WEIGHT_TOKEN_EMBEDDING,
    WEIGHT_OUTPUT_NORM,
    WEIGHT_OUTPUT,
    WEIGHT_ROPE_FACTORS,
    /* the rest once a layer */
    WEIGHT_ATTENTION_NORM,
    WEIGHT_Q,
    WEIGHT_K,
    WEIGHT_V,
    WEIGHT_O,
    WEIGHT_Q_BIAS,
    WEIGHT_K_BIAS,
    WEIGHT_V_BIAS,
    WEIGHT_O_BIAS,
    WEIGHT_FFN_NORM,
    WEIGHT_GATE,
    WEIGHT_UP,
    WEIGHT_DOWN,
    WEIGHT_GATE_BIAS,
    WEIGHT_UP_BIAS,
    WEIGHT_DOWN_BIAS,
    WEIGHT_COUNT
};

struct architecture {
    const char *gguf_name;     /* general.architecture */
    const char *hf_model_type; /* config.json model_type */
    bool gguf_rope_adjacent;   /* GGUF files pair elements 2d and 2d + 1: q, k rows are permuted */
    bool condensed;            /* reads lckv.* keys: layer plans and force_nodiag */
};

/* NULL if there is none of that name. */
const struct architecture *architecture_from_gguf(struct text name);
const struct architecture *architecture_from_hf(struct text model_type);

#define WEIGHT_NAME_BYTES 96

/* The name of a weight in files of `kind`, for layer `layer` where that matters. */
void weight_name(enum checkpoint_kind kind, enum weight weight, uint32_t layer,
                 char name[WEIGHT_NAME_BYTES]);
bool weight_is_per_layer(enum weight weight);

#endif
