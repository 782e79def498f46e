/*
 * Template: products with 8-bit activations, for a set's vectors. A lane is an output row.
 *
 * The products of a block of 32 columns are summed as integers, exactly, and scaled into the
 * output's accumulator, block after block in ascending order. So an output's bits depend neither on
 * the tile nor on how the integers are added. A quad of weights is unpacked once for all rows of a
 * tile.
 */

/*
 * Blocks of a stretch, which all panels use before the next one: the first-level cache holds them.
 */
#define FAST_BLOCKS 32

/* The quants of row m of a tile, from quad q on. */
INLINE const int8_t *quad_at(const int8_t *quants, size_t m, int q)
{
    return quants + 32 * m + 4 * q;
}

/* For signed bytes: q8_0, and what tables give. */
INLINE void fast_signed(lckv_dtype dtype, struct weight_block w, const struct int8_block *x,
                        size_t n_rows, vf *sums)
{
    vi dots[TILE_ROWS];
    UNROLL for (size_t m = 0; m < n_rows; m++) dots[m] = vs_begin(x->offsets[m]);
    UNROLL for (int q = 0; q < 8; q++)
    {
        vb quad = block_quad(dtype, &w, q);
        UNROLL for (size_t m = 0; m < n_rows; m++) dots[m] =
            vs_add(dots[m], quad, quad_at(x->quants, m, q));
    }
    UNROLL for (size_t m = 0; m < n_rows; m++) sums[m] =
        v_fma(v_from_int(dots[m]), v_mul(w.scale, v_set(x->scales[m])), sums[m]);
}

INLINE void fast_q4_0(struct weight_block w, const struct int8_block *x, size_t n_rows, vf *sums)
{
    vq dots[TILE_ROWS];
    UNROLL for (size_t m = 0; m < n_rows; m++) dots[m] = vq_begin(x->offsets[m]);
    UNROLL for (int q = 0; q < 4; q++)
    {
        vb low = block_quad(LCKV_DTYPE_Q4_0, &w, q), high = block_quad(LCKV_DTYPE_Q4_0, &w, q + 4);
        UNROLL for (size_t m = 0; m < n_rows; m++) dots[m] =
            vq_add(dots[m], low, quad_at(x->quants, m, q));
        UNROLL for (size_t m = 0; m < n_rows; m++) dots[m] =
            vq_add(dots[m], high, quad_at(x->quants, m, q + 4));
    }
    UNROLL for (size_t m = 0; m < n_rows; m++)
    {
        vi dot = vq_end(dots[m], x->offsets[m]);
        sums[m] = v_fma(v_from_int(dot), v_mul(w.scale, v_set(x->scales[m])), sums[m]);
    }
}

/* For types with minimums. */
INLINE void fast_unsigned(lckv_dtype dtype, struct weight_block w, const struct int8_block *x,
                          size_t n_rows, vf *sums)
{
    vi dots[TILE_ROWS];
    vu parts[TILE_ROWS];
    UNROLL for (size_t m = 0; m < n_rows; m++)
    {
        dots[m] = vi_set(0);
        parts[m] = vu_begin(dots[m]);
    }
    UNROLL for (int q = 0; q < 4; q++)
    {
        vb low = block_quad(dtype, &w, q), high = block_quad(dtype, &w, q + 4);
        if (has_fifth_bits(dtype) && q == 2) {
            UNROLL for (size_t m = 0; m < n_rows; m++)
            {
                dots[m] = vu_end(dots[m], parts[m]);
                parts[m] = vu_begin(dots[m]);
            }
        }
        UNROLL for (size_t m = 0; m < n_rows; m++) parts[m] =
            vu_add(parts[m], low, quad_at(x->quants, m, q));
        UNROLL for (size_t m = 0; m < n_rows; m++) parts[m] =
            vu_add(parts[m], high, quad_at(x->quants, m, q + 4));
    }
    UNROLL for (size_t m = 0; m < n_rows; m++)
    {
        dots[m] = vu_end(dots[m], parts[m]);
        sums[m] = v_fma(v_from_int(dots[m]), v_mul(w.scale, v_set(x->scales[m])), sums[m]);
        sums[m] = v_fma(w.second, v_set(x->sums[m]), sums[m]);
    }
}

/*
 * The offset of the last 16 columns. It is unsigned arithmetic, which may wrap where NaN spoilt the
 * sums.
 */
INLINE int32_t second_offset(const struct int8_block *x, size_t m)
{
    return (int32_t)((uint32_t)x->offsets[m] - (uint32_t)x->half_offsets[m]);
}

/* In q6_K the scale changes after 16 columns, so the halves are summed apart. */
INLINE void fast_q6_k(struct weight_block w, const struct int8_block *x, size_t n_rows, vf *sums)
{
    UNROLL for (int half = 0; half < 2; half++)
    {
        /*
         * Makes the second half load again what it shares with the first: there are too few
         * registers.
         */
        __asm__("" : "+r"(w.low), "+r"(w.high));
        vi dots[TILE_ROWS];
        UNROLL for (size_t m = 0; m < n_rows; m++) dots[m] =
            v6_begin(half == 0 ? x->half_offsets[m] : second_offset(x, m));
        UNROLL for (int q = 4 * half; q < 4 * half + 4; q += 2)
        {
            vb quad = block_quad(LCKV_DTYPE_Q6_K, &w, q);
            vb next = block_quad(LCKV_DTYPE_Q6_K, &w, q + 1);
            UNROLL for (size_t m = 0; m < n_rows; m++) dots[m] =
                v6_add(dots[m], quad, next, quad_at(x->quants, m, q));
        }
        vf scale = half == 0 ? w.scale : w.second;
        UNROLL for (size_t m = 0; m < n_rows; m++) sums[m] =
            v_fma(v_from_int(dots[m]), v_mul(scale, v_set(x->scales[m])), sums[m]);
    }
}

/* In q2_K and q3_K the scale and the offset change after 16 columns. */
INLINE void fast_pairs(lckv_dtype dtype, struct weight_block w, const struct int8_block *x,
                       size_t n_rows, vf *sums)
{
    UNROLL for (int half = 0; half < 2; half++)
    {
        vi dots[TILE_ROWS];
        vu parts[TILE_ROWS];
        UNROLL for (size_t m = 0; m < n_rows; m++)
        {
            dots[m] = vi_set(0);
            parts[m] = vu_begin(dots[m]);
        }
        UNROLL for (int q = 4 * half; q < 4 * half + 4; q++)
        {
            vb quad = block_quad(dtype, &w, q);
            UNROLL for (size_t m = 0; m < n_rows; m++) parts[m] =
                vu_add(parts[m], quad, quad_at(x->quants, m, q));
        }
        vf scale = half == 0 ? w.scale : w.second;
        UNROLL for (size_t m = 0; m < n_rows; m++)
        {
            float sum = /* times -128 */
                x->scales[m] * (float)(half == 0 ? x->half_offsets[m] : second_offset(x, m));
            dots[m] = vu_end(dots[m], parts[m]);
            sums[m] = v_fma(v_from_int(dots[m]), v_mul(scale, v_set(x->scales[m])), sums[m]);
            sums[m] = v_fma(w.offsets[half], v_set(sum), sums[m]);
        }
    }
}

/*
 * Unpacking takes a tenth to a third of the time of a tile of four rows, so for more rows than a
 * panel it is done once. For fewer rows the weights come from memory, and unpacking first would
 * interrupt their flow.
 */
INLINE bool is_made_ready(lckv_dtype dtype, size_t n_rows)
{
    return TILE_ROWS == 4 && dtype != LCKV_DTYPE_Q8_0 && n_rows > PANEL_ROWS;
}

/* An unpacked block: the members of struct weight_block that products read. */
struct ready_block {
    vb quads[8];
    vf scale, second;
};

/* The unpacked blocks of a stretch. `offsets` are read where tiles take q2_K only. */
struct ready_stretch {
    struct ready_block blocks[FAST_BLOCKS];
    vf offsets[FAST_BLOCKS][2];
};

/* Unpacks block b to place `at` of the stretch. */
INLINE void make_ready(lckv_dtype dtype, const uint8_t *strip, size_t b, size_t at,
                       struct ready_stretch *stretch)
{
    struct weight_block block = block_at(dtype, strip, b, has_pairs(dtype) ? b % 8 : b % 2);
    struct ready_block *ready = &stretch->blocks[at];
    UNROLL for (int q = 0; q < 8; q++) ready->quads[q] = block_quad(dtype, &block, q);
    ready->scale = block.scale;
    ready->second = block.second;
    if (has_pairs(dtype)) {
        stretch->offsets[at][0] = block.offsets[0];
        stretch->offsets[at][1] = block.offsets[1];
    }
}

INLINE void fast_block(lckv_dtype dtype, struct weight_block w, const struct int8_block *x,
                       size_t n_rows, vf *sums)
{
    if (dtype == LCKV_DTYPE_Q8_0 || has_table(dtype))
        fast_signed(dtype, w, x, n_rows, sums);
    else if (dtype == LCKV_DTYPE_Q4_0)
        fast_q4_0(w, x, n_rows, sums);
    else if (dtype == LCKV_DTYPE_Q6_K)
        fast_q6_k(w, x, n_rows, sums);
    else if (has_pairs(dtype))
        fast_pairs(dtype, w, x, n_rows, sums);
    else
        fast_unsigned(dtype, w, x, n_rows, sums);
}

/*
 * Adds blocks [begin, end) of a strip for `n_rows` (a constant) rows of a panel from at.row on. The
 * sums go on from what the blocks before these left in `out`. The blocks come from `ready`, unless
 * that is NULL (a constant).
 */
INLINE void fast_tile(lckv_dtype dtype, const uint8_t *strip, const struct ready_stretch *ready,
                      size_t begin, size_t end, struct panel_row at, size_t n_rows, float *out,
                      size_t stride)
{
    vf sums[TILE_ROWS];
    out += at.row * stride;
    UNROLL for (size_t m = 0; m < n_rows; m++) sums[m] =
        begin == 0 ? v_set(0) : v_load(out + m * stride);
    for (size_t b = begin; b < end; b++) {
        struct int8_block x = int8_block(at, b);
        if (ready != NULL) {
            const struct ready_block *w = &ready->blocks[b - begin];
            struct weight_block block = {.scale = w->scale, .second = w->second, .ready = w->quads};
            if (dtype == LCKV_DTYPE_Q2_K) {
                block.offsets[0] = ready->offsets[b - begin][0];
                block.offsets[1] = ready->offsets[b - begin][1];
            }
            fast_block(dtype, block, &x, n_rows, sums);
            continue;
        }
        prefetch_blocks(dtype, strip, b, n_rows);
        if (dtype == LCKV_DTYPE_Q6_K && b % 2 != 0)
            fast_block(dtype, block_at(dtype, strip, b, 1), &x, n_rows, sums);
        else
            fast_block(dtype, block_at(dtype, strip, b, has_pairs(dtype) ? b % 8 : 0), &x, n_rows,
                       sums);
    }
    UNROLL for (size_t m = 0; m < n_rows; m++) v_store(out + m * stride, sums[m]);
}

INLINE void fast_multiply(lckv_dtype dtype, const struct matrix *matrix,
                          const struct activations *x, size_t begin, size_t end, float *out,
                          size_t stride)
{
    size_t n_blocks = matrix->n_columns / ACTIVATION_BLOCK;
    size_t depth = x->n_rows <= TILE_ROWS ? n_blocks : FAST_BLOCKS;
    bool is_ready = is_made_ready(dtype, x->n_rows);
    for (size_t n = begin; n < end; n += LANES, out += LANES) {
        const uint8_t *strip = strip_at(dtype, matrix, n);
        for (size_t b = 0, last; b < n_blocks; b = last) {
            last = n_blocks - b < depth ? n_blocks : b + depth;
            struct ready_stretch ready;
            if (is_ready) {
                for (size_t i = b; i < last; i++) {
                    prefetch_blocks(dtype, strip, i, PANEL_ROWS);
                    make_ready(dtype, strip, i, i - b, &ready);
                }
            }
            for (size_t m = 0; m < x->n_rows; m += PANEL_ROWS) {
                struct panel_row at =
                    panel_row(x->int8, INT8_BLOCK_BYTES, x->columns, x->n_rows, m);
                float *to = out + m * stride;
                if (is_ready)
                    FOR_TILES(at.row, at.height,
                              fast_tile(dtype, strip, &ready, b, last, at, rows, to, stride));
                else
                    FOR_TILES(at.row, at.height,
                              fast_tile(dtype, strip, NULL, b, last, at, rows, to, stride));
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
