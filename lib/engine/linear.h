/*
 * The steps of a layer that multiply by weights. A worker claims columns of the result, which are
 * rows of the weights. The rows that it multiplies are prepared once, in the forms that the kernels
 * read: after a norm if there is one, and in 8 bits or bfloat16.
 */
#ifndef LCKV_ENGINE_LINEAR_H
#define LCKV_ENGINE_LINEAR_H

#include "engine/task.h"

#define LINEAR_MAX_PRODUCTS 3 /* in one step: q, k and v */

/* What a step multiplies by its weights. */
struct source {
    const struct buffer *buffer;
    const float *norm;            /* the weight of the RMS norm that comes first; NULL: no norm */
    const struct input *prepared; /* the other forms of the rows, if an earlier step made them */
};

/* out = linear(source) */
struct product {
    const struct linear *linear;
    const struct buffer *out;
};

/* Computes all products of one source in one step. */
void linear(struct task *task, struct source source, const struct product *products,
            size_t n_products);

/* out = f(linear(source)) * factors, with the function of `gated` */
void linear_gate(struct task *task, struct source source, const struct product *product,
                 const struct buffer *factors);

/*
 * hidden += linear(source): adds a result of the layer to the residual stream, after the norm and
 * the scale that the recipe may have for it; then Laurel's result, if there is one.
 */
void add_back(struct task *task, struct source source, const struct linear *weights);

/*
 * gate = f(gate(source)) * up(source), in the workspace's `gate`; f is silu, or what the recipe has
 * instead. The other forms of the result are prepared for `down` in `activated`. The recipe may
 * make the gates sparse before f.
 */
void gated(struct task *task, struct source source, const struct model_layer *weights);

/* Computes the logits of a part of the vocabulary and writes them to where the rows want them. */
void logits(struct task *task, struct source source, const struct output_part *part);

/* The bytes of a matrix that a worker reads first when it claims its rows, at most `most`. */
struct weights_bytes {
    const uint8_t *at;
    size_t n;
};
struct weights_bytes linear_first_weights(const struct task *task, const struct matrix *matrix,
                                          size_t most);

#endif
