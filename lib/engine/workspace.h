/*
 * The workspace: the activations of one pass, in the scratch of the cache. Its size follows from
 * max_rows and max_logit_rows. It is laid out once, when the cache is created.
 */
#ifndef LCKV_ENGINE_WORKSPACE_H
#define LCKV_ENGINE_WORKSPACE_H

#include "base/checked.h"
#include "cache/session.h"

#define FEW_ROWS 4 /* up to so many, each worker prepares the rows itself: a step costs more */
#define MOST_PARTIALS 128 /* segments of all rows whose attention threads share */
#define LOGIT_COLUMNS 128 /* logits of a row that a worker computes before it copies them out */

/* A token on its way through the layers. */
struct row {
    struct lckv_session *session;
    uint64_t position;
    lckv_token token;
    uint32_t want; /* LCKV_WANT_LAST for logits, LCKV_WANT_HIDDEN */
    float *logits; /* where its logits go, [n_vocab]; NULL: nowhere */
    float *hidden; /* where its hidden state goes, [hidden_size]; NULL: nowhere */
    uint32_t kept; /* where its activations are kept between two stages: a row of `kept` */
    bool enters;   /* it has not been in a pass of this cyclic stage yet */
};

/*
 * What is taken of a worker's share of a step, on a cache line of its own. The low 16 bits count
 * pieces from the front, the next 16 pieces from the back; the high 32 bits are the step's number,
 * which is 1 for the first step of a pass.
 */
struct claims {
    _Alignas(MEMORY_ALIGN) _Atomic uint64_t taken;
};

/* The pieces of the present step that are done, on a cache line of its own. */
struct step_count {
    _Alignas(MEMORY_ALIGN) _Atomic uint32_t done;
};

/* Consecutive rows of one session whose queries are attended together. */
struct slice {
    uint32_t first, count;
};

/* Rows of floats, [max_rows, stride]. */
struct buffer {
    float *values;
    size_t stride;
};

/* Room for the input of products: the rows as floats, after a norm, and in their other forms. */
struct input {
    struct buffer x;
    uint8_t *int8, *bf16; /* panels for the widest input; NULL if the model needs none */
};

/* The cosines and sines of the pairs of all ropes of a model, one behind the other. */
struct rotation {
    float *cosines, *sines;
};

struct workspace {
    struct row *rows, *wanted_rows;       /* [max_rows] */
    struct slice *slices, *wanted_slices; /* [max_rows] */
    struct claims *claims;                /* of each thread */
    struct step_count *step;
    struct buffer hidden;       /* the residual stream, [max_rows] */
    size_t stream_stride;       /* from it to side streams in the same row (altup.h) */
    struct buffer kept;         /* it, and `inputs`, between two stages */
    struct movement *movements; /* [max_rows, n_movements]: movement.h */
    size_t n_movements;
    struct input shared;             /* [max_rows] */
    struct input *own;               /* of each thread, [FEW_ROWS] */
    struct buffer q, k, v, attended; /* [max_rows] */
    struct buffer delta, gate, up;
    struct buffer inputs;      /* the embeddings of all layers, if they have some of their own */
    struct buffer input_gate;  /* what of them a layer brings in */
    struct buffer laurel;      /* what is left in the low rank, if there is Laurel */
    float *input_row;          /* of each thread: a row of their table, [inputs.stride] */
    struct input activated;    /* other forms of `gate`; it has no floats of its own */
    struct rotation rotations; /* [max_rows] */
    size_t n_pairs;            /* of a row of them */
    /*
     * The rotation of queries that attend to sinks, and the partials that this gives, of each
     * thread, [KV_MAX_QUERIES, attend_partial_floats]; NULL without a context window
     */
    struct rotation sink_rotation;
    float *sink_partials;
    size_t sink_floats;
    float *logits;        /* [CACHE_LOGIT_SETS * max_logit_rows, n_vocab] */
    float *logit_scratch; /* of each thread, [max_rows, LOGIT_COLUMNS] */
    size_t logit_floats;
    float *attend_scratch; /* of each thread */
    size_t attend_floats;
    float *rotated; /* queries of each thread, [KV_MAX_QUERIES, head_dim] */
    size_t rotated_floats;
    float *partials; /* [MOST_PARTIALS, n_heads, attend_partial_floats]; NULL if alone */
    _Atomic uint32_t *partials_done; /* of a slice, [FEW_ROWS, n_kv_heads]; 0 between layers */
    float *blas_scratch;             /* of each thread; NULL without OpenBLAS */
    size_t blas_floats;
};

/*
 * The bytes of scratch that a cache with these options, which cache_resolve has completed, needs
 * for its workspace. LCKV_OUT_OF_MEMORY if they overflow.
 */
CHECKED lckv_status workspace_measure(const struct lckv_model *model,
                                      const lckv_cache_options *options, uint32_t n_threads,
                                      size_t *n_bytes);

/* Lays the workspace out in the scratch of a new cache, once. */
void workspace_place(struct lckv_cache *cache);

/*
 * Computes by what heads are rotated for a position. Angles are computed in double: in float they
 * would be far off at long contexts.
 */
void rotation_compute(const struct lckv_model *model, uint64_t position, struct rotation rotation);

/* The rotation of row m. */
static inline struct rotation workspace_rotation(const struct workspace *w, size_t m)
{
    return (struct rotation){w->rotations.cosines + m * w->n_pairs,
                             w->rotations.sines + m * w->n_pairs};
}

/* The workspace stands at the front of the scratch. */
static inline struct workspace *workspace_of(const struct lckv_cache *cache)
{
    return (struct workspace *)(void *)cache->scratch;
}

#endif
