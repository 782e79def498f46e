/*
 * Hyperparameters: what the checkpoint says about the model's shape, in GGUF metadata or
 * config.json.
 */
#ifndef LCKV_MODEL_HPARAMS_H
#define LCKV_MODEL_HPARAMS_H

#include "base/checked.h"
#include "base/remark.h"
#include "model/architecture.h"
#include "plan/kv_format.h"
#include "plan/plan.h"

/* Limits on untrusted shapes, far above any model that exists. */
#define HPARAMS_MAX_HIDDEN (1u << 16)
#define HPARAMS_MAX_INTERMEDIATE (1u << 18)
#define HPARAMS_MAX_HEADS 4096
#define HPARAMS_MAX_HEAD_DIM 512
#define HPARAMS_MAX_VOCAB (1u << 22)

/*
 * How many times wider a layer may be inside, in its queries or its feed-forward part, than between
 * the layers. In real models it is up to 16 times. The memory of a pass grows with the inner width,
 * the bytes of the file with the product of both widths, so without this limit a small file could
 * ask for gigabytes. Inner widths up to the second number are always allowed.
 */
#define HPARAMS_MAX_WIDENING 64
#define HPARAMS_ANY_WIDTH 1024

/* The most iterations that a model may ask for; the published models ask for 7 + 2. */
#define HPARAMS_MAX_PASSES 64

enum rope_scaling {
    ROPE_SCALING_NONE,
    ROPE_SCALING_LINEAR,
    ROPE_SCALING_LLAMA3,
    ROPE_SCALING_YARN,
    ROPE_SCALING_LONGROPE,
    ROPE_SCALING_DYNAMIC
};

/*
 * The most ways of rotating heads that a model has: layers with and without a window may differ,
 * and some layers may not rotate at all, which is to rotate 0 elements.
 */
#define HPARAMS_MAX_ROPES 2

/* From this divisor on, files mean that a pair does not turn. */
#define HPARAMS_STILL_FACTOR 1e30f

/* A way of rotating heads. */
struct rope_hparams {
    uint32_t n_rotated; /* elements of a head: pairs (d, d + n_rotated / 2); the others stay */
    uint32_t n_still;   /* of the pairs, the last ones, which stay, too: their frequency is 0 */
    double theta;
    enum rope_scaling scaling;
    double factor;                            /* unless the scaling is none */
    double low_freq_factor, high_freq_factor; /* llama3 */
    double beta_fast, beta_slow;              /* yarn */
    double original_context;                  /* all of these but linear */
    double context;                           /* dynamic: the tokens of the longest text */
    double attention_factor;   /* rotated elements are multiplied by it, and as the scaling says */
    const float *factors;      /* [n_rotated / 2] divisors of the frequencies, or NULL */
    const float *long_factors; /* longrope: those for texts longer than original_context */
};

/* What may differ between the layers of a model. The plan tells which of them have a window. */
struct layer_hparams {
    uint32_t head_dim, n_kv_heads, intermediate_size;
    uint32_t rope;     /* index of its way of rotating */
    uint32_t kv_shape; /* index of n_kv_heads and head_dim in the model's kv_shapes */
    uint32_t v_is_k;   /* 1: there is no W_v; values are the keys before norm and rotation */
    /*
     * Gates count from as many standard deviations above their mean on: smaller ones become 0.
     * -INFINITY: all count.
     */
    float sparsity;
};

struct hparams {
    const struct architecture *architecture;
    const char *architecture_name; /* the one of its names that the file uses */
    uint32_t n_layers, n_vocab, hidden_size, n_heads;
    const struct layer_hparams *layers; /* [n_layers] */
    struct layer_hparams widest;        /* the largest numbers of any layer; indices are 0 */
    struct kv_shapes kv_shapes;
    uint32_t layer_input_size; /* of the embedding that each layer has for itself; 0: none has */
    uint32_t n_input_rows;     /* of the table of such embeddings in the file */
    uint32_t n_input_tokens;   /* of its rows, those of tokens; other tokens have row 0 */
    uint32_t n_side_streams;   /* residual streams beside the one that layers compute */
    uint32_t laurel_rank;      /* of the map beside attention; 0: there is none */
    bool unscaled_correction;  /* what AltUp corrects is not scaled for the layer's embedding */
    uint32_t context_length;
    uint32_t rope_limit; /* positions from here on would need other rotations; 0: none do */
    float rms_norm_eps;
    float scales[SCALES]; /* see scale_default */
    struct rope_hparams ropes[HPARAMS_MAX_ROPES];
    uint32_t n_ropes;
    uint32_t sliding_window; /* tokens attended to, the current one included; 0 if unknown */
    uint32_t forward_passes, backward_passes;
    bool force_nodiag, use_sequential, tie_embeddings;
    bool attention_bias, mlp_bias; /* config.json promises their tensors */
    bool has_other_parts;          /* as for images: names of tensors say what belongs to which */
    struct text plan;              /* length 0: standard */
    struct text name;
};

/* A scale that changes nothing: 1, or 0 for SCALE_ATTENTION and SCALE_SOFTCAP. */
float scale_default(enum scale scale);

/* The key of a scale in config.json, or in GGUF metadata behind "<architecture>.". */
const char *scale_key(enum scale scale, enum checkpoint_kind kind);

/*
 * Reads and checks the hyperparameters. Texts point into the checkpoint's arena. Unknown keys get
 * remarks.
 */
CHECKED lckv_status hparams_read(struct checkpoint *checkpoint, struct hparams *hparams,
                                 const struct remarks *remarks);

/*
 * Where rotations depend on the length of the text, chooses those for texts of up to
 * `rope_context` tokens, and at least as many as need no scaling. Keys in a cache are not rotated
 * again, so this cannot change while a text grows.
 */
void hparams_choose_context(struct hparams *hparams, uint32_t rope_context,
                            const struct remarks *remarks);

/*
 * A layer must have as many KV heads, of as many elements, as the layer whose keys and values the
 * plan gives it: else LCKV_BAD_PLAN.
 */
CHECKED lckv_status hparams_check_plan(const struct hparams *hparams, const struct lckv_plan *plan);

/* Writes the general.*, <architecture>.* and lckv.* keys that describe the hyperparameters. */
CHECKED lckv_status hparams_to_metadata(const struct hparams *hparams, const struct lckv_plan *plan,
                                        struct metadata *metadata);

/* The scaled rotation frequencies, in radians per position for each pair, [n_rotated / 2]. */
void hparams_frequencies(const struct rope_hparams *rope, double *frequencies);

/* What rotated elements are multiplied by. */
double hparams_magnitude(const struct rope_hparams *rope);

#endif
