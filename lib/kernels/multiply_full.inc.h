/*
 * Template: products in full precision, for a set's vectors. A lane is an output row.
 *
 * Each output adds its columns in ascending order into one accumulator, so its bits do not depend
 * on how many rows share a tile. A tile takes two vectors of weight rows: a strip of a float type,
 * or two strips of another type, which become floats in the form of a float32 strip. If there are
 * few rows, each tile goes through whole strips and makes its floats on the way. If there are many,
 * all of them use one stretch of columns before the next; it stays near the core, where it stands
 * or as floats that are made once.
 */

#define FULL_COLUMNS 256              /* columns of a stretch */
#define FULL_FEW_ROWS (2 * TILE_ROWS) /* up to so many rows need no stretches */

/* The rows of activations that a tile multiplies, and the place for their sums. */
struct full_rows {
    const float *values;
    size_t stride; /* of values */
    float *out;
    size_t out_stride;
};

INLINE bool is_float(lckv_dtype dtype)
{
    return scales_bytes(dtype) == 0;
}

/* Whether tiles read a stretch where it stands, because making its floats costs next to nothing. */
INLINE bool full_in_place(lckv_dtype dtype)
{
    return FULL_IN_PLACE && (dtype == LCKV_DTYPE_F32 || dtype == LCKV_DTYPE_BF16);
}

/* Column `c` of vector v of a float type's strip; `odd`, a constant, is c % 2. */
INLINE vf full_weights(lckv_dtype dtype, const uint8_t *strip, size_t c, int odd, size_t v)
{
    if (dtype == LCKV_DTYPE_F16)
        return v_load_f16(strip + (c * FLOAT_VECTORS + v) * 2 * LANES);
    if (dtype == LCKV_DTYPE_BF16)
        return v_from_bf16(vb_load(strip + (c / 2 * FLOAT_VECTORS + v) * 4 * LANES), odd);
    return v_load((const float *)(const void *)strip + (c * FLOAT_VECTORS + v) * LANES);
}

/* Adds column `c` of `n_vectors` vectors times the values of `n_rows` rows. */
INLINE void full_add(lckv_dtype dtype, const uint8_t *strip, size_t n_vectors, size_t c, int odd,
                     const float *values, size_t stride, size_t n_rows, vf (*sums)[TILE_ROWS])
{
    vf weights[FLOAT_VECTORS];
    UNROLL for (size_t v = 0; v < n_vectors; v++) weights[v] =
        full_weights(dtype, strip, c, odd, v);
    UNROLL for (size_t m = 0; m < n_rows; m++)
    {
        vf value = v_set(values[m * stride + c]);
        UNROLL for (size_t v = 0; v < n_vectors; v++) sums[v][m] =
            v_fma(weights[v], value, sums[v][m]);
    }
}

/* Adds columns [0, n) of a float type's strip where it stands, or of float32 in a buffer. */
INLINE void full_columns(lckv_dtype dtype, bool in_place, const uint8_t *strip, size_t n_vectors,
                         size_t n, const float *values, size_t stride, size_t n_rows,
                         vf (*sums)[TILE_ROWS])
{
    const size_t bytes = body_bytes(dtype) / 16; /* of two columns */
    size_t c = 0;
    for (; in_place && c + 2 <= n; c += 2) {
        UNROLL for (size_t i = 0; i < bytes; i += 64)
            prefetch_floats_ahead(strip + c / 2 * bytes + i, n_rows);
        full_add(dtype, strip, n_vectors, c, 0, values, stride, n_rows, sums);
        full_add(dtype, strip, n_vectors, c + 1, 1, values, stride, n_rows, sums);
    }
    for (; c < n; c++)
        full_add(dtype, strip, n_vectors, c, 0, values, stride, n_rows, sums);
}

/* Adds all columns of a float type's strip, or of `n_vectors` strips of another type. */
INLINE void full_strips(lckv_dtype dtype, const uint8_t *const *strips, size_t n_vectors,
                        size_t n_columns, const float *values, size_t stride, size_t n_rows,
                        vf (*sums)[TILE_ROWS])
{
    float floats[32 * FLOAT_STRIP] __attribute__((aligned(64)));
    if (is_float(dtype)) {
        full_columns(dtype, true, strips[0], n_vectors, n_columns, values, stride, n_rows, sums);
        return;
    }
    for (size_t b = 0; b < n_columns / 32; b++) {
        UNROLL for (size_t v = 0; v < n_vectors; v++)
        {
            prefetch_blocks(dtype, strips[v], b, n_rows);
            unpack_block(dtype, strips[v], b, floats + v * LANES);
        }
        full_columns(LCKV_DTYPE_F32, false, (const uint8_t *)floats, n_vectors, 32, values + b * 32,
                     stride, n_rows, sums);
    }
}

/*
 * Computes `n_rows` (a constant) rows from row m on: from whole strips or, if `stretch` is not
 * NULL, from the columns that it holds, which begin with column `begin`. The sums go on from what
 * the stretch before this one left in `out`.
 */
INLINE void full_tile(lckv_dtype dtype, const uint8_t *const *strips, const uint8_t *stretch,
                      size_t n_vectors, size_t begin, size_t n_columns, struct full_rows at,
                      size_t m, size_t n_rows)
{
    vf sums[FLOAT_VECTORS][TILE_ROWS];
    float *out = at.out + m * at.out_stride;
    const float *values = at.values + m * at.stride + begin;
    UNROLL for (size_t v = 0; v < n_vectors; v++)
    {
        UNROLL for (size_t r = 0; r < n_rows; r++) sums[v][r] =
            begin == 0 ? v_set(0) : v_load(out + r * at.out_stride + v * LANES);
    }
    if (stretch != NULL)
        full_columns(full_in_place(dtype) ? dtype : LCKV_DTYPE_F32, full_in_place(dtype), stretch,
                     n_vectors, n_columns, values, at.stride, n_rows, sums);
    else
        full_strips(dtype, strips, n_vectors, n_columns, values, at.stride, n_rows, sums);
    UNROLL for (size_t v = 0; v < n_vectors; v++)
    {
        UNROLL for (size_t r = 0; r < n_rows; r++)
            v_store(out + r * at.out_stride + v * LANES, sums[v][r]);
    }
}

/* Turns column c of a float type's strip into float32. */
INLINE void full_float(lckv_dtype dtype, const uint8_t *strip, size_t c, int odd, float *floats)
{
    UNROLL for (size_t v = 0; v < FLOAT_VECTORS; v++)
        v_store(floats + c * FLOAT_STRIP + v * LANES, full_weights(dtype, strip, c, odd, v));
}

/* Turns `n` columns into float32, from column `begin` on, the first of a block. */
INLINE void full_floats(lckv_dtype dtype, const uint8_t *const *strips, size_t n_vectors,
                        size_t begin, size_t n, float *floats)
{
    if (!is_float(dtype)) {
        for (size_t c = 0; c < n; c += 32) {
            UNROLL for (size_t v = 0; v < n_vectors; v++) unpack_block(
                dtype, strips[v], (begin + c) / 32, floats + c * FLOAT_STRIP + v * LANES);
        }
        return;
    }
    const uint8_t *strip = body_at(dtype, strips[0], begin / 32);
    size_t c = 0;
    for (; c + 2 <= n; c += 2) {
        full_float(dtype, strip, c, 0, floats);
        full_float(dtype, strip, c + 1, 1, floats);
    }
    if (c < n)
        full_float(dtype, strip, c, 0, floats);
}

/*
 * Multiplies all activation rows by `n_vectors` (a constant) vectors of weight rows from row
 * `first` on.
 */
INLINE void full_product(lckv_dtype dtype, const struct matrix *matrix, const struct activations *x,
                         size_t first, size_t n_vectors, float *out, size_t stride)
{
    float floats[FULL_COLUMNS * FLOAT_STRIP] __attribute__((aligned(64)));
    const uint8_t *strips[FLOAT_VECTORS];
    const struct full_rows at = {x->values, x->stride, out, stride};
    size_t n_columns = matrix->n_columns;
    UNROLL for (size_t v = 0; v < n_vectors; v++) strips[v] =
        strip_at(dtype, matrix, first + v * LANES);
    if (x->n_rows <= FULL_FEW_ROWS) {
        size_t m = 0;
        FOR_TILES(m, x->n_rows,
                  full_tile(dtype, strips, NULL, n_vectors, 0, n_columns, at, m, rows));
        return;
    }
    for (size_t begin = 0, n, m = 0; begin < n_columns; begin += n, m = 0) {
        n = n_columns - begin < FULL_COLUMNS ? n_columns - begin : FULL_COLUMNS;
        const uint8_t *stretch = (const uint8_t *)floats;
        if (full_in_place(dtype))
            stretch = body_at(dtype, strips[0], begin / 32);
        else
            full_floats(dtype, strips, n_vectors, begin, n, floats);
        FOR_TILES(m, x->n_rows, full_tile(dtype, NULL, stretch, n_vectors, begin, n, at, m, rows));
    }
}

INLINE void full_multiply(lckv_dtype dtype, const struct matrix *matrix,
                          const struct activations *x, size_t begin, size_t end, float *out,
                          size_t stride)
{
    for (size_t n = begin; n < end; n += FLOAT_STRIP, out += FLOAT_STRIP) {
        if (is_float(dtype) || end - n > LANES)
            full_product(dtype, matrix, x, n, FLOAT_VECTORS, out, stride);
        else
            full_product(dtype, matrix, x, n, 1, out, stride);
    }
}

DEFINE_MULTIPLY(full, f32, LCKV_DTYPE_F32)
DEFINE_MULTIPLY(full, f16, LCKV_DTYPE_F16)
DEFINE_MULTIPLY(full, bf16, LCKV_DTYPE_BF16)
DEFINE_MULTIPLY(full, q8_0, LCKV_DTYPE_Q8_0)
DEFINE_MULTIPLY(full, q4_0, LCKV_DTYPE_Q4_0)
DEFINE_MULTIPLY(full, q4_1, LCKV_DTYPE_Q4_1)
DEFINE_MULTIPLY(full, q4_k, LCKV_DTYPE_Q4_K)
DEFINE_MULTIPLY(full, q5_k, LCKV_DTYPE_Q5_K)
DEFINE_MULTIPLY(full, q6_k, LCKV_DTYPE_Q6_K)
