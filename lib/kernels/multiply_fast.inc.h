/*
 * Template: products with 8-bit activations, for a set's vectors (LANES = group rows).
 *
 * The products of a block of 32 columns are summed as integers, exactly, and scaled into the
 * output's accumulator, block after block in ascending order: an output's bits depend neither on
 * the tile nor on how the integers are added. A quad of weights is made ready once for all rows of
 * a tile.
 */

/* Blocks that panel after panel takes before the next ones: the first-level cache keeps them. */
#define FAST_BLOCKS 32

/* The quants of row m of a tile, from quad q on. */
INLINE const int8_t *quad_at(const int8_t *quants, size_t m, int q)
{
    return quants + 32 * m + 4 * q;
}

INLINE void fast_q8_0(const uint8_t *group, size_t b, const struct int8_block *x, size_t n_rows,
                      vf *sums)
{
    const uint8_t *body = body_at(LCKV_DTYPE_Q8_0, group, b);
    vi dots[TILE_ROWS];
    UNROLL for (size_t m = 0; m < n_rows; m++) dots[m] = vs_begin(x->offsets[m]);
    UNROLL for (int q = 0; q < 8; q++)
    {
        vb w = vb_load(body + q * 4 * LANES);
        UNROLL for (size_t m = 0; m < n_rows; m++) dots[m] =
            vs_add(dots[m], w, quad_at(x->quants, m, q));
    }
    vf d = v_load_f16(head_at(LCKV_DTYPE_Q8_0, group, b));
    UNROLL for (size_t m = 0; m < n_rows; m++) sums[m] =
        v_fma(v_from_int(dots[m]), v_mul(d, v_set(x->scales[m])), sums[m]);
}

INLINE void fast_q4_0(const uint8_t *group, size_t b, const struct int8_block *x, size_t n_rows,
                      vf *sums)
{
    const uint8_t *body = body_at(LCKV_DTYPE_Q4_0, group, b);
    vq dots[TILE_ROWS];
    UNROLL for (size_t m = 0; m < n_rows; m++) dots[m] = vq_begin(x->offsets[m]);
    UNROLL for (int q = 0; q < 4; q++)
    {
        vb both = vb_load(body + q * 4 * LANES), low = vq_low(both), high = vq_high(both);
        UNROLL for (size_t m = 0; m < n_rows; m++) dots[m] =
            vq_add(dots[m], low, quad_at(x->quants, m, q));
        UNROLL for (size_t m = 0; m < n_rows; m++) dots[m] =
            vq_add(dots[m], high, quad_at(x->quants, m, q + 4));
    }
    vf d = v_mul(v_load_f16(head_at(LCKV_DTYPE_Q4_0, group, b)), v_set(VQ_SCALE));
    UNROLL for (size_t m = 0; m < n_rows; m++) sums[m] =
        v_fma(v_from_int(vq_end(dots[m], x->offsets[m])), v_mul(d, v_set(x->scales[m])), sums[m]);
}

/* Adds unsigned quads q, q + 1, q + 2, q + 3. */
INLINE void add_unsigned(const vb *quads, int q, const int8_t *quants, size_t n_rows, vi *dots)
{
    vu parts[TILE_ROWS];
    UNROLL for (size_t m = 0; m < n_rows; m++) parts[m] = vu_begin(dots[m]);
    UNROLL for (int i = 0; i < 4; i++)
    {
        UNROLL for (size_t m = 0; m < n_rows; m++) parts[m] =
            vu_add(parts[m], quads[i], quad_at(quants, m, q + i));
    }
    UNROLL for (size_t m = 0; m < n_rows; m++) dots[m] = vu_end(dots[m], parts[m]);
}

INLINE void fast_q4_1(const uint8_t *group, size_t b, const struct int8_block *x, size_t n_rows,
                      vf *sums)
{
    const uint8_t *head = head_at(LCKV_DTYPE_Q4_1, group, b);
    const uint8_t *body = body_at(LCKV_DTYPE_Q4_1, group, b);
    vi dots[TILE_ROWS];
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

INLINE void fast_q45_k(lckv_dtype dtype, const uint8_t *group, size_t b, const struct int8_block *x,
                       size_t n_rows, vf *sums)
{
    struct q45_k_part part = q45_k_part(dtype, group, b);
    vi dots[TILE_ROWS];
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

/* Of the last 16 columns; it wraps where the sums are those of NaN. */
INLINE int32_t second_offset(const struct int8_block *x, size_t m)
{
    return (int32_t)((uint32_t)x->offsets[m] - (uint32_t)x->half_offsets[m]);
}

/* Scales change after 16 columns, so the halves are summed apart. */
INLINE void fast_q6_k(const uint8_t *group, size_t b, int odd, const struct int8_block *x,
                      size_t n_rows, vf *sums)
{
    struct q6_k_part part = q6_k_part(group, b, odd);
    UNROLL for (int half = 0; half < 2; half++)
    {
        vi dots[TILE_ROWS];
        UNROLL for (size_t m = 0; m < n_rows; m++) dots[m] =
            v6_begin(half == 0 ? x->half_offsets[m] : second_offset(x, m));
        UNROLL for (int i = 0; i < 4; i++)
        {
            vb w = q6_k_quad(&part, half * 4 + i);
            UNROLL for (size_t m = 0; m < n_rows; m++) dots[m] =
                v6_add(dots[m], w, quad_at(x->quants, m, half * 4 + i));
        }
        vf scale = half == 0 ? part.first : part.second;
        UNROLL for (size_t m = 0; m < n_rows; m++) sums[m] =
            v_fma(v_from_int(dots[m]), v_mul(scale, v_set(x->scales[m])), sums[m]);
    }
}

/*
 * Blocks [begin, end) of a group for `n_rows` (a constant) rows of a panel from at.row on. The sums
 * so far are taken up where they were put down.
 */
INLINE void fast_tile(lckv_dtype dtype, const uint8_t *group, size_t begin, size_t end,
                      struct panel_row at, size_t n_rows, float *out, size_t stride)
{
    vf sums[TILE_ROWS];
    out += at.row * stride;
    UNROLL for (size_t m = 0; m < n_rows; m++) sums[m] =
        begin == 0 ? v_set(0) : v_load(out + m * stride);
    for (size_t b = begin; b < end; b++) {
        struct int8_block x = int8_block(at, b);
        prefetch_blocks(dtype, group, b, n_rows);
        if (dtype == LCKV_DTYPE_Q8_0)
            fast_q8_0(group, b, &x, n_rows, sums);
        else if (dtype == LCKV_DTYPE_Q4_0)
            fast_q4_0(group, b, &x, n_rows, sums);
        else if (dtype == LCKV_DTYPE_Q4_1)
            fast_q4_1(group, b, &x, n_rows, sums);
        else if (dtype == LCKV_DTYPE_Q6_K && b % 2 == 0)
            fast_q6_k(group, b, 0, &x, n_rows, sums);
        else if (dtype == LCKV_DTYPE_Q6_K)
            fast_q6_k(group, b, 1, &x, n_rows, sums);
        else
            fast_q45_k(dtype, group, b, &x, n_rows, sums);
    }
    UNROLL for (size_t m = 0; m < n_rows; m++) v_store(out + m * stride, sums[m]);
}

INLINE void fast_multiply(lckv_dtype dtype, const struct matrix *matrix,
                          const struct activations *x, size_t begin, size_t end, float *out,
                          size_t stride)
{
    size_t n_blocks = matrix->n_columns / ACTIVATION_BLOCK;
    size_t depth = x->n_rows <= TILE_ROWS ? n_blocks : FAST_BLOCKS;
    for (size_t g = begin; g < end; g++, out += LANES) {
        const uint8_t *group = group_at(matrix, g);
        for (size_t b = 0, last; b < n_blocks; b = last) {
            last = n_blocks - b < depth ? n_blocks : b + depth;
            for (size_t m = 0; m < x->n_rows; m += PANEL_ROWS) {
                struct panel_row at = panel_row(x->int8, INT8_BLOCK_BYTES, x->stride, x->n_rows, m);
                FOR_TILES(TILE_ROWS, at.row, at.height,
                          fast_tile(dtype, group, b, last, at, rows, out + m * stride, stride));
            }
        }
    }
}

DEFINE_MULTIPLY(fast, q8_0, LCKV_DTYPE_Q8_0)
DEFINE_MULTIPLY(fast, q4_0, LCKV_DTYPE_Q4_0)
DEFINE_MULTIPLY(fast, q4_1, LCKV_DTYPE_Q4_1)
DEFINE_MULTIPLY(fast, q4_k, LCKV_DTYPE_Q4_K)
DEFINE_MULTIPLY(fast, q5_k, LCKV_DTYPE_Q5_K)
DEFINE_MULTIPLY(fast, q6_k, LCKV_DTYPE_Q6_K)
