/*
 * Template: products in full precision, for a set's vectors (LANES = group rows).
 *
 * A lane is an output row. Each output adds its columns in ascending order into one accumulator, so
 * its bits do not depend on how many rows or groups share a tile. Where rows are few, a tile takes
 * float types as they stand and makes floats of others block by block. Where they are many, a
 * longer stretch of columns is turned into floats once for all of them.
 */

#define FULL_COLUMNS 128              /* of a stretch: two groups stay in the first-level cache */
#define FULL_FEW_ROWS (2 * TILE_ROWS) /* up to which tiles make their own floats */

/* Rows of activations that a tile multiplies, and where their sums are. */
struct full_rows {
    const float *values;
    size_t stride; /* of values */
    float *out;
    size_t out_stride;
};

/* Column `c` of a float type; `odd`, a constant, is c % 2. */
INLINE vf full_column(lckv_dtype dtype, const uint8_t *columns, size_t c, int odd)
{
    if (dtype == LCKV_DTYPE_F16)
        return v_load_f16(columns + c * 2 * LANES);
    if (dtype == LCKV_DTYPE_BF16)
        return v_from_bf16(vb_load(columns + c / 2 * 4 * LANES), odd);
    return v_load((const float *)(const void *)columns + c * LANES);
}

/* Adds column `c` of `n_groups` groups times the values of `n_rows` rows. */
INLINE void full_add(lckv_dtype dtype, const uint8_t *const *columns, size_t n_groups, size_t c,
                     int odd, const float *values, size_t stride, size_t n_rows,
                     vf (*sums)[TILE_ROWS])
{
    vf weights[GROUPS_TOGETHER];
    UNROLL for (size_t g = 0; g < n_groups; g++) weights[g] =
        full_column(dtype, columns[g], c, odd);
    UNROLL for (size_t m = 0; m < n_rows; m++)
    {
        vf value = v_set(values[m * stride + c]);
        UNROLL for (size_t g = 0; g < n_groups; g++) sums[g][m] =
            v_fma(weights[g], value, sums[g][m]);
    }
}

/* Columns [0, n) of a float type from memory, or of float32 from the cache. */
INLINE void full_columns(lckv_dtype dtype, bool from_memory, const uint8_t *const *columns,
                         size_t n_groups, size_t n, const float *values, size_t stride,
                         size_t n_rows, vf (*sums)[TILE_ROWS])
{
    const size_t bytes = body_bytes(dtype) / 16; /* of two columns */
    size_t c = 0;
    for (; from_memory && c + 2 <= n; c += 2) {
        for (size_t g = 0; g < n_groups; g++) {
            UNROLL for (size_t i = 0; i < bytes; i += 64)
                prefetch_floats_ahead(columns[g] + c / 2 * bytes + i, n_rows);
        }
        full_add(dtype, columns, n_groups, c, 0, values, stride, n_rows, sums);
        full_add(dtype, columns, n_groups, c + 1, 1, values, stride, n_rows, sums);
    }
    for (; c < n; c++)
        full_add(dtype, columns, n_groups, c, 0, values, stride, n_rows, sums);
}

/* All columns of groups as files have them, whole blocks but of float types. */
INLINE void full_groups(lckv_dtype dtype, const uint8_t *const *groups, size_t n_groups,
                        size_t n_columns, const float *values, size_t stride, size_t n_rows,
                        vf (*sums)[TILE_ROWS])
{
    float floats[GROUPS_TOGETHER][32 * LANES] __attribute__((aligned(64)));
    const uint8_t *columns[GROUPS_TOGETHER];
    if (head_bytes(dtype) == 0) {
        full_columns(dtype, true, groups, n_groups, n_columns, values, stride, n_rows, sums);
        return;
    }
    for (size_t b = 0; b < n_columns / 32; b++) {
        UNROLL for (size_t g = 0; g < n_groups; g++)
        {
            prefetch_blocks(dtype, groups[g], b, n_rows);
            unpack_block(dtype, groups[g], b, floats[g]);
            columns[g] = (const uint8_t *)floats[g];
        }
        full_columns(LCKV_DTYPE_F32, false, columns, n_groups, 32, values + b * 32, stride, n_rows,
                     sums);
    }
}

/*
 * `n_rows` (a constant) rows from row m on: of whole groups, or with `floats` of a stretch of their
 * columns from `begin` on. Sums are taken up where they were put down.
 */
INLINE void full_tile(lckv_dtype dtype, bool floats, const uint8_t *const *groups, size_t n_groups,
                      size_t begin, size_t n_columns, struct full_rows at, size_t m, size_t n_rows)
{
    vf sums[GROUPS_TOGETHER][TILE_ROWS];
    float *out = at.out + m * at.out_stride;
    const float *values = at.values + m * at.stride + begin;
    UNROLL for (size_t g = 0; g < n_groups; g++)
    {
        UNROLL for (size_t r = 0; r < n_rows; r++) sums[g][r] =
            begin == 0 ? v_set(0) : v_load(out + r * at.out_stride + g * LANES);
    }
    if (floats)
        full_columns(LCKV_DTYPE_F32, false, groups, n_groups, n_columns, values, at.stride, n_rows,
                     sums);
    else
        full_groups(dtype, groups, n_groups, n_columns, values, at.stride, n_rows, sums);
    UNROLL for (size_t g = 0; g < n_groups; g++)
    {
        UNROLL for (size_t r = 0; r < n_rows; r++)
            v_store(out + r * at.out_stride + g * LANES, sums[g][r]);
    }
}

/* `n` columns of a group from `begin` on, the first of a block, as floats. */
INLINE void full_floats(lckv_dtype dtype, const uint8_t *group, size_t begin, size_t n,
                        float *floats)
{
    if (head_bytes(dtype) > 0) {
        for (size_t c = 0; c < n; c += 32)
            unpack_block(dtype, group, (begin + c) / 32, floats + c * LANES);
        return;
    }
    const uint8_t *columns = body_at(dtype, group, begin / 32);
    for (size_t c = 0; c + 2 <= n; c += 2) {
        v_store(floats + c * LANES, full_column(dtype, columns, c, 0));
        v_store(floats + (c + 1) * LANES, full_column(dtype, columns, c + 1, 1));
    }
    if (n % 2 != 0)
        v_store(floats + (n - 1) * LANES, full_column(dtype, columns, n - 1, 0));
}

/* All rows for `n_groups` (a constant) groups from `first` on. */
INLINE void full_product(lckv_dtype dtype, const struct matrix *matrix, const struct activations *x,
                         size_t first, size_t n_groups, float *out, size_t stride)
{
    float floats[GROUPS_TOGETHER][FULL_COLUMNS * LANES] __attribute__((aligned(64)));
    const uint8_t *groups[GROUPS_TOGETHER], *columns[GROUPS_TOGETHER];
    const struct full_rows at = {x->values, x->stride, out, stride};
    size_t n_columns = matrix->n_columns;
    UNROLL for (size_t g = 0; g < n_groups; g++) groups[g] = group_at(matrix, first + g);
    if (x->n_rows <= FULL_FEW_ROWS) {
        size_t m = 0;
        FOR_TILES(TILE_ROWS, m, x->n_rows,
                  full_tile(dtype, false, groups, n_groups, 0, n_columns, at, m, rows));
        return;
    }
    for (size_t begin = 0, n, m = 0; begin < n_columns; begin += n, m = 0) {
        n = n_columns - begin < FULL_COLUMNS ? n_columns - begin : FULL_COLUMNS;
        UNROLL for (size_t g = 0; g < n_groups; g++)
        {
            full_floats(dtype, groups[g], begin, n, floats[g]);
            columns[g] = (const uint8_t *)floats[g];
        }
        FOR_TILES(TILE_ROWS, m, x->n_rows,
                  full_tile(dtype, true, columns, n_groups, begin, n, at, m, rows));
    }
}

INLINE void full_multiply(lckv_dtype dtype, const struct matrix *matrix,
                          const struct activations *x, size_t begin, size_t end, float *out,
                          size_t stride)
{
    /*
     * Memory is fastest from end to end. But a sum takes one column in four cycles, and where a
     * column has few bytes, one row needs the sums of two groups to keep up with memory.
     */
    const bool single = LANES == 16 && dtype == LCKV_DTYPE_F32;
    size_t g = begin;
    for (; single && x->n_rows == 1 && g < end; g++)
        full_product(dtype, matrix, x, g, 1, out + (g - begin) * LANES, stride);
    for (; g + GROUPS_TOGETHER <= end; g += GROUPS_TOGETHER)
        full_product(dtype, matrix, x, g, GROUPS_TOGETHER, out + (g - begin) * LANES, stride);
    for (; g < end; g++)
        full_product(dtype, matrix, x, g, 1, out + (g - begin) * LANES, stride);
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
