/*
 * Opens the weights of a model that is to be streamed: which bytes of a packed file are the
 * portions (portion_order.h), and how many of them the ring has places for. Norms and biases are
 * read when the model is opened; of the embedding only the rows that a pass needs.
 */
#ifndef LCKV_MODEL_STREAMING_H
#define LCKV_MODEL_STREAMING_H

#include "base/checked.h"
#include "model/model.h"
#include "model/roles.h"

/* A matrix of a layer, and where it lies in the file. */
struct streamed_matrix {
    struct matrix *matrix;
    uint32_t layer;
    uint64_t offset;
};

struct streaming {
    struct lckv_model *model;
    struct streamed_matrix *matrices; /* [n] in the model's arena */
    size_t n;
    const struct tensor *embedding, *output; /* `output` is NULL if it is the embedding */
};

CHECKED lckv_status streaming_begin(struct streaming *streaming, struct lckv_model *model);

/*
 * Takes a matrix of the model. LCKV_UNSUPPORTED, with the command that helps, if the file does not
 * hold it as the kernels read it.
 */
CHECKED lckv_status streaming_add(struct streaming *streaming, enum weight weight, uint32_t layer,
                                  const struct tensor *tensor, struct matrix *matrix);

/*
 * Makes the ring, of at most `ring_bytes` (0: the default). Afterwards the data of the layers'
 * matrices and of the parts of the output matrix are where they lie when their portion has the
 * first place of the ring.
 */
CHECKED lckv_status streaming_end(struct streaming *streaming, uint64_t ring_bytes);

/*
 * Reads row `token` of the embedding between weight_ring_begin and weight_ring_end. False as from
 * weight_ring_read.
 */
CHECKED bool streaming_embed(const struct lckv_model *model, lckv_token token,
                             const _Atomic int *cancelled, float *values);

#endif
