/*
 * Template: products of bfloat16 weights and activations with vdpbf16ps, which multiplies pairs of
 * columns and adds both products to a float32 sum. An output adds its pairs in ascending order.
 */
#include "kernels/activations.h"

/* `n_rows` and `n_groups` are constants. A pair of activations is broadcast from the panel. */
INLINE void bf16_tile(const struct matrix *matrix, size_t first_group, size_t n_groups,
                      const uint8_t *panel, size_t height, size_t first_row, size_t n_rows,
                      float *out, size_t stride)
{
    vf sums[FULL_MAX_GROUPS][PANEL_ROWS];
    struct group groups[FULL_MAX_GROUPS];
    size_t n_pairs = (matrix->n_columns + 1) / 2;
    UNROLL for (size_t g = 0; g < n_groups; g++)
    {
        groups[g] = group_at(matrix, first_group + g);
        UNROLL for (size_t m = 0; m < n_rows; m++) sums[g][m] = v_set(0);
    }
    for (size_t p = 0; p < n_pairs; p++) {
        const uint8_t *x = panel + p / 16 * BF16_BLOCK_BYTES * height + p % 16 * 4;
        vb weights[FULL_MAX_GROUPS];
        UNROLL for (size_t g = 0; g < n_groups; g++)
        {
            __builtin_prefetch(groups[g].body + 64 * p + 2048);
            weights[g] = vb_load(groups[g].body + 64 * p);
        }
        UNROLL for (size_t m = 0; m < n_rows; m++)
        {
            int32_t pair;
            memcpy(&pair, x + (first_row + m) * BF16_BLOCK_BYTES, 4);
            __m512bh both = (__m512bh)_mm512_set1_epi32(pair);
            UNROLL for (size_t g = 0; g < n_groups; g++) sums[g][m] =
                _mm512_dpbf16_ps(sums[g][m], (__m512bh)weights[g], both);
        }
    }
    UNROLL for (size_t g = 0; g < n_groups; g++)
    {
        UNROLL for (size_t m = 0; m < n_rows; m++)
            v_store(out + (first_row + m) * stride + g * LANES, sums[g][m]);
    }
}

INLINE void bf16_groups(const struct matrix *matrix, const struct activations *x, size_t group,
                        size_t n_groups, float *out, size_t stride)
{
    for (size_t first = 0; first < x->n_rows; first += PANEL_ROWS) {
        struct panel_row at = panel_row(x->bf16, BF16_BLOCK_BYTES, x->stride, x->n_rows, first);
        float *to = out + first * stride;
        size_t m = 0;
        if (at.height == 8) {
            bf16_tile(matrix, group, n_groups, at.panel, 8, 0, 8, to, stride);
            continue;
        }
        if (m + 4 <= at.height) {
            bf16_tile(matrix, group, n_groups, at.panel, at.height, m, 4, to, stride);
            m += 4;
        }
        if (m + 2 <= at.height) {
            bf16_tile(matrix, group, n_groups, at.panel, at.height, m, 2, to, stride);
            m += 2;
        }
        if (m < at.height)
            bf16_tile(matrix, group, n_groups, at.panel, at.height, m, 1, to, stride);
    }
}

static void fast_multiply_bf16(const struct matrix *matrix, const struct activations *x,
                               size_t begin, size_t end, float *out, size_t stride)
{
    size_t g = begin;
    for (; g + FULL_GROUPS <= end; g += FULL_GROUPS)
        bf16_groups(matrix, x, g, FULL_GROUPS, out + (g - begin) * LANES, stride);
    for (; g < end; g++)
        bf16_groups(matrix, x, g, 1, out + (g - begin) * LANES, stride);
}

/* One row of `n` float32 into its panel. */
static void round_bf16(const float *values, size_t n, struct panel_row to)
{
    uint8_t *at = to.panel + to.row * BF16_BLOCK_BYTES;
    for (size_t c = 0; c < n; c += 32, at += to.height * BF16_BLOCK_BYTES) {
        _mm256_storeu_si256((__m256i *)(void *)at, v_to_bf16(v_load(values + c)));
        _mm256_storeu_si256((__m256i *)(void *)(at + 32), v_to_bf16(v_load(values + c + 16)));
    }
}
