/*
 * Template: products of bfloat16 weights and activations with vdpbf16ps, which multiplies pairs of
 * columns and adds both products to a float32 sum. An output adds its pairs in ascending order.
 */

#define BF16_PAIRS 128 /* at once: two groups of them stay in the first-level cache */

/*
 * Pairs [begin, end) of `n_rows` rows of a panel from at.row on, for `n_groups` groups (constants).
 * A pair of activations is broadcast from the panel; the sums so far are taken up from `out`.
 */
INLINE void bf16_tile(const uint8_t *const *groups, size_t n_groups, size_t begin, size_t end,
                      struct panel_row at, size_t n_rows, float *out, size_t stride)
{
    vf sums[GROUPS_TOGETHER][TILE_ROWS];
    out += at.row * stride;
    UNROLL for (size_t g = 0; g < n_groups; g++)
    {
        UNROLL for (size_t m = 0; m < n_rows; m++) sums[g][m] =
            begin == 0 ? v_set(0) : v_load(out + m * stride + g * LANES);
    }
    for (size_t p = begin; p < end; p++) {
        const uint8_t *x = at.panel + BF16_BLOCK_BYTES * (p / 16 * at.height + at.row) + p % 16 * 4;
        vb weights[GROUPS_TOGETHER];
        UNROLL for (size_t g = 0; g < n_groups; g++)
        {
            prefetch_floats_ahead(groups[g] + 64 * p, n_rows);
            weights[g] = vb_load(groups[g] + 64 * p);
        }
        UNROLL for (size_t m = 0; m < n_rows; m++)
        {
            vb pair = vb_set_pair(x + m * BF16_BLOCK_BYTES);
            UNROLL for (size_t g = 0; g < n_groups; g++) sums[g][m] =
                v_dot_bf16(sums[g][m], weights[g], pair);
        }
    }
    UNROLL for (size_t g = 0; g < n_groups; g++)
    {
        UNROLL for (size_t m = 0; m < n_rows; m++)
            v_store(out + m * stride + g * LANES, sums[g][m]);
    }
}

INLINE void bf16_groups(const struct matrix *matrix, const struct activations *x, size_t first,
                        size_t n_groups, float *out, size_t stride)
{
    const uint8_t *groups[GROUPS_TOGETHER];
    UNROLL for (size_t g = 0; g < n_groups; g++) groups[g] = group_at(matrix, first + g);
    size_t n_pairs = (matrix->n_columns + 1) / 2;
    size_t at_once = x->n_rows <= TILE_ROWS ? n_pairs : BF16_PAIRS;
    for (size_t p = 0; p < n_pairs; p += at_once) {
        size_t end = p + at_once < n_pairs ? p + at_once : n_pairs;
        for (size_t m = 0; m < x->n_rows; m += PANEL_ROWS) {
            struct panel_row at = panel_row(x->bf16, BF16_BLOCK_BYTES, x->stride, x->n_rows, m);
            FOR_TILES(TILE_ROWS, at.row, at.height,
                      bf16_tile(groups, n_groups, p, end, at, rows, out + m * stride, stride));
        }
    }
}

static void bf16_part(const struct matrix *matrix, const struct activations *x, size_t begin,
                      size_t end, float *out, size_t stride)
{
    size_t g = begin;
    for (; x->n_rows == 1 && g < end; g++)
        bf16_groups(matrix, x, g, 1, out + (g - begin) * LANES, stride);
    for (; g + GROUPS_TOGETHER <= end; g += GROUPS_TOGETHER)
        bf16_groups(matrix, x, g, GROUPS_TOGETHER, out + (g - begin) * LANES, stride);
    for (; g < end; g++)
        bf16_groups(matrix, x, g, 1, out + (g - begin) * LANES, stride);
}

static void fast_multiply_bf16(const struct matrix *matrix, const struct activations *x,
                               size_t begin, size_t end, float *out, size_t stride)
{
    multiply_in_parts(bf16_part, matrix, x, begin, end, out, stride);
}

/* One row of `n` float32 into its panel. */
static void round_bf16(const float *values, size_t n, struct panel_row to)
{
    uint8_t *at = to.panel + to.row * BF16_BLOCK_BYTES;
    for (size_t c = 0; c < n; c += 32, at += to.height * BF16_BLOCK_BYTES) {
        for (size_t i = 0; i < 32; i += LANES)
            v_store_bf16((uint16_t *)(void *)at + i, v_load(values + c + i));
    }
}
