/*
 * Linear layers. See linear.h.
 */
#include "engine/linear.h"

#include "kernels/blas.h"

#include <string.h>

bool linear_quantizes(const struct pass *pass, const struct matrix *matrix)
{
    return pass->model->precision == LCKV_PRECISION_FAST && matrix->dtype != LCKV_DTYPE_DEFAULT &&
           kernels_quantizes(pass->model->kernels, matrix->dtype);
}

void linear_quantize(const struct pass *pass, const struct block *input, struct range rows)
{
    struct workspace *w = pass->workspace;
    size_t blocks = input->stride / ACTIVATION_BLOCK;
    for (size_t m = rows.begin; m < rows.end; m++)
        pass->model->kernels->quantize(input->values + m * input->stride, input->stride,
                                       w->quants + m * input->stride, w->scales + m * blocks,
                                       w->sums + m * blocks);
}

void linear_move_row(const struct pass *pass, const struct block *input, size_t from, size_t to)
{
    struct workspace *w = pass->workspace;
    size_t blocks = input->stride / ACTIVATION_BLOCK;
    if (w->quants == NULL)
        return;
    memcpy(w->quants + to * input->stride, w->quants + from * input->stride, input->stride);
    memcpy(w->scales + to * blocks, w->scales + from * blocks, blocks * sizeof *w->scales);
    memcpy(w->sums + to * blocks, w->sums + from * blocks, blocks * sizeof *w->sums);
}

void linear_rows(const struct worker *worker, const struct pass *pass, const struct matrix *matrix,
                 const struct block *input, size_t first, size_t n, struct block *out)
{
    struct workspace *w = pass->workspace;
    struct range share = pool_share(worker, matrix->n_groups);
    size_t blocks = input->stride / ACTIVATION_BLOCK;
    struct activations x = {.n_rows = n,
                            .n_columns = matrix->n_columns,
                            .values = input->values + first * input->stride,
                            .stride = input->stride};
    if (linear_quantizes(pass, matrix)) {
        x.quants = w->quants + first * input->stride;
        x.scales = w->scales + first * blocks;
        x.sums = w->sums + first * blocks;
    }
    if (pass->openblas && n >= BLAS_MIN_ROWS)
        blas_multiply(matrix, &x, share.begin, share.end, out->values, out->stride,
                      w->blas_scratch + worker->index * w->blas_floats);
    else
        kernels_multiply(pass->model->kernels, matrix->dtype,
                         pass->model->precision == LCKV_PRECISION_FAST)(
            matrix, &x, share.begin, share.end, out->values, out->stride);
}

void linear(const struct worker *worker, const struct pass *pass, const struct matrix *matrix,
            const struct block *input, struct block *out)
{
    linear_rows(worker, pass, matrix, input, 0, pass->n_rows, out);
}

void linear_bias(const struct pass *pass, struct block *block, const float *bias, size_t n,
                 struct range rows)
{
    if (bias == NULL)
        return;
    for (size_t m = rows.begin; m < rows.end; m++)
        pass->model->kernels->add(block->values + m * block->stride, bias, n);
}
