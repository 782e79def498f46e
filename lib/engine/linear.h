/*
 * Linear layers over the rows of a pass. Workers claim weight rows; the activations are prepared
 * once, in the forms that the products read.
 */
#ifndef LCKV_ENGINE_LINEAR_H
#define LCKV_ENGINE_LINEAR_H

#include "engine/task.h"

/* out = x matrix^T + bias; `bias` [n_rows of the matrix] or NULL. */
struct product {
    const struct matrix *matrix;
    const float *bias;
    const struct block *out;
};

/*
 * The input of products: the pass's rows of `block`, with room in `stream` for the forms they read.
 */
struct activations linear_input(const struct pass *pass, const struct block *block,
                                const struct stream *stream, const struct product *products,
                                size_t n_products);

/* Makes those forms for some rows. */
void linear_prepare(const struct pass *pass, const struct activations *x, struct range rows);

/* What a worker reads first in a step that is this product: at most `most` bytes of weights. */
struct weights_bytes {
    const uint8_t *at;
    size_t n;
};
struct weights_bytes linear_first_weights(const struct task *task, const struct matrix *matrix,
                                          size_t most);

/* All products of one input, in one step. */
void linear(struct task *task, const struct activations *x, const struct product *products,
            size_t n_products);

/*
 * silu(gate) * up into gate's block, in the forms that `activated` has room for too; one step.
 */
void linear_swiglu(struct task *task, const struct activations *x, const struct product *gate,
                   const struct product *up, const struct activations *activated);

/* Weight rows [begin, end) times all rows of x, as a multiply_function. */
void linear_rows(const struct task *task, const struct matrix *matrix, const struct activations *x,
                 size_t begin, size_t end, float *out, size_t stride);

#endif
