/*
 * Template: products of the types whose blocks are unpacked before they are multiplied. A type has
 * two short functions of its own, one that unpacks a stretch and one that multiplies a single row.
 * All else is shared: the tiles are those of another type, whose numbers have the same form once
 * they are unpacked.
 */

/* Blocks that are unpacked at once for few rows: so few that memory is read without a pause. */
#define UNPACKED_FEW_BLOCKS 4

/* Columns of floats at once, in full precision: so few that they fit small stacks. */
#define UNPACKED_COLUMNS 64

/* The type whose tiles multiply unpacked blocks of `dtype`. */
INLINE lckv_dtype unpacked_form(lckv_dtype dtype)
{
    return has_table(dtype)   ? LCKV_DTYPE_Q8_0  /* signed bytes */
           : has_pairs(dtype) ? LCKV_DTYPE_Q2_K  /* a scale and an offset for 16 columns */
                              : LCKV_DTYPE_Q5_K; /* five bits, a scale and a minimum */
}

/*
 * What a type has of its own: `unpack` unpacks blocks [begin, end) of a strip, and `multiply_row`
 * multiplies a strip by a single row, whose blocks are unpacked as they are multiplied.
 */
struct unpacking {
    void (*unpack)(const uint8_t *strip, size_t begin, size_t end, struct ready_stretch *ready);
    void (*multiply_row)(const uint8_t *strip, size_t n_blocks, struct panel_row at, float *out);
};

#define DEFINE_UNPACKING(name, dtype)                                                              \
    static void unpack_##name(const uint8_t *strip, size_t begin, size_t end,                      \
                              struct ready_stretch *ready)                                         \
    {                                                                                              \
        for (size_t b = begin; b < end; b++) {                                                     \
            prefetch_blocks(dtype, strip, b, TILE_ROWS);                                           \
            make_ready(dtype, strip, b, b - begin, ready);                                         \
        }                                                                                          \
    }                                                                                              \
    static void row_##name(const uint8_t *strip, size_t n_blocks, struct panel_row at, float *out) \
    {                                                                                              \
        fast_tile(dtype, strip, NULL, 0, n_blocks, at, 1, out, 0);                                 \
    }

DEFINE_UNPACKING(q5_0, LCKV_DTYPE_Q5_0)
DEFINE_UNPACKING(q5_1, LCKV_DTYPE_Q5_1)
DEFINE_UNPACKING(q2_k, LCKV_DTYPE_Q2_K)
DEFINE_UNPACKING(q3_k, LCKV_DTYPE_Q3_K)
DEFINE_UNPACKING(iq4_nl, LCKV_DTYPE_IQ4_NL)
DEFINE_UNPACKING(iq4_xs, LCKV_DTYPE_IQ4_XS)
DEFINE_UNPACKING(mxfp4, LCKV_DTYPE_MXFP4)

static const struct unpacking unpackings[DTYPE_COUNT] = {
    [LCKV_DTYPE_Q5_0] = {unpack_q5_0, row_q5_0},
    [LCKV_DTYPE_Q5_1] = {unpack_q5_1, row_q5_1},
    [LCKV_DTYPE_Q2_K] = {unpack_q2_k, row_q2_k},
    [LCKV_DTYPE_Q3_K] = {unpack_q3_k, row_q3_k},
    [LCKV_DTYPE_IQ4_NL] = {unpack_iq4_nl, row_iq4_nl},
    [LCKV_DTYPE_IQ4_XS] = {unpack_iq4_xs, row_iq4_xs},
    [LCKV_DTYPE_MXFP4] = {unpack_mxfp4, row_mxfp4},
};

/* The product of a single row in fast precision. Memory is read without a pause. */
static void unpacked_row(const struct matrix *matrix, const struct activations *x, size_t begin,
                         size_t end, float *out)
{
    const struct unpacking *unpacking = &unpackings[matrix->dtype];
    struct panel_row at = panel_row(x->int8, INT8_BLOCK_BYTES, x->columns, 1, 0);
    for (size_t n = begin; n < end; n += LANES, out += LANES)
        unpacking->multiply_row(strip_at(LCKV_DTYPE_Q8_0, matrix, n),
                                matrix->n_columns / ACTIVATION_BLOCK, at, out);
}

/* The product in fast precision, as fast_multiply, of all types whose form is `form`. */
INLINE void unpacked_multiply(lckv_dtype form, const struct matrix *matrix,
                              const struct activations *x, size_t begin, size_t end, float *out,
                              size_t stride)
{
    struct ready_stretch ready;
    const struct unpacking *unpacking = &unpackings[matrix->dtype];
    size_t n_blocks = matrix->n_columns / ACTIVATION_BLOCK;
    if (x->n_rows == 1) {
        unpacked_row(matrix, x, begin, end, out);
        return;
    }
    size_t depth = x->n_rows <= TILE_ROWS ? UNPACKED_FEW_BLOCKS : FAST_BLOCKS;
    for (size_t n = begin; n < end; n += LANES, out += LANES) {
        const uint8_t *strip = strip_at(form, matrix, n);
        for (size_t b = 0, last; b < n_blocks; b = last) {
            last = n_blocks - b < depth ? n_blocks : b + depth;
            unpacking->unpack(strip, b, last, &ready);
            for (size_t m = 0; m < x->n_rows; m += PANEL_ROWS) {
                struct panel_row at =
                    panel_row(x->int8, INT8_BLOCK_BYTES, x->columns, x->n_rows, m);
                float *to = out + m * stride;
                FOR_TILES(at.row, at.height,
                          fast_tile(form, strip, &ready, b, last, at, rows, to, stride));
            }
        }
    }
}

DEFINE_MULTIPLY(unpacked, q8_0, LCKV_DTYPE_Q8_0)
DEFINE_MULTIPLY(unpacked, q5_k, LCKV_DTYPE_Q5_K)
DEFINE_MULTIPLY(unpacked, q2_k, LCKV_DTYPE_Q2_K)

/* Turns block `at` of a stretch into floats, placed as one vector of a float32 strip. */
static void unpacked_floats(lckv_dtype form, const struct ready_stretch *ready, size_t at,
                            float *out)
{
    const struct ready_block *block = &ready->blocks[at];
    UNROLL for (int q = 0; q < 8; q++)
    {
        vb quad = form == LCKV_DTYPE_Q8_0 ? vs_plain(block->quads[q]) : block->quads[q];
        vf scale = block->scale, offset = v_set(0);
        if (form == LCKV_DTYPE_Q5_K)
            offset = block->second;
        if (form == LCKV_DTYPE_Q2_K) {
            scale = q < 4 ? block->scale : block->second;
            offset = v_mul(ready->offsets[at][q / 4], v_set(-128));
        }
        UNROLL for (int i = 0; i < 4; i++)
            v_store(out + (4 * q + i) * FLOAT_STRIP, v_fma(v_from_byte(quad, i), scale, offset));
    }
}

/* The product in full precision for `n_vectors` (a constant) strips from row `first` on. */
INLINE void unpacked_full_product(const struct matrix *matrix, const struct activations *x,
                                  size_t first, size_t n_vectors, float *out, size_t stride)
{
    float floats[UNPACKED_COLUMNS * FLOAT_STRIP] __attribute__((aligned(64)));
    struct ready_stretch ready;
    const lckv_dtype form = unpacked_form(matrix->dtype);
    const struct unpacking *unpacking = &unpackings[matrix->dtype];
    const struct full_rows at = {x->values, x->stride, out, stride};
    for (size_t begin = 0, n, m = 0; begin < matrix->n_columns; begin += n, m = 0) {
        size_t left = matrix->n_columns - begin;
        n = left < UNPACKED_COLUMNS ? left : UNPACKED_COLUMNS;
        for (size_t v = 0; v < n_vectors; v++) {
            unpacking->unpack(strip_at(form, matrix, first + v * LANES), begin / 32,
                              (begin + n) / 32, &ready);
            for (size_t b = 0; b < n / 32; b++)
                unpacked_floats(form, &ready, b, floats + b * 32 * FLOAT_STRIP + v * LANES);
        }
        FOR_TILES(m, x->n_rows,
                  full_tile(form, NULL, (const uint8_t *)floats, n_vectors, begin, n, at, m, rows));
    }
}

INLINE void unpacked_full_multiply(lckv_dtype dtype, const struct matrix *matrix,
                                   const struct activations *x, size_t begin, size_t end,
                                   float *out, size_t stride)
{
    (void)dtype; /* one function serves all of these types */
    for (size_t n = begin; n < end; n += FLOAT_STRIP, out += FLOAT_STRIP) {
        if (end - n > LANES)
            unpacked_full_product(matrix, x, n, FLOAT_VECTORS, out, stride);
        else
            unpacked_full_product(matrix, x, n, 1, out, stride);
    }
}

DEFINE_MULTIPLY(unpacked_full, any, LCKV_DTYPE_DEFAULT)
