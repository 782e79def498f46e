/*
 * Template: products with 8-bit activations, for a set's vectors (LANES = group rows).
 *
 * The products of a block of 32 columns are summed as integers, exactly, and scaled into the
 * output's accumulator, block after block in ascending order: an output's bits depend neither on
 * the tile nor on how the integers are added. A quad of weights is made ready once for all rows of
 * a tile.
 */
#include "kernels/activations.h"

/* Memory that decoding will read soon: far enough ahead that it arrives, near enough to stay. */
#define PREFETCH_BYTES 2048

INLINE void prefetch(const uint8_t *at, size_t n_bytes)
{
    for (size_t i = 0; i < n_bytes; i += 64)
        __builtin_prefetch(at + PREFETCH_BYTES + i);
}

/* The quants of row m of a tile, from quad q on. */
INLINE const int8_t *quad_at(const int8_t *quants, size_t m, int q)
{
    return quants + 32 * m + 4 * q;
}

INLINE void fast_q8_0(const struct group *group, size_t b, const struct int8_block *x,
                      size_t n_rows, vf *sums)
{
    const uint8_t *body = group->body + b * 32 * LANES;
    vi dots[FAST_ROWS];
    prefetch(body, 32 * LANES);
    UNROLL for (size_t m = 0; m < n_rows; m++) dots[m] = vs_begin(x->offsets[m]);
    UNROLL for (int q = 0; q < 8; q++)
    {
        vb w = vb_load(body + q * 4 * LANES);
        UNROLL for (size_t m = 0; m < n_rows; m++) dots[m] =
            vs_add(dots[m], w, quad_at(x->quants, m, q));
    }
    vf d = v_load_f16(group->head + b * 2 * LANES);
    UNROLL for (size_t m = 0; m < n_rows; m++) sums[m] =
        v_fma(v_from_int(dots[m]), v_mul(d, v_set(x->scales[m])), sums[m]);
}

INLINE void fast_q4_0(const struct group *group, size_t b, const struct int8_block *x,
                      size_t n_rows, vf *sums)
{
    const uint8_t *body = group->body + b * 16 * LANES;
    vq dots[FAST_ROWS];
    prefetch(body, 16 * LANES);
    UNROLL for (size_t m = 0; m < n_rows; m++) dots[m] = vq_begin(x->offsets[m]);
    UNROLL for (int q = 0; q < 4; q++)
    {
        vb both = vb_load(body + q * 4 * LANES), low = vq_low(both), high = vq_high(both);
        UNROLL for (size_t m = 0; m < n_rows; m++) dots[m] =
            vq_add(dots[m], low, quad_at(x->quants, m, q));
        UNROLL for (size_t m = 0; m < n_rows; m++) dots[m] =
            vq_add(dots[m], high, quad_at(x->quants, m, q + 4));
    }
    vf d = v_mul(v_load_f16(group->head + b * 2 * LANES), v_set(VQ_SCALE));
    UNROLL for (size_t m = 0; m < n_rows; m++) sums[m] =
        v_fma(v_from_int(vq_end(dots[m], x->offsets[m])), v_mul(d, v_set(x->scales[m])), sums[m]);
}

/* Adds unsigned quads q, q + 1, q + 2, q + 3. */
INLINE void add_unsigned(const vb *quads, int q, const int8_t *quants, size_t n_rows, vi *dots)
{
    vu parts[FAST_ROWS];
    UNROLL for (size_t m = 0; m < n_rows; m++) parts[m] = vu_begin(dots[m]);
    UNROLL for (int i = 0; i < 4; i++)
    {
        UNROLL for (size_t m = 0; m < n_rows; m++) parts[m] =
            vu_add(parts[m], quads[i], quad_at(quants, m, q + i));
    }
    UNROLL for (size_t m = 0; m < n_rows; m++) dots[m] = vu_end(dots[m], parts[m]);
}

INLINE void fast_q4_1(const struct group *group, size_t b, const struct int8_block *x,
                      size_t n_rows, vf *sums)
{
    const uint8_t *head = group->head + b * 4 * LANES, *body = group->body + b * 16 * LANES;
    vi dots[FAST_ROWS];
    prefetch(body, 16 * LANES);
    UNROLL for (size_t m = 0; m < n_rows; m++) dots[m] = vi_set(0);
    UNROLL for (int half = 0; half < 2; half++)
    {
        vb quads[4];
        UNROLL for (int i = 0; i < 4; i++)
        {
            vb both = vb_load(body + i * 4 * LANES);
            quads[i] = half == 0 ? vb_low_nibbles(both) : vb_high_nibbles(both);
        }
        add_unsigned(quads, half * 4, x->quants, n_rows, dots);
    }
    vf d = v_load_f16(head), minimum = v_load_f16(head + 2 * LANES);
    UNROLL for (size_t m = 0; m < n_rows; m++)
    {
        sums[m] = v_fma(v_from_int(dots[m]), v_mul(d, v_set(x->scales[m])), sums[m]);
        sums[m] = v_fma(minimum, v_set(x->sums[m]), sums[m]);
    }
}

INLINE void fast_q45_k(lckv_dtype dtype, const struct group *group, size_t b,
                       const struct int8_block *x, size_t n_rows, vf *sums)
{
    struct q45_k_part part = q45_k_part(dtype, group, b);
    vi dots[FAST_ROWS];
    prefetch(part.low, 16 * LANES);
    UNROLL for (size_t m = 0; m < n_rows; m++) dots[m] = vi_set(0);
    UNROLL for (int half = 0; half < 2; half++)
    {
        vb quads[4];
        UNROLL for (int i = 0; i < 4; i++) quads[i] = q45_k_quad(dtype, &part, half * 4 + i);
        add_unsigned(quads, half * 4, x->quants, n_rows, dots);
    }
    vf minus = v_sub(v_set(0), part.minimum);
    UNROLL for (size_t m = 0; m < n_rows; m++)
    {
        sums[m] = v_fma(v_from_int(dots[m]), v_mul(part.scale, v_set(x->scales[m])), sums[m]);
        sums[m] = v_fma(minus, v_set(x->sums[m]), sums[m]);
    }
}

/* Scales change after 16 columns, so the halves are summed apart. */
INLINE void fast_q6_k(const struct group *group, size_t b, const struct int8_block *x,
                      size_t n_rows, vf *sums)
{
    struct q6_k_part part = q6_k_part(group, b);
    prefetch(part.low, 16 * LANES);
    prefetch(part.high, b % 2 == 0 ? 16 * LANES : 0);
    UNROLL for (int half = 0; half < 2; half++)
    {
        vi dots[FAST_ROWS];
        UNROLL for (size_t m = 0; m < n_rows; m++) dots[m] =
            vs_begin(half == 0 ? x->half_offsets[m] : x->offsets[m] - x->half_offsets[m]);
        UNROLL for (int i = 0; i < 4; i++)
        {
            vb w = vs_from_6_bits(q6_k_quad(&part, half * 4 + i));
            UNROLL for (size_t m = 0; m < n_rows; m++) dots[m] =
                vs_add(dots[m], w, quad_at(x->quants, m, half * 4 + i));
        }
        vf scale = half == 0 ? part.first : part.second;
        UNROLL for (size_t m = 0; m < n_rows; m++) sums[m] =
            v_fma(v_from_int(dots[m]), v_mul(scale, v_set(x->scales[m])), sums[m]);
    }
}

/* `n_rows` (a constant) rows of a panel from `first` on. */
INLINE void fast_tile(lckv_dtype dtype, const struct group *group, size_t n_blocks,
                      const uint8_t *panel, size_t height, size_t first, size_t n_rows, float *out,
                      size_t stride)
{
    vf sums[FAST_ROWS];
    UNROLL for (size_t m = 0; m < n_rows; m++) sums[m] = v_set(0);
    for (size_t b = 0; b < n_blocks; b++) {
        struct int8_block x = int8_block(panel, height, b);
        x.quants += 32 * first;
        x.scales += first;
        x.offsets += first;
        x.half_offsets += first;
        x.sums += first;
        switch (dtype) {
        case LCKV_DTYPE_Q8_0:
            fast_q8_0(group, b, &x, n_rows, sums);
            break;
        case LCKV_DTYPE_Q4_0:
            fast_q4_0(group, b, &x, n_rows, sums);
            break;
        case LCKV_DTYPE_Q4_1:
            fast_q4_1(group, b, &x, n_rows, sums);
            break;
        case LCKV_DTYPE_Q6_K:
            fast_q6_k(group, b, &x, n_rows, sums);
            break;
        default:
            fast_q45_k(dtype, group, b, &x, n_rows, sums);
        }
    }
    UNROLL for (size_t m = 0; m < n_rows; m++) v_store(out + (first + m) * stride, sums[m]);
}

/* A panel's rows in tiles of constant height, which the compiler unrolls. */
INLINE void fast_panel(lckv_dtype dtype, const struct group *group, size_t n_blocks,
                       const uint8_t *panel, size_t height, float *out, size_t stride)
{
    size_t m = 0;
    for (; m + FAST_ROWS <= height; m += FAST_ROWS)
        fast_tile(dtype, group, n_blocks, panel, height, m, FAST_ROWS, out, stride);
    if (FAST_ROWS > 4 && m + 4 <= height) {
        fast_tile(dtype, group, n_blocks, panel, height, m, 4, out, stride);
        m += 4;
    }
    if (m + 2 <= height) {
        fast_tile(dtype, group, n_blocks, panel, height, m, 2, out, stride);
        m += 2;
    }
    if (m < height)
        fast_tile(dtype, group, n_blocks, panel, height, m, 1, out, stride);
}

INLINE void fast_multiply(lckv_dtype dtype, const struct matrix *matrix,
                          const struct activations *x, size_t begin, size_t end, float *out,
                          size_t stride)
{
    size_t n_blocks = matrix->n_columns / ACTIVATION_BLOCK;
    for (size_t g = begin; g < end; g++) {
        struct group group = group_at(matrix, g);
        for (size_t m = 0; m < x->n_rows; m += PANEL_ROWS) {
            struct panel_row at = panel_row(x->int8, INT8_BLOCK_BYTES, x->stride, x->n_rows, m);
            fast_panel(dtype, &group, n_blocks, at.panel, at.height,
                       out + m * stride + (g - begin) * LANES, stride);
        }
    }
}

#define DEFINE_FAST(name, dtype)                                                               \
    static void fast_multiply_##name(const struct matrix *matrix, const struct activations *x, \
                                     size_t begin, size_t end, float *out, size_t stride)      \
    {                                                                                          \
        fast_multiply(dtype, matrix, x, begin, end, out, stride);                              \
    }

DEFINE_FAST(q8_0, LCKV_DTYPE_Q8_0)
DEFINE_FAST(q4_0, LCKV_DTYPE_Q4_0)
DEFINE_FAST(q4_1, LCKV_DTYPE_Q4_1)
DEFINE_FAST(q4_k, LCKV_DTYPE_Q4_K)
DEFINE_FAST(q5_k, LCKV_DTYPE_Q5_K)
DEFINE_FAST(q6_k, LCKV_DTYPE_Q6_K)
