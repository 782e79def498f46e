/*
 * Template: products of bfloat16 weights and activations with vdpbf16ps, which multiplies pairs of
 * columns and adds both products to a float32 sum. An output adds its pairs in ascending order.
 */

#define BF16_PAIRS 128 /* of a stretch, which stays in the first-level cache */

/*
 * Adds pairs [begin, end) of a strip for `n_rows` (a constant) rows of a panel from at.row on. A
 * pair of activations is broadcast from the panel. The sums go on from what `out` holds.
 */
INLINE void bf16_tile(const uint8_t *strip, size_t begin, size_t end, struct shares shares,
                      struct panel_row at, size_t n_rows, float *out, size_t stride)
{
    vf sums[FLOAT_VECTORS][TILE_ROWS];
    out += at.row * stride;
    UNROLL for (size_t v = 0; v < FLOAT_VECTORS; v++)
    {
        UNROLL for (size_t m = 0; m < n_rows; m++) sums[v][m] =
            begin == 0 ? v_set(0) : v_load(out + m * stride + v * LANES);
    }
    for (size_t p = begin; p < end; p++) {
        const uint8_t *x = at.panel + BF16_BLOCK_BYTES * (p / 16 * at.height + at.row) + p % 16 * 4;
        vb weights[FLOAT_VECTORS];
        UNROLL for (size_t v = 0; v < FLOAT_VECTORS; v++)
        {
            const uint8_t *pairs = strip + (p * FLOAT_VECTORS + v) * 4 * LANES;
            if (shares.step_bytes == 0)
                prefetch_floats_ahead(pairs, n_rows);
            weights[v] = vb_load(pairs);
        }
        prefetch_share(shares, at.row, p - begin);
        UNROLL for (size_t m = 0; m < n_rows; m++)
        {
            vb pair = vb_set_pair(x + m * BF16_BLOCK_BYTES);
            UNROLL for (size_t v = 0; v < FLOAT_VECTORS; v++) sums[v][m] =
                v_dot_bf16(sums[v][m], weights[v], pair);
        }
    }
    UNROLL for (size_t v = 0; v < FLOAT_VECTORS; v++)
    {
        UNROLL for (size_t m = 0; m < n_rows; m++)
            v_store(out + m * stride + v * LANES, sums[v][m]);
    }
}

static void bf16_part(const struct matrix *matrix, const struct activations *x, size_t begin,
                      size_t end, float *out, size_t stride)
{
    const size_t pair_bytes = FLOAT_VECTORS * 4 * LANES;
    size_t n_pairs = (matrix->n_columns + 1) / 2;
    size_t at_once = x->n_rows <= TILE_ROWS ? n_pairs : BF16_PAIRS;
    for (size_t n = begin; n < end; n += FLOAT_STRIP, out += FLOAT_STRIP) {
        const uint8_t *strip = strip_at(LCKV_DTYPE_BF16, matrix, n);
        for (size_t p = 0, last; p < n_pairs; p = last) {
            last = n_pairs - p < at_once ? n_pairs : p + at_once;
            for (size_t m = 0; m < x->n_rows; m += PANEL_ROWS) {
                struct shares shares =
                    shares_of_panel(strip + last * pair_bytes, last - p, pair_bytes, m, x->n_rows);
                struct panel_row at =
                    panel_row(x->bf16, BF16_BLOCK_BYTES, x->columns, x->n_rows, m);
                FOR_TILES(at.row, at.height,
                          bf16_tile(strip, p, last, shares, at, rows, out + m * stride, stride));
            }
        }
    }
}

static void fast_multiply_bf16(const struct matrix *matrix, const struct activations *x,
                               size_t begin, size_t end, float *out, size_t stride)
{
    multiply_in_parts(bf16_part, matrix, x, begin, end, out, stride);
}

/* Rounds one row of `n` float32 into its panel. */
static void round_bf16(const float *values, size_t n, struct panel_row to)
{
    uint8_t *at = to.panel + to.row * BF16_BLOCK_BYTES;
    for (size_t c = 0; c < n; c += 32, at += to.height * BF16_BLOCK_BYTES) {
        for (size_t i = 0; i < 32; i += LANES)
            v_store_bf16((uint16_t *)(void *)at + i, v_load(values + c + i));
    }
}
