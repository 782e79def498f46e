/*
 * Products of packed weights with many rows through OpenBLAS's float GEMM, on CPUs without kernels
 * of ours. Its sums depend on the shape of the call, so it never serves precision full or decoding.
 */
#ifndef LCKV_KERNELS_BLAS_H
#define LCKV_KERNELS_BLAS_H

#include "base/checked.h"
#include "kernels/activations.h"
#include "kernels/matrix.h"

#define BLAS_MIN_ROWS 32 /* activation rows from which it pays to unpack the weights */
#define BLAS_ROWS 64     /* weight rows that are unpacked at a time */

/* Whether this build has OpenBLAS. */
CHECKED bool blas_available(void);

/*
 * Does what a multiply_function does, but may begin and end anywhere. `scratch` holds BLAS_ROWS x
 * n_columns floats.
 */
void blas_multiply(const struct matrix *matrix, const struct activations *x, size_t begin,
                   size_t end, float *out, size_t stride, float *scratch);

#endif
