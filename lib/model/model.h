/*
 * A model: hyperparameters, plan, tokenizer, and the weights packed for a kernel set. Once it is
 * open it does not change, but for the ring that streams weights. References to it are counted.
 */
#ifndef LCKV_MODEL_MODEL_H
#define LCKV_MODEL_MODEL_H

#include "base/checked.h"
#include "base/failure.h"
#include "kernels/kernels.h"
#include "model/hparams.h"
#include "model/input_table.h"
#include "model/weight_ring.h"
#include "text/tokenizer.h"

struct laurel;

/* y = norm(matrix x + bias) */
struct linear {
    struct matrix matrix;
    const float *bias; /* [matrix.n_rows]; NULL where there is none */
    /*
     * The weight of an RMS norm: of each head of q, k and v, [head_dim], or of all that o and down
     * add to the hidden state, [hidden_size]. NULL where there is none.
     */
    const float *norm;
    /* Of o, where the model has side streams: its result is added together with Laurel's. */
    const struct laurel *laurel;
};

/* How AltUp mixes the residual streams around a layer; docs/semantics.md, section 2. */
struct altup {
    const float *router;      /* [ALTUP_STREAMS, hidden_size] */
    const float *router_norm; /* [hidden_size] */
    const float *predict;     /* [ALTUP_STREAMS, ALTUP_STREAMS, ALTUP_STREAMS] */
    const float *correct;     /* [ALTUP_STREAMS, ALTUP_STREAMS] */
    const float *scale;       /* [hidden_size] */
};

/* A map of low rank, right left x, that stands beside attention. */
struct laurel {
    const float *input_norm; /* that of the layer's attention */
    struct linear left, right;
};

/* A way of rotating heads: elements d and d + n_pairs are a pair, the elements behind stay. */
struct rope {
    uint32_t n_pairs;
    uint32_t first; /* where its pairs begin in a row of rotations, which has those of all ropes */
    const double *frequencies; /* [n_pairs] radians per position */
    double magnitude;          /* the elements of pairs are multiplied by it */
};

struct model_layer {
    const struct plan_layer *plan;
    const struct layer_hparams *shape;
    const struct rope *rope;
    const float *attention_norm; /* [hidden_size] */
    const float *mlp_norm;
    struct linear q, k, v, o; /* k and v only if the layer computes them */
    struct linear gate, up, down;
    struct linear input_gate, input_out; /* [layer_input_size, hidden_size] and its transpose; only
                                            if layers have embeddings of their own */
    const float *scale; /* [1] multiplies the hidden state behind the layer; NULL: nothing does */
    struct altup altup; /* only with side streams, as well as: */
    struct laurel laurel;
};

/* Rows of the output matrix, from `first_row` on; of a model that is not streamed, all of them. */
struct output_part {
    struct matrix matrix;
    uint32_t first_row;
};

/* lckv_model of the public header */
struct lckv_model {
    _Atomic uint32_t references;
    lckv_allocator allocator;
    struct arena arena; /* texts, norms, biases */
    struct hparams hparams;
    struct lckv_plan *plan;
    struct tokenizer *tokenizer;    /* NULL if there is none */
    const char *no_tokenizer;       /* why, if there is none */
    struct special_ids special_ids; /* with or without a tokenizer */
    /*
     * Its descriptors are closed; texts and a mapping stay. Its metadata is that of the GGUF file,
     * or the members of config.json as texts.
     */
    struct checkpoint checkpoint;
    bool opened;          /* whether the checkpoint is open */
    bool without_weights; /* by LCKV_WEIGHTS_NONE: matrices and vectors have no data */
    const char *problem;  /* then, why it could not be opened with them, or NULL. If
                             hparams.architecture is NULL, only the shape of keys and values is
                             known, or if `plan` is NULL, nothing: the rest of hparams is 0 */
    const struct kernels *kernels;
    lckv_precision precision; /* full or fast, resolved */
    bool use_openblas;        /* for prompt chunks in fast precision */
    struct rope ropes[HPARAMS_MAX_ROPES];
    uint32_t n_pairs; /* of all ropes */
    uint8_t *memory;  /* holds all matrices that are neither mapped nor streamed */
    size_t memory_bytes;
    struct matrix token_embedding;
    struct output_part *outputs; /* the same data as token_embedding if tied */
    uint32_t n_outputs;
    const float *output_norm;
    /*
     * The embeddings that layers have for themselves: a row of the table for the token, and what
     * this makes of the embedding that all layers share, [n_layers * layer_input_size,
     * hidden_size]. Its norm is that of one layer's part, [layer_input_size].
     */
    struct input_table input_table;
    struct linear input_mix;
    /* What side streams begin with, and what goes into the result; [hidden_size, hidden_size] */
    struct linear stream_in[ALTUP_SIDE_STREAMS], stream_out[ALTUP_SIDE_STREAMS];
    struct model_layer *layers;
    struct weight_ring *ring; /* NULL: the weights are not streamed. Else the data of layers and
                                  outputs are where they are when the first place has them
                                  (model/streaming.h) */
    /* If they are streamed, the embedding stays in the file; token_embedding has no data. */
    uint64_t embedding_offset;
    struct matrix embedding_strip; /* one strip of it, without data */
    bool is_mapped;                /* weights lie in the file, which stays mapped */
    bool is_repacked;              /* the file was packed, but for another layout */
    uint64_t n_parameters, weight_bytes;
    uint64_t vector_bytes; /* of weight_bytes: norms and biases */
    const char *weight_dtypes;
    struct failure *failure;      /* allocated apart, because it changes in a const model */
    _Atomic uint64_t fingerprint; /* 0 until model_fingerprint has computed it */
};

/* LCKV_UNSUPPORTED, with the reason, if weights are needed that have not been opened. */
CHECKED lckv_status model_check_weights(const struct lckv_model *model);

/*
 * Opens a model. `options` are of full size; zeros are defaults. Exactly one of path and bytes is
 * given.
 */
CHECKED lckv_status model_open(const char *path, const void *bytes, size_t length,
                               const lckv_model_options *options, struct lckv_model **model);

void model_retain(const struct lckv_model *model);
void model_release(const struct lckv_model *model);

/* 0 if the plan has no windowed layers: the window then means nothing, whatever the file says. */
uint32_t model_sliding_window(const struct lckv_model *model);

/* LCKV_UNSUPPORTED, with the reason, if the model has no tokenizer. */
CHECKED lckv_status model_check_tokenizer(const struct lckv_model *model);

/* Does what lckv_model_is_end_token says. */
CHECKED bool model_is_end_token(const struct lckv_model *model, lckv_token token);

#endif
