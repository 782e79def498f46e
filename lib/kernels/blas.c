/*
 * Products through OpenBLAS. See blas.h.
 */
#include "kernels/blas.h"

#ifdef LCKV_HAVE_OPENBLAS
#include <cblas.h>
#include <pthread.h>

/*
 * Debian's serial build shares its scratch between calls without a lock: two calls at once give
 * wrong sums (we saw errors above 1). So rows are unpacked in parallel, but the products take
 * turns.
 */
static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;

bool blas_available(void)
{
    return true;
}

void blas_multiply(const struct matrix *matrix, const struct activations *x, size_t begin,
                   size_t end, float *out, size_t stride, float *scratch)
{
    size_t columns = matrix->n_columns;
    for (size_t row = begin, n; row < end; row += n) {
        n = end - row < BLAS_ROWS ? end - row : BLAS_ROWS;
        for (size_t i = 0; i < n; i++)
            matrix_unpack_row(matrix, (uint32_t)(row + i), scratch + i * columns);
        pthread_mutex_lock(&one_at_a_time);
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (blasint)x->n_rows, (blasint)n,
                    (blasint)columns, 1.0f, x->values, (blasint)x->stride, scratch,
                    (blasint)columns, 0.0f, out + (row - begin), (blasint)stride);
        pthread_mutex_unlock(&one_at_a_time);
    }
}
#else
bool blas_available(void)
{
    return false;
}

void blas_multiply(const struct matrix *matrix, const struct activations *x, size_t begin,
                   size_t end, float *out, size_t stride, float *scratch)
{
    (void)matrix, (void)x, (void)begin, (void)end, (void)out, (void)stride;
    (void)scratch;
}
#endif
