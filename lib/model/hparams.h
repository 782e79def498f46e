/*
 * Hyperparameters: what the checkpoint says about the model's shape, in GGUF metadata or
 * config.json.
 */
#ifndef LCKV_MODEL_HPARAMS_H
#define LCKV_MODEL_HPARAMS_H

#include "base/checked.h"
#include "base/remark.h"
#include "format/checkpoint.h"
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
    uint32_t sliding_window;   /* tokens attended to, the current one included; 0 if unknown */
    uint32_t forward_passes, backward_passes;
    bool force_nodiag, use_sequential, tie_embeddings;
    bool attention_bias, mlp_bias; /* config.json promises their tensors */
    struct text plan;              /* length 0: standard */
    struct text name;
};

/*
 * Reads and checks the hyperparameters. Texts point into the checkpoint's arena. Unknown keys get
 * remarks.
 */
CHECKED lckv_status hparams_read(struct checkpoint *checkpoint, struct hparams *hparams,
                                 const struct remarks *remarks);

/* Writes the general.*, <architecture>.* and lckv.* keys that describe the hyperparameters. */
CHECKED lckv_status hparams_to_metadata(const struct hparams *hparams, const struct lckv_plan *plan,
                                        struct metadata *metadata);

/* The scaled rotation frequencies, in radians per position for each pair, [head_dim / 2]. */
void hparams_frequencies(const struct hparams *hparams, double *frequencies);

#endif
