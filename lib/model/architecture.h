/*
 * Architectures: the names under which files know each, and its recipe, which is what distinguishes
 * it from the others. A new architecture is an entry in this table, not a copy of the forward pass.
 */
#ifndef LCKV_MODEL_ARCHITECTURE_H
#define LCKV_MODEL_ARCHITECTURE_H

#include "format/metadata.h"
#include "model/weights.h"

/* A weight whose names are not those in roles.c. */
struct weight_names {
    enum weight weight;
    const char *gguf, *hf;
};

struct architecture {
    const char *gguf_name;     /* general.architecture */
    const char *hf_model_type; /* config.json model_type */
    /* Either name, if other programs would run the model wrongly: their plans have no sharing. */
    const char *lckv_name;
    bool gguf_rope_adjacent; /* GGUF files rotate elements 2d and 2d + 1 as a pair */
    uint64_t weights;        /* bit w: WEIGHT w, which not every architecture has, must be there */
    const struct weight_names *names; /* [n_names] */
    uint32_t n_names;
};

/* They give NULL if there is no architecture of that name. */
const struct architecture *architecture_from_gguf(struct text name);
const struct architecture *architecture_from_hf(struct text model_type);

/* The name that GGUF files have for an architecture that a file calls `name`. */
const char *architecture_name(const struct architecture *architecture, struct text name);

/* All names, for messages. */
struct architecture_names {
    char text[512];
};
struct architecture_names architecture_names(bool gguf);

#endif
