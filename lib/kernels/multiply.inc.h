/*
 * Template: products of packed weights with activations, for a set's vectors (LANES = group rows).
 *
 * A lane is an output row. Each output adds its columns in ascending order into one accumulator, so
 * its bits do not depend on how many rows or groups share a tile. In full precision a block of 32
 * columns is turned into floats once for a tile of rows; in fast precision bytes are multiplied
 * with 8-bit activations and each block of 32 is scaled into the accumulator.
 */
#include "kernels/matrix.h"

#define TILE_ROWS 8 /* activation rows that share a block turned into floats */
#define TILE_GROUPS \
    4 /* weight groups side by side for a single row: independent sums hide latency */
#define INLINE static inline __attribute__((always_inline))

/* ---- A block of 32 columns as floats: out[column * LANES + lane] */

typedef void (*unpack_function)(const uint8_t *block, float *out);

INLINE void unpack_quad(vb quad, vf scale, vf offset, float *out)
{
    for (int i = 0; i < 4; i++)
        v_store(out + i * LANES, v_fma(v_from_byte(quad, i), scale, offset));
}

static void unpack_f16(const uint8_t *block, float *out)
{
    for (int c = 0; c < 32; c++)
        v_store(out + c * LANES, v_load_f16(block + c * 2 * LANES));
}

static void unpack_bf16(const uint8_t *block, float *out)
{
    for (int c = 0; c < 32; c++)
        v_store(out + c * LANES, v_from_bf16(vb_load(block + c / 2 * 4 * LANES), c % 2));
}

static void unpack_q8_0(const uint8_t *block, float *out)
{
    vf d = v_load_f16(block);
    for (int q = 0; q < 8; q++)
        unpack_quad(vb_load(block + 2 * LANES + q * 4 * LANES), d, v_set(0), out + q * 4 * LANES);
}

INLINE void unpack_nibbles(const uint8_t *quads, vf scale, vf offset, float *out)
{
    for (int q = 0; q < 4; q++) {
        vb both = vb_load(quads + q * 4 * LANES);
        unpack_quad(vb_low_nibbles(both), scale, offset, out + q * 4 * LANES);
        unpack_quad(vb_high_nibbles(both), scale, offset, out + (q + 4) * 4 * LANES);
    }
}

static void unpack_q4_0(const uint8_t *block, float *out)
{
    vf d = v_load_f16(block);
    unpack_nibbles(block + 2 * LANES, d, v_mul(d, v_set(-8)), out); /* both products are exact */
}

static void unpack_q4_1(const uint8_t *block, float *out)
{
    unpack_nibbles(block + 4 * LANES, v_load_f16(block), v_load_f16(block + 2 * LANES), out);
}

/* The parts of a q6_K super-block that 32-column block `b` of 8 needs. */
struct q6_k_part {
    const uint8_t *d, *scales, *low, *high;
    int shift;
};

INLINE struct q6_k_part q6_k_part(const uint8_t *super, size_t b)
{
    const uint8_t *scales = super + 2 * LANES, *low = scales + 16 * LANES,
                  *high = low + 128 * LANES;
    struct q6_k_part part = {super, scales + 2 * b * LANES, low + b * 16 * LANES,
                             high + b / 2 * 16 * LANES, (int)(b % 2) * 4};
    return part;
}

/* Quad q of 8 of the part, as signed bytes. */
INLINE vb q6_k_quad(const struct q6_k_part *part, int q)
{
    vb low = vb_load(part->low + q % 4 * 4 * LANES), high = vb_load(part->high + q % 4 * 4 * LANES);
    low = q < 4 ? vb_low_nibbles(low) : vb_high_nibbles(low);
    return vb_minus_32(vb_or(low, vb_two_bits(high, part->shift + (q < 4 ? 0 : 2))));
}

INLINE void unpack_q6_k_part(const uint8_t *super, size_t b, float *out)
{
    struct q6_k_part part = q6_k_part(super, b);
    vf d = v_load_f16(part.d);
    for (int q = 0; q < 8; q++) {
        vf scale = v_mul(d, v_from_int(vi_load_i8(part.scales + (q < 4 ? 0 : LANES))));
        unpack_quad(q6_k_quad(&part, q), scale, v_set(0), out + q * 4 * LANES);
    }
}

/* ---- Full precision */

/* Columns [32 b, 32 b + n) of a group as floats: in place for f32, otherwise in `buffer`. */
INLINE const float *full_block(lckv_dtype dtype, const uint8_t *group, size_t b, float *buffer)
{
    switch (dtype) {
    case LCKV_DTYPE_F16:
        unpack_f16(group + b * 64 * LANES, buffer);
        break;
    case LCKV_DTYPE_BF16:
        unpack_bf16(group + b * 64 * LANES, buffer);
        break;
    case LCKV_DTYPE_Q8_0:
        unpack_q8_0(group + b * 34 * LANES, buffer);
        break;
    case LCKV_DTYPE_Q4_0:
        unpack_q4_0(group + b * 18 * LANES, buffer);
        break;
    case LCKV_DTYPE_Q4_1:
        unpack_q4_1(group + b * 20 * LANES, buffer);
        break;
    case LCKV_DTYPE_Q6_K:
        unpack_q6_k_part(group + b / 8 * 210 * LANES, b % 8, buffer);
        break;
    default:
        return (const float *)(const void *)(group + b * 128 * LANES);
    }
    return buffer;
}

/* The last columns of a float matrix whose width is no multiple of 32. */
INLINE const float *full_rest(lckv_dtype dtype, const uint8_t *group, size_t b, size_t n,
                              float *buffer)
{
    if (dtype == LCKV_DTYPE_F32)
        return full_block(dtype, group, b, buffer);
    for (size_t c = 0; c < n; c++) {
        const uint8_t *at = group + b * 64 * LANES;
        vf w = dtype == LCKV_DTYPE_F16 ? v_load_f16(at + c * 2 * LANES)
                                       : v_from_bf16(vb_load(at + c / 2 * 4 * LANES), (int)c % 2);
        v_store(buffer + c * LANES, w);
    }
    return buffer;
}

INLINE void full_tile(lckv_dtype dtype, const struct matrix *matrix, const struct activations *x,
                      size_t first_group, size_t n_groups, size_t first_row, size_t n_rows,
                      float *out, size_t stride)
{
    float buffer[TILE_GROUPS][32 * LANES] __attribute__((aligned(64)));
    vf sums[TILE_GROUPS][TILE_ROWS];
    for (size_t g = 0; g < n_groups; g++) {
        for (size_t m = 0; m < n_rows; m++)
            sums[g][m] = v_set(0);
    }
    for (size_t c = 0; c < matrix->n_columns; c += 32) {
        size_t n = matrix->n_columns - c < 32 ? matrix->n_columns - c : 32;
        const float *w[TILE_GROUPS];
        for (size_t g = 0; g < n_groups; g++) {
            const uint8_t *group = matrix->data + (first_group + g) * matrix->group_bytes;
            w[g] = n == 32 ? full_block(dtype, group, c / 32, buffer[g])
                           : full_rest(dtype, group, c / 32, n, buffer[g]);
        }
        const float *values = x->values + first_row * x->stride + c;
        for (size_t k = 0; k < n; k++) {
            for (size_t g = 0; g < n_groups; g++) {
                vf weights = v_load(w[g] + k * LANES);
                for (size_t m = 0; m < n_rows; m++)
                    sums[g][m] = v_fma(weights, v_set(values[m * x->stride + k]), sums[g][m]);
            }
        }
    }
    for (size_t g = 0; g < n_groups; g++) {
        for (size_t m = 0; m < n_rows; m++)
            v_store(out + (first_row + m) * stride + (first_group + g) * LANES, sums[g][m]);
    }
}

/* ---- Fast precision */

/* The sums of products of one block of 32 columns with one row's quants, scaled into `sum`. */
INLINE vf fast_q8_0(const uint8_t *block, const int8_t *x, float scale, vf sum)
{
    vi dot = vi_zero();
    for (int q = 0; q < 8; q++)
        dot = vi_dot_signed(dot, vb_load(block + 2 * LANES + q * 4 * LANES), x + 4 * q);
    return v_fma(v_from_int(dot), v_mul(v_load_f16(block), v_set(scale)), sum);
}

INLINE vi dot_nibbles(const uint8_t *quads, const int8_t *x)
{
    vi low = vi_zero(), high = vi_zero();
    for (int q = 0; q < 4; q++) {
        vb both = vb_load(quads + q * 4 * LANES);
        low = vi_dot_unsigned(low, vb_low_nibbles(both), x + 4 * q);
        high = vi_dot_unsigned(high, vb_high_nibbles(both), x + 16 + 4 * q);
    }
    return vi_add(low, high);
}

/* Nibbles count from 0: the block's sum of quants makes up for the 8 that each lacks. */
INLINE vf fast_q4_0(const uint8_t *block, const int8_t *x, float scale, int32_t x_sum, vf sum)
{
    vf dot = v_sub(v_from_int(dot_nibbles(block + 2 * LANES, x)), v_set((float)(8 * x_sum)));
    return v_fma(dot, v_mul(v_load_f16(block), v_set(scale)), sum);
}

INLINE vf fast_q4_1(const uint8_t *block, const int8_t *x, float scale, int32_t x_sum, vf sum)
{
    vf d = v_mul(v_load_f16(block), v_set(scale));
    sum = v_fma(v_from_int(dot_nibbles(block + 4 * LANES, x)), d, sum);
    return v_fma(v_load_f16(block + 2 * LANES), v_set(scale * (float)x_sum), sum);
}

INLINE vf fast_q6_k(const uint8_t *super, size_t b, const int8_t *x, float scale, vf sum)
{
    struct q6_k_part part = q6_k_part(super, b);
    vi first = vi_zero(), second = vi_zero();
    for (int q = 0; q < 4; q++) {
        first = vi_dot_signed(first, q6_k_quad(&part, q), x + 4 * q);
        second = vi_dot_signed(second, q6_k_quad(&part, q + 4), x + 16 + 4 * q);
    }
    vi dot = vi_add(vi_mul(first, vi_load_i8(part.scales)),
                    vi_mul(second, vi_load_i8(part.scales + LANES)));
    return v_fma(v_from_int(dot), v_mul(v_load_f16(part.d), v_set(scale)), sum);
}

INLINE void fast_tile(lckv_dtype dtype, const struct matrix *matrix, const struct activations *x,
                      size_t first_group, size_t n_groups, size_t first_row, size_t n_rows,
                      float *out, size_t stride)
{
    vf sums[TILE_GROUPS][TILE_ROWS];
    size_t n_blocks = matrix->n_columns / 32, row_blocks = x->stride / 32;
    for (size_t g = 0; g < n_groups; g++) {
        for (size_t m = 0; m < n_rows; m++)
            sums[g][m] = v_set(0);
    }
    for (size_t b = 0; b < n_blocks; b++) {
        for (size_t g = 0; g < n_groups; g++) {
            const uint8_t *group = matrix->data + (first_group + g) * matrix->group_bytes;
            for (size_t m = 0; m < n_rows; m++) {
                size_t at = (first_row + m) * row_blocks + b;
                const int8_t *quants = x->quants + at * 32;
                if (dtype == LCKV_DTYPE_Q8_0)
                    sums[g][m] =
                        fast_q8_0(group + b * 34 * LANES, quants, x->scales[at], sums[g][m]);
                else if (dtype == LCKV_DTYPE_Q4_0)
                    sums[g][m] = fast_q4_0(group + b * 18 * LANES, quants, x->scales[at],
                                           x->sums[at], sums[g][m]);
                else if (dtype == LCKV_DTYPE_Q4_1)
                    sums[g][m] = fast_q4_1(group + b * 20 * LANES, quants, x->scales[at],
                                           x->sums[at], sums[g][m]);
                else
                    sums[g][m] = fast_q6_k(group + b / 8 * 210 * LANES, b % 8, quants,
                                           x->scales[at], sums[g][m]);
            }
        }
    }
    for (size_t g = 0; g < n_groups; g++) {
        for (size_t m = 0; m < n_rows; m++)
            v_store(out + (first_row + m) * stride + (first_group + g) * LANES, sums[g][m]);
    }
}

/* ---- Tiles */

/* Walks over rows and groups in tiles of constant shape, which the compiler unrolls. */
#define DEFINE_MULTIPLY(name, tile, dtype)                                                         \
    static void name(const struct matrix *matrix, const struct activations *x, size_t group_begin, \
                     size_t group_end, float *out, size_t stride)                                  \
    {                                                                                              \
        size_t m = 0;                                                                              \
        for (; m + 8 <= x->n_rows; m += 8) {                                                       \
            for (size_t g = group_begin; g < group_end; g++)                                       \
                tile(dtype, matrix, x, g, 1, m, 8, out, stride);                                   \
        }                                                                                          \
        for (; m + 4 <= x->n_rows; m += 4) {                                                       \
            for (size_t g = group_begin; g < group_end; g++)                                       \
                tile(dtype, matrix, x, g, 1, m, 4, out, stride);                                   \
        }                                                                                          \
        for (; m + 2 <= x->n_rows; m += 2) {                                                       \
            for (size_t g = group_begin; g < group_end; g++)                                       \
                tile(dtype, matrix, x, g, 1, m, 2, out, stride);                                   \
        }                                                                                          \
        for (; m < x->n_rows; m++) {                                                               \
            size_t g = group_begin;                                                                \
            for (; g + 4 <= group_end; g += 4)                                                     \
                tile(dtype, matrix, x, g, 4, m, 1, out, stride);                                   \
            for (; g < group_end; g++)                                                             \
                tile(dtype, matrix, x, g, 1, m, 1, out, stride);                                   \
        }                                                                                          \
    }

DEFINE_MULTIPLY(full_multiply_f32, full_tile, LCKV_DTYPE_F32)
DEFINE_MULTIPLY(full_multiply_f16, full_tile, LCKV_DTYPE_F16)
DEFINE_MULTIPLY(full_multiply_bf16, full_tile, LCKV_DTYPE_BF16)
DEFINE_MULTIPLY(full_multiply_q8_0, full_tile, LCKV_DTYPE_Q8_0)
DEFINE_MULTIPLY(full_multiply_q4_0, full_tile, LCKV_DTYPE_Q4_0)
DEFINE_MULTIPLY(full_multiply_q4_1, full_tile, LCKV_DTYPE_Q4_1)
DEFINE_MULTIPLY(full_multiply_q6_k, full_tile, LCKV_DTYPE_Q6_K)
DEFINE_MULTIPLY(fast_multiply_q8_0, fast_tile, LCKV_DTYPE_Q8_0)
DEFINE_MULTIPLY(fast_multiply_q4_0, fast_tile, LCKV_DTYPE_Q4_0)
DEFINE_MULTIPLY(fast_multiply_q4_1, fast_tile, LCKV_DTYPE_Q4_1)
DEFINE_MULTIPLY(fast_multiply_q6_k, fast_tile, LCKV_DTYPE_Q6_K)
