/*
 * The steps of a layer that multiply by weights. A worker claims columns of the result, which are
 * rows of the weights; the rows that it multiplies are prepared once, in the forms that the kernels
 * read: after a norm perhaps, and in 8 bits or bfloat16.
 */
#ifndef LCKV_ENGINE_LINEAR_H
#define LCKV_ENGINE_LINEAR_H

#include "engine/task.h"

#define LINEAR_MAX_PRODUCTS 3 /* of one step: q, k and v */

/* What a step multiplies: rows of floats, ... */
struct source {
    const struct buffer *buffer;
    const float *norm;            /* ... after the RMS norm with this weight; NULL: as they are */
    const struct input *prepared; /* their other forms, if an earlier step has made them */
};

/* out = linear(source) */
struct product {
    const struct linear *linear;
    const struct buffer *out;
};

/* All products of one source, side by side. */
void linear(struct task *task, struct source source, const struct product *products,
            size_t n_products);

/* hidden += linear(source): back to the width of the residual stream, and onto it. */
void add_back(struct task *task, struct source source, const struct linear *weights);

/*
 * gate = silu(gate(source)) * up(source), in the workspace's `gate`, with its other forms
 * prepared for `down` in `activated`.
 */
void swiglu(struct task *task, struct source source, const struct model_layer *weights);

/* Logits, to where the rows want them. */
void logits(struct task *task, struct source source, const struct linear *weights);

/* The bytes of a matrix that a worker reads first when it claims its rows, at most `most`. */
struct weights_bytes {
    const uint8_t *at;
    size_t n;
};
struct weights_bytes linear_first_weights(const struct task *task, const struct matrix *matrix,
                                          size_t most);

#endif
