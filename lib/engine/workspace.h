/*
 * The workspace: the activations of one pass, carved out of the cache's scratch. Sized once, when
 * the cache is created, by max_rows and max_logit_rows.
 */
#ifndef LCKV_ENGINE_WORKSPACE_H
#define LCKV_ENGINE_WORKSPACE_H

#include "cache/cache.h"

#define LOGIT_TILE 16 /* rows whose logits are computed before they are copied out */

/* A token on its way through the layers. */
struct row {
    struct lckv_session *session;
    uint64_t position;
    lckv_token token;
    uint32_t want; /* LCKV_WANT_LAST for logits, LCKV_WANT_HIDDEN */
    float *logits; /* where they go, [n_vocab] */
    float *hidden; /* where it goes, [hidden_size] */
};

/* Consecutive rows of one session whose queries are attended together. */
struct run {
    uint32_t first, count;
};

/* A block of rows, [max_rows, stride] floats. */
struct block {
    float *values;
    size_t stride;
};

struct workspace {
    struct row *rows;
    struct run *runs;
    struct block hidden, saved; /* the residual stream, and what a cyclic group began with */
    struct block x;             /* normed input of the products */
    struct block q, k, v, attended, delta, gate, up;
    float *cosines, *sines;   /* [max_rows, head_dim / 2] */
    struct activations input; /* quantised input of the products, whichever it is */
    int8_t *quants;
    float *scales;
    int32_t *sums;
    struct block logit_tile; /* [LOGIT_TILE, n_vocab padded] */
    float *logits;           /* [max_logit_rows, n_vocab]: what the cache hands out */
    float *attend_scratch;   /* one for each thread */
    size_t attend_floats;
    float *blas_scratch; /* one for each thread; NULL without OpenBLAS */
    size_t blas_floats;
};

/*
 * Lays the workspace out in `memory`; NULL only measures. `*n_bytes` gets the size.
 * LCKV_OUT_OF_MEMORY if it overflows.
 */
lckv_status workspace_init(struct workspace *workspace, const struct lckv_model *model,
                           uint32_t max_rows, uint32_t max_logit_rows, uint32_t n_threads,
                           uint8_t *memory, size_t *n_bytes);

#endif
