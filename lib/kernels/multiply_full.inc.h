/*
 * Template: products in full precision, for a set's vectors (LANES = group rows).
 *
 * A lane is an output row. Each output adds its columns in ascending order into one accumulator, so
 * its bits do not depend on how many rows or groups share a tile. Where rows are few, a block of 32
 * columns is turned into floats as a tile comes to it, and more groups stand side by side, so that
 * independent sums hide the latency of the multiply-add. Where they are many, a longer stretch of
 * columns is turned into floats once for all of them.
 */

#define FULL_GROUPS 2                 /* beside each other, but for a single row */
#define FULL_COLUMNS 128              /* of a stretch: two groups stay in the first-level cache */
#define FULL_FEW_ROWS (2 * TILE_ROWS) /* up to which tiles make their own floats */

/* Weight groups beside each other; room for their columns [begin, end) as floats. */
struct full_groups {
    struct group at[GROUPS_TOGETHER];
    size_t begin, end;
    float floats[FULL_GROUPS * FULL_COLUMNS * LANES] __attribute__((aligned(64)));
};

/* 32 columns from c on as floats, [column][LANES]; `n` of them, fewer at a matrix's end. */
INLINE const float *full_block(lckv_dtype dtype, const struct group *group, size_t c, size_t n,
                               float *buffer)
{
    if (n < 32)
        return unpack_rest(dtype, group, c / 32, n, buffer);
    return unpack_block(dtype, group, c / 32, buffer);
}

/* `n_groups`, `n_rows` and `prepared` are constants. Sums are taken up where they were put down. */
INLINE void full_tile(lckv_dtype dtype, struct full_groups *groups, size_t n_groups, bool prepared,
                      const float *values, size_t x_stride, size_t n_rows, float *out,
                      size_t stride)
{
    const bool in_place = dtype == LCKV_DTYPE_F16 && !prepared; /* one instruction makes floats */
    vf sums[GROUPS_TOGETHER][TILE_ROWS];
    UNROLL for (size_t g = 0; g < n_groups; g++)
    {
        UNROLL for (size_t m = 0; m < n_rows; m++) sums[g][m] =
            groups->begin == 0 ? v_set(0) : v_load(out + m * stride + g * LANES);
    }
    for (size_t c = groups->begin, n; c < groups->end; c += n) {
        const float *w[GROUPS_TOGETHER];
        n = groups->end - c < 32 || prepared ? groups->end - c : 32;
        /* Of quantised types, floats take longer than memory. */
        if (!prepared && !in_place && head_bytes(dtype) == 0)
            prefetch_groups(dtype, groups->at, n_groups, c / 32);
        UNROLL for (size_t g = 0; g < n_groups; g++)
        {
            float *floats = groups->floats + g * (prepared ? FULL_COLUMNS : 32) * LANES;
            w[g] = prepared || in_place ? floats : full_block(dtype, &groups->at[g], c, n, floats);
        }
        for (size_t k = 0; k < n; k++) {
            vf weights[GROUPS_TOGETHER];
            if (in_place && k % 2 == 0) {
                UNROLL for (size_t g = 0; g < n_groups; g++)
                    prefetch_near(groups->at[g].body + (c + k) * 2 * LANES);
            }
            UNROLL for (size_t g = 0; g < n_groups; g++) weights[g] =
                in_place ? v_load_f16(groups->at[g].body + (c + k) * 2 * LANES)
                         : v_load(w[g] + k * LANES);
            UNROLL for (size_t m = 0; m < n_rows; m++)
            {
                vf value = v_set(values[m * x_stride + c + k]);
                UNROLL for (size_t g = 0; g < n_groups; g++) sums[g][m] =
                    v_fma(weights[g], value, sums[g][m]);
            }
        }
    }
    UNROLL for (size_t g = 0; g < n_groups; g++)
    {
        UNROLL for (size_t m = 0; m < n_rows; m++)
            v_store(out + m * stride + g * LANES, sums[g][m]);
    }
}

/* Columns [begin, end) of the groups as floats. */
INLINE void full_prepare(lckv_dtype dtype, struct full_groups *groups, size_t n_groups)
{
    UNROLL for (size_t g = 0; g < n_groups; g++)
    {
        float *floats = groups->floats + g * FULL_COLUMNS * LANES;
        for (size_t c = groups->begin; c < groups->end; c += 32, floats += 32 * LANES) {
            size_t n = groups->end - c < 32 ? groups->end - c : 32;
            const float *block = full_block(dtype, &groups->at[g], c, n, floats);
            if (dtype == LCKV_DTYPE_F32) /* they stand elsewhere */
                memcpy(floats, block, n * LANES * sizeof *floats);
        }
    }
}

/* All rows for `n_groups` (a constant) groups from `first` on. */
INLINE void full_rows(lckv_dtype dtype, const struct matrix *matrix, const struct activations *x,
                      size_t first, size_t n_groups, float *out, size_t stride)
{
    struct full_groups groups;
    size_t m = 0;
    UNROLL for (size_t g = 0; g < n_groups; g++) groups.at[g] = group_at(matrix, first + g);
    groups.begin = 0;
    groups.end = matrix->n_columns;
    if (n_groups > FULL_GROUPS) { /* a single row */
        full_tile(dtype, &groups, n_groups, false, x->values, x->stride, 1, out, stride);
        return;
    }
    if (x->n_rows <= FULL_FEW_ROWS) {
        FOR_TILES(TILE_ROWS, m, x->n_rows,
                  full_tile(dtype, &groups, n_groups, false, x->values + m * x->stride, x->stride,
                            rows, out + m * stride, stride));
        return;
    }
    for (size_t c = 0; c < matrix->n_columns; c = groups.end, m = 0) {
        groups.begin = c;
        groups.end = matrix->n_columns - c < FULL_COLUMNS ? matrix->n_columns : c + FULL_COLUMNS;
        full_prepare(dtype, &groups, n_groups);
        FOR_TILES(TILE_ROWS, m, x->n_rows,
                  full_tile(dtype, &groups, n_groups, true, x->values + m * x->stride, x->stride,
                            rows, out + m * stride, stride));
    }
}

INLINE void full_multiply(lckv_dtype dtype, const struct matrix *matrix,
                          const struct activations *x, size_t begin, size_t end, float *out,
                          size_t stride)
{
    size_t g = begin;
    if (x->n_rows <= FULL_FEW_ROWS && head_bytes(dtype) == 0)
        prefetch_first(dtype, matrix, begin, end, x->n_rows == 1 ? GROUPS_TOGETHER : FULL_GROUPS);
    for (; x->n_rows == 1 && g + GROUPS_TOGETHER <= end; g += GROUPS_TOGETHER)
        full_rows(dtype, matrix, x, g, GROUPS_TOGETHER, out + (g - begin) * LANES, stride);
    for (; g + FULL_GROUPS <= end; g += FULL_GROUPS)
        full_rows(dtype, matrix, x, g, FULL_GROUPS, out + (g - begin) * LANES, stride);
    for (; g < end; g++)
        full_rows(dtype, matrix, x, g, 1, out + (g - begin) * LANES, stride);
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
