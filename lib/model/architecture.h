/*
 * Architectures: the names under which files know each, and its recipe, which is what distinguishes
 * it from the others. A new architecture is an entry in this table, not a copy of the forward pass.
 */
#ifndef LCKV_MODEL_ARCHITECTURE_H
#define LCKV_MODEL_ARCHITECTURE_H

#include "format/checkpoint.h"
#include "kernels/kernels.h"
#include "model/weights.h"

/* A weight whose names are not those in roles.c. */
struct weight_names {
    enum weight weight;
    const char *gguf, *hf;
};

/* Numbers of a configuration that some architectures compute with, and others do not know. */
enum scale {
    SCALE_EMBEDDING, /* embeddings are multiplied by it */
    SCALE_ATTENTION, /* scores are multiplied by it, instead of 1 / sqrt(head_dim) */
    SCALE_RESIDUAL,  /* what attention and the MLP add to the hidden state is multiplied by it */
    SCALE_LOGITS,    /* logits are divided by it */
    SCALE_SOFTCAP,   /* logits become softcap * tanh(logit / softcap) */
    SCALES
};
#define SCALE_BIT(scale) (1u << (scale))

struct architecture {
    const char *gguf_name;     /* general.architecture */
    const char *hf_model_type; /* config.json model_type */
    /*
     * The model_type of models that have other parts, too, as for images: there, config.json has
     * the text model's members in the object text_config. NULL: there are none.
     */
    const char *hf_outer_type;
    /* Members that config.json may lack, with the values that they have then, as JSON; or NULL. */
    const char *hf_defaults;
    /* Stands for either name if other programs would run the model wrongly, as with a plan. */
    const char *lckv_name;
    bool gguf_rope_adjacent; /* GGUF files rotate elements 2d and 2d + 1 as a pair */
    uint64_t weights;        /* WEIGHT_BITs of what other architectures may lack, and this has */
    const struct weight_names *names; /* [n_names] */
    uint32_t n_names;
    uint32_t scales; /* SCALE_BITs of those that it reads */
    enum activation activation;
    bool embedding_by_width;     /* embeddings are multiplied by sqrt(hidden_size) */
    bool ropes_by_window;        /* layers that have a window of their own rotate in another way */
    uint32_t unrotated_interval; /* every so many layers one does not rotate heads, if a file does
                                    not list these layers; 0: all layers rotate */
    double default_theta;        /* rope_theta if config.json has none; 0: 10000, as it always is
                                    of layers with windows that rotate in another way */
    bool default_tied;           /* tie_word_embeddings, if config.json does not have that key */
    bool norms_plus_one;         /* Hugging Face files hold the weights of norms less 1 */
    bool values_normed;          /* values go through an RMS norm without weight, head by head */
    bool partial_rotation;       /* partial_rotary_factor tells how much of a head is rotated */
    bool fused;                  /* q, k and v are one tensor in files, as well as gate and up */
    bool windows_all;            /* sliding_window, where there is one, is that of all layers */
    uint32_t default_window;     /* what sliding_window is if config.json does not have that key */
    bool scores_by_query;        /* scores are multiplied by 1 / sqrt(query_pre_attn_scalar) */
    bool scores_unscaled;        /* scores are not multiplied by 1 / sqrt(head_dim) */
    /* Layers with a window, and without, have heads of different sizes, or numbers of them. */
    bool heads_by_window;
    /* Of so many layers in turn the last has no window, where a GGUF file does not list them. */
    uint32_t window_period;
    bool plans_are_common; /* other programs run plans that hparams_plan_is_common knows */
    bool inputs_by_layer;  /* each layer has an embedding of the token of its own */
    /*
     * The tokens that have such embeddings, from 0 on, if a file does not say how many: the others
     * have those of token 0. 0: all tokens have some.
     */
    uint32_t input_vocabulary;
    bool altup;                /* streams beside the residual stream, and Laurel beside attention */
    uint32_t sparse_layers;    /* the gates of so many layers are sparse, if a file does not tell */
    uint32_t own_kv_layers;    /* so many layers share no keys and values, if GGUF does not tell */
    uint32_t shared_kv_layers; /* so many share them, if config.json does not tell */
    float default_softcap;     /* if a file does not have that key; 0: none */
};

/* The residual streams of AltUp: that which layers compute, and side streams, which it mixes. */
#define ALTUP_STREAMS 4
#define ALTUP_SIDE_STREAMS (ALTUP_STREAMS - 1)

/*
 * They give NULL if there is no architecture of that name. What config.json calls by several names
 * may be one architecture in GGUF files; the first in the table is that.
 */
const struct architecture *architecture_from_gguf(struct text name);
const struct architecture *architecture_from_hf(struct text model_type);

/* The architecture of the text model in models of this type; NULL if none is known. */
const struct architecture *architecture_from_outer(struct text model_type);

/* The name that GGUF files have for an architecture that a file calls `name`. */
const char *architecture_name(const struct architecture *architecture, struct text name);

/* What must be added to the weights of norms in files of this kind. */
float architecture_norm_offset(const struct architecture *architecture, enum checkpoint_kind kind);

/* All names, for messages. */
struct architecture_names {
    char text[640];
};
struct architecture_names architecture_names(bool gguf);

#endif
