/*
 * Template: products of bfloat16 weights and activations with vdpbf16ps, which multiplies pairs of
 * columns and adds both products to a float32 sum. An output adds its pairs in ascending order.
 */

#define BF16_PAIRS 128 /* of a stretch, which stays in the first-level cache */
#define BF16_PAIR_BYTES (FLOAT_VECTORS * 4 * LANES) /* of a pair of columns in a strip */

/*
 * What a tile fetches from memory. If it is the only one, that is the weights that it comes to
 * soon. Where several tiles use a stretch one after the other, all but the first find it in the
 * caches, and memory would be idle while they compute. So there each fetches its share of the next
 * stretch, some bytes for each pair of its own.
 */
struct share {
    const uint8_t *begin;
    size_t bytes; /* for each step of the tile, here a pair; 0: the tile is the only one */
};

/* The share of tile `tile` of all that `n_rows` take. `next` follows a stretch of `n_pairs`. */
INLINE struct share share_of_tile(const uint8_t *next, size_t n_pairs, size_t tile, size_t n_rows)
{
    size_t n_tiles = (n_rows + TILE_ROWS - 1) / TILE_ROWS;
    size_t bytes = n_tiles == 1 ? 0 : (BF16_PAIR_BYTES + n_tiles - 1) / n_tiles;
    return (struct share){next + tile * n_pairs * bytes, bytes};
}

/*
 * Adds pairs [begin, end) of a strip for `n_rows` (a constant) rows of a panel from at.row on. A
 * pair of activations is broadcast from the panel. The sums go on from what `out` holds.
 */
INLINE void bf16_tile(const uint8_t *strip, size_t begin, size_t end, struct share share,
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
            const uint8_t *pairs = strip + p * BF16_PAIR_BYTES + v * 4 * LANES;
            if (share.bytes == 0)
                prefetch_floats_ahead(pairs, n_rows);
            weights[v] = vb_load(pairs);
        }
        if (share.bytes > 0) /* at most one line */
            __builtin_prefetch(share.begin + (p - begin) * share.bytes, 0, 2);
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
    size_t n_pairs = (matrix->n_columns + 1) / 2;
    size_t at_once = x->n_rows <= TILE_ROWS ? n_pairs : BF16_PAIRS;
    for (size_t n = begin; n < end; n += FLOAT_STRIP, out += FLOAT_STRIP) {
        const uint8_t *strip = strip_at(LCKV_DTYPE_BF16, matrix, n);
        for (size_t p = 0, last; p < n_pairs; p = last) {
            last = n_pairs - p < at_once ? n_pairs : p + at_once;
            const uint8_t *next = strip + last * BF16_PAIR_BYTES;
            for (size_t m = 0; m < x->n_rows; m += PANEL_ROWS) {
                struct panel_row at =
                    panel_row(x->bf16, BF16_BLOCK_BYTES, x->columns, x->n_rows, m);
                FOR_TILES(
                    at.row, at.height,
                    bf16_tile(strip, p, last,
                              share_of_tile(next, last - p, (m + at.row) / TILE_ROWS, x->n_rows),
                              at, rows, out + m * stride, stride));
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
