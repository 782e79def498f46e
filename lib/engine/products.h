/*
 * What the steps share that multiply rows by weights: the forms of the rows that the kernels read,
 * the claims of columns, and the products. linear.h has the steps.
 */
#ifndef LCKV_ENGINE_PRODUCTS_H
#define LCKV_ENGINE_PRODUCTS_H

#include "engine/linear.h"

/* A step that computes products of one source. */
struct products {
    struct step step;
    struct source source;
    const struct input *input; /* where the forms of its rows lie */
    struct activations x;
    size_t n_columns; /* of the source's rows */
    bool prepared;
};

/* Columns are claimed in multiples of this. */
CHECKED size_t products_align(const struct task *task);

/* The source's rows for `n` matrices, in every form that one of them reads. */
struct activations products_input(const struct task *task, struct source source,
                                  const struct input *input, const struct matrix *const *matrices,
                                  size_t n);

/*
 * Begins a step that claims `count` columns of the products by `matrices`. Many rows are prepared
 * in a step of their own before it. A few rows are prepared by each worker for itself, when it has
 * claimed its first columns: that costs less than another step.
 */
struct products products_begin(struct task *task, struct source source,
                               const struct matrix *const *matrices, size_t n_matrices,
                               size_t count, size_t align, size_t most);

CHECKED bool products_claim(struct products *products, struct range *columns);

/* Multiplies all rows of x by weight rows [begin, end), as a multiply_function does. */
void products_multiply(const struct task *task, const struct matrix *matrix,
                       const struct activations *x, size_t begin, size_t end, float *out,
                       size_t stride);

/* Computes columns of linear(x), with the bias, into `out`. */
void products_columns(const struct task *task, const struct linear *linear,
                      const struct activations *x, struct range columns, const struct buffer *out);

#endif
