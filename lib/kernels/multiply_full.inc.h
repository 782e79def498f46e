/*
 * Template: products in full precision, for a set's vectors (LANES = group rows).
 *
 * A lane is an output row. Each output adds its columns in ascending order into one accumulator, so
 * its bits do not depend on how many rows or groups share a tile. A block of 32 columns is turned
 * into floats once for a tile of activation rows; where few rows are there, more groups stand side
 * by side, so that independent sums hide the latency of the multiply-add.
 */
#include "kernels/activations.h"

INLINE void full_tile(lckv_dtype dtype, const struct matrix *matrix, const struct activations *x,
                      size_t first_group, size_t n_groups, size_t first_row, size_t n_rows,
                      float *out, size_t stride)
{
    float buffer[FULL_MAX_GROUPS][32 * LANES] __attribute__((aligned(64)));
    struct group groups[FULL_MAX_GROUPS];
    vf sums[FULL_MAX_GROUPS][FULL_ROWS];
    UNROLL for (size_t g = 0; g < n_groups; g++)
    {
        groups[g] = group_at(matrix, first_group + g);
        UNROLL for (size_t m = 0; m < n_rows; m++) sums[g][m] = v_set(0);
    }
    for (size_t c = 0; c < matrix->n_columns; c += 32) {
        size_t n = matrix->n_columns - c < 32 ? matrix->n_columns - c : 32;
        const float *w[FULL_MAX_GROUPS];
        UNROLL for (size_t g = 0; g < n_groups; g++) w[g] =
            n == 32 ? unpack_block(dtype, &groups[g], c / 32, buffer[g])
                    : unpack_rest(dtype, &groups[g], c / 32, n, buffer[g]);
        const float *values = x->values + first_row * x->stride + c;
        for (size_t k = 0; k < n; k++) {
            vf weights[FULL_MAX_GROUPS];
            UNROLL for (size_t g = 0; g < n_groups; g++) weights[g] = v_load(w[g] + k * LANES);
            UNROLL for (size_t m = 0; m < n_rows; m++)
            {
                vf value = v_set(values[m * x->stride + k]);
                UNROLL for (size_t g = 0; g < n_groups; g++) sums[g][m] =
                    v_fma(weights[g], value, sums[g][m]);
            }
        }
    }
    UNROLL for (size_t g = 0; g < n_groups; g++)
    {
        UNROLL for (size_t m = 0; m < n_rows; m++)
            v_store(out + (first_row + m) * stride + g * LANES, sums[g][m]);
    }
}

/* All rows for `n_groups` (a constant) groups from `g` on. */
INLINE void full_groups(lckv_dtype dtype, const struct matrix *matrix, const struct activations *x,
                        size_t g, size_t n_groups, float *out, size_t stride)
{
    size_t m = 0;
    for (; m + FULL_ROWS <= x->n_rows; m += FULL_ROWS)
        full_tile(dtype, matrix, x, g, n_groups, m, FULL_ROWS, out, stride);
    if (FULL_ROWS > 4 && m + 4 <= x->n_rows) {
        full_tile(dtype, matrix, x, g, n_groups, m, 4, out, stride);
        m += 4;
    }
    if (m + 2 <= x->n_rows) {
        full_tile(dtype, matrix, x, g, n_groups, m, 2, out, stride);
        m += 2;
    }
    if (m < x->n_rows)
        full_tile(dtype, matrix, x, g, n_groups, m, 1, out, stride);
}

INLINE void full_multiply(lckv_dtype dtype, const struct matrix *matrix,
                          const struct activations *x, size_t begin, size_t end, float *out,
                          size_t stride)
{
    size_t g = begin;
    for (; x->n_rows == 1 && g + FULL_MAX_GROUPS <= end; g += FULL_MAX_GROUPS)
        full_tile(dtype, matrix, x, g, FULL_MAX_GROUPS, 0, 1, out + (g - begin) * LANES, stride);
    for (; g + FULL_GROUPS <= end; g += FULL_GROUPS)
        full_groups(dtype, matrix, x, g, FULL_GROUPS, out + (g - begin) * LANES, stride);
    for (; g < end; g++)
        full_groups(dtype, matrix, x, g, 1, out + (g - begin) * LANES, stride);
}

#define DEFINE_FULL(name, dtype)                                                               \
    static void full_multiply_##name(const struct matrix *matrix, const struct activations *x, \
                                     size_t begin, size_t end, float *out, size_t stride)      \
    {                                                                                          \
        full_multiply(dtype, matrix, x, begin, end, out, stride);                              \
    }

DEFINE_FULL(f32, LCKV_DTYPE_F32)
DEFINE_FULL(f16, LCKV_DTYPE_F16)
DEFINE_FULL(bf16, LCKV_DTYPE_BF16)
DEFINE_FULL(q8_0, LCKV_DTYPE_Q8_0)
DEFINE_FULL(q4_0, LCKV_DTYPE_Q4_0)
DEFINE_FULL(q4_1, LCKV_DTYPE_Q4_1)
DEFINE_FULL(q4_k, LCKV_DTYPE_Q4_K)
DEFINE_FULL(q5_k, LCKV_DTYPE_Q5_K)
DEFINE_FULL(q6_k, LCKV_DTYPE_Q6_K)
