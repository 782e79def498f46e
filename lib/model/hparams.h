/*
 * Hyperparameters: what the checkpoint says of the model's shape, from GGUF metadata or
 * config.json.
 */
#ifndef LCKV_MODEL_HPARAMS_H
#define LCKV_MODEL_HPARAMS_H

#include "base/checked.h"
#include "base/remark.h"
#include "format/checkpoint.h"
#include "plan/plan.h"

/* Limits on untrusted shapes; far above any model that exists. */
#define HPARAMS_MAX_HIDDEN (1u << 16)
#define HPARAMS_MAX_INTERMEDIATE (1u << 18)
#define HPARAMS_MAX_HEADS 4096
#define HPARAMS_MAX_HEAD_DIM 512
#define HPARAMS_MAX_VOCAB (1u << 22)

/*
 * How far a layer may be wider inside, in its queries or its feed-forward part, than between the
 * layers: real models go to 16 times. What a pass needs for a token grows with the former, what the
 * file holds with the product, so without this limit a small file asks for gigabytes. Widths up to
 * the second number are fine in any case.
 */
#define HPARAMS_MAX_WIDENING 64
#define HPARAMS_ANY_WIDTH 1024

/* Passes of the model's own iterated encoding, which the published models make 7 + 2 times. */
#define HPARAMS_MAX_PASSES 64

enum rope_scaling { ROPE_SCALING_NONE, ROPE_SCALING_LINEAR, ROPE_SCALING_LLAMA3 };

struct hparams {
    const struct architecture *architecture;
    uint32_t n_layers, n_vocab, hidden_size, intermediate_size;
    uint32_t n_heads, n_kv_heads, head_dim;
    uint32_t context_length;
    float rms_norm_eps;
    double rope_theta;
    enum rope_scaling rope_scaling;
    double rope_factor;                                 /* linear and llama3 */
    double rope_low_freq_factor, rope_high_freq_factor; /* llama3 */
    double rope_original_context;                       /* llama3 */
    const float *rope_factors; /* [head_dim / 2] divisors of the frequencies, or NULL */
    uint32_t sliding_window;   /* tokens attended, the current one included; 0 if unknown */
    uint32_t forward_passes, backward_passes;
    bool force_nodiag, use_sequential, tie_embeddings;
    bool attention_bias, mlp_bias; /* config.json promises their tensors */
    struct text plan;              /* length 0: standard */
    struct text name;
};

/*
 * Reads and checks them. Texts point into the checkpoint's arena. Keys that are not known get
 * remarks.
 */
CHECKED lckv_status hparams_read(struct checkpoint *checkpoint, struct hparams *hparams,
                                 const struct remarks *remarks);

/* Writes the general.*, <architecture>.* and lckv.* keys that describe them. */
CHECKED lckv_status hparams_to_metadata(const struct hparams *hparams, const struct lckv_plan *plan,
                                        struct metadata *metadata);

/* The rotation frequencies, scaling applied: radians per position for each pair, [head_dim / 2]. */
void hparams_frequencies(const struct hparams *hparams, double *frequencies);

#endif
