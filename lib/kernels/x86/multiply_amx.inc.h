/*
 * Template: products with 8-bit activations on AMX tiles, for 16 rows at once.
 *
 * A tile instruction multiplies 16 rows of activations by 16 weight rows over 32 columns (16 in
 * q6_K, whose scales change there). It adds the products exactly, as the vectors of
 * multiply_fast.inc.h do, and the sums are scaled in the same order. So an output's bits are the
 * same whether tiles or vectors take its row: tiles take whole panels, vectors the rows that are
 * left.
 *
 * Instructions are written out, because GCC 12's intrinsics do not say which memory they read.
 */

#define AMX_BLOCKS 16  /* of 32 columns, ready as signed bytes: 8 KiB */
#define AMX_TILES 4    /* of sums: multiplying, storing and scaling run two tiles apart */
#define AMX_FETCHERS 8 /* panels that share the fetching of weights, at most */

/* A stretch of a strip, ready for tiles. A sub-block is the part of a block that has one scale. */
struct amx_stretch {
    int8_t weights[AMX_BLOCKS * 32 * LANES];     /* [sub-block][columns / 4][LANES][4] */
    float scales[2 * AMX_BLOCKS * LANES];        /* [sub-block][LANES] */
    float minimums[AMX_BLOCKS * LANES];          /* to be multiplied by the sums of activations */
    int32_t dots[AMX_TILES][PANEL_ROWS * LANES]; /* of the last sub-blocks, not scaled yet */
} __attribute__((aligned(64)));

INLINE size_t amx_columns(lckv_dtype dtype)
{
    return dtype == LCKV_DTYPE_Q6_K ? 16 : 32;
}

/* The shapes of the tiles. */
struct amx_config {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
};

INLINE void amx_configure(const struct amx_config *config)
{
    __asm__ volatile("ldtilecfg %0" : : "m"(*config));
}

/* Tiles 0 to 3 are sums [16][16] of int32, 4 and 5 activations [16][columns], 6 and 7 weights. */
INLINE void amx_begin(size_t columns)
{
    struct amx_config config = {.palette = 1};
    for (int tile = 0; tile < 8; tile++) {
        config.rows[tile] = tile < 6 ? PANEL_ROWS : (uint8_t)(columns / 4);
        config.row_bytes[tile] = tile < 4 || tile > 5 ? 4 * LANES : (uint16_t)columns;
    }
    amx_configure(&config);
}

INLINE void amx_end(void)
{
    __asm__ volatile("tilerelease" : : : "memory");
}

/* Tile `sums` becomes activations (rows 32 bytes apart) times weights. */
#define AMX_ADD(sums, left, right)                                                             \
    __asm__ volatile("tileloadd (%0,%1,1), %%tmm" #left "\n\t"                                 \
                     "tileloadd (%2,%3,1), %%tmm" #right "\n\t"                                \
                     "tilezero %%tmm" #sums "\n\t"                                             \
                     "tdpbssd %%tmm" #right ", %%tmm" #left ", %%tmm" #sums                    \
                     :                                                                         \
                     : "r"(activations), "r"((size_t)32), "r"(weights), "r"((size_t)4 * LANES) \
                     : "memory")

INLINE void amx_add(int tile, const int8_t *activations, const int8_t *weights)
{
    if (tile == 0)
        AMX_ADD(0, 4, 6);
    else if (tile == 1)
        AMX_ADD(1, 5, 7);
    else if (tile == 2)
        AMX_ADD(2, 4, 6);
    else
        AMX_ADD(3, 5, 7);
}

#define AMX_STORE(sums)                                     \
    __asm__ volatile("tilestored %%tmm" #sums ", (%0,%1,1)" \
                     :                                      \
                     : "r"(dots), "r"((size_t)4 * LANES)    \
                     : "memory")

INLINE void amx_store(int tile, int32_t *dots)
{
    if (tile == 0)
        AMX_STORE(0);
    else if (tile == 1)
        AMX_STORE(1);
    else if (tile == 2)
        AMX_STORE(2);
    else
        AMX_STORE(3);
}

/* Unpacks block b: its numbers as signed bytes, its scales and its minimums. */
INLINE void amx_block(lckv_dtype dtype, const uint8_t *strip, size_t b, int8_t *weights,
                      float *scales, float *minimums)
{
    struct weight_block block = block_at(dtype, strip, b, b % 2);
    v_store(scales, block.scale);
    if (dtype == LCKV_DTYPE_Q6_K)
        v_store(scales + LANES, block.second);
    else
        v_store(minimums, block.second);
    vb quads[8];
    UNROLL for (int q = 0; q < 8; q++) quads[q] = block_plain(dtype, &block, q);
    UNROLL for (int q = 0; q < 8; q++) vb_store(weights + q * 4 * LANES, quads[q]);
}

/* Scales sub-block u of a stretch, which begins with block `begin`, into the sums of a panel. */
INLINE void amx_scale(lckv_dtype dtype, const struct amx_stretch *stretch, size_t u, size_t begin,
                      struct panel_row at, vf *sums)
{
    const int32_t *dots = stretch->dots[u % AMX_TILES];
    struct int8_block x = int8_block(at, begin + u / (32 / amx_columns(dtype)));
    vf scale = v_load(stretch->scales + u * LANES);
    UNROLL for (size_t m = 0; m < PANEL_ROWS; m++) sums[m] =
        v_fma(v_from_int(vi_load(dots + m * LANES)), v_mul(scale, v_set(x.scales[m])), sums[m]);
    if (has_minimums(dtype)) {
        vf minimum = v_load(stretch->minimums + u * LANES);
        UNROLL for (size_t m = 0; m < PANEL_ROWS; m++) sums[m] =
            v_fma(minimum, v_set(x.sums[m]), sums[m]);
    }
}

/* A panel fetches sub-block `first` of what follows the stretch, and then every `every`-th. */
struct amx_fetch {
    const uint8_t *next;
    size_t first, every;
};

/*
 * A few panels take turns, so that memory is busy while any of them computes. Where there are many,
 * the weights come soon enough if the first one fetches them all.
 */
INLINE struct amx_fetch amx_fetch(const uint8_t *next, size_t panel, size_t n_panels)
{
    if (n_panels <= AMX_FETCHERS)
        return (struct amx_fetch){next, panel, n_panels};
    return (struct amx_fetch){next, panel == 0 ? 0 : SIZE_MAX, 1};
}

/*
 * Adds blocks [begin, end) for a whole panel. The sums go on from what the blocks before these left
 * in `out`. A sub-block is multiplied in one step, stored two steps later and scaled two later
 * still: each takes longer than the processor looks ahead, so they run beside each other. Meanwhile
 * the panel fetches its part of the next stretch, and of what follows that, into the second-level
 * cache.
 */
INLINE void amx_panel(lckv_dtype dtype, struct amx_stretch *stretch, size_t begin, size_t end,
                      struct panel_row at, struct amx_fetch fetch, float *out, size_t stride)
{
    vf sums[PANEL_ROWS];
    const size_t columns = amx_columns(dtype), sub_blocks = 32 / columns,
                 n = (end - begin) * sub_blocks, n_bytes = block_bytes(dtype) / sub_blocks;
    UNROLL for (size_t m = 0; m < PANEL_ROWS; m++) sums[m] =
        begin == 0 ? v_set(0) : v_load(out + m * stride);
    for (size_t step = 0; step < n + AMX_TILES; step += AMX_TILES) {
        UNROLL for (int tile = 0; tile < AMX_TILES; tile++)
        {
            size_t u = step + (size_t)tile;
            int other = (tile + AMX_TILES / 2) % AMX_TILES;
            if (u == fetch.first) {
                for (size_t i = 0; i < n_bytes; i += 64)
                    __builtin_prefetch(fetch.next + u * n_bytes + i, 0, 2);
                fetch.first += fetch.every;
            }
            if (u < n)
                amx_add(tile,
                        int8_block(at, begin + u / sub_blocks).quants + u % sub_blocks * columns,
                        stretch->weights + u * columns * LANES);
            if (u - AMX_TILES / 2 < n) /* not below 0, where it wraps */
                amx_store(other, stretch->dots[other]);
            if (u - AMX_TILES < n)
                amx_scale(dtype, stretch, u - AMX_TILES, begin, at, sums);
        }
    }
    UNROLL for (size_t m = 0; m < PANEL_ROWS; m++) v_store(out + m * stride, sums[m]);
}

INLINE void amx_multiply(lckv_dtype dtype, const struct matrix *matrix, const struct activations *x,
                         size_t begin, size_t end, float *out, size_t stride)
{
    const size_t columns = amx_columns(dtype), sub_blocks = 32 / columns;
    const size_t n_blocks = matrix->n_columns / ACTIVATION_BLOCK;
    struct amx_stretch stretch;
    if (x->n_rows < PANEL_ROWS) {
        fast_multiply(dtype, matrix, x, begin, end, out, stride);
        return;
    }
    amx_begin(columns);
    for (size_t n = begin; n < end; n += LANES, out += LANES) {
        const uint8_t *strip = strip_at(dtype, matrix, n);
        for (size_t b = 0, last; b < n_blocks; b = last) {
            last = n_blocks - b < AMX_BLOCKS ? n_blocks : b + AMX_BLOCKS;
            for (size_t i = 0; i < last - b; i++)
                amx_block(dtype, strip, b + i, stretch.weights + i * 32 * LANES,
                          stretch.scales + i * sub_blocks * LANES, stretch.minimums + i * LANES);
            const uint8_t *next = strip + last * block_bytes(dtype);
            for (size_t m = 0; m < x->n_rows; m += PANEL_ROWS) {
                struct panel_row at =
                    panel_row(x->int8, INT8_BLOCK_BYTES, x->columns, x->n_rows, m);
                float *to = out + m * stride;
                if (at.height == PANEL_ROWS)
                    amx_panel(dtype, &stretch, b, last, at,
                              amx_fetch(next, m / PANEL_ROWS, x->n_rows / PANEL_ROWS), to, stride);
                else
                    FOR_TILES(at.row, at.height,
                              fast_tile(dtype, strip, NULL, b, last, at, rows, to, stride));
            }
        }
    }
    amx_end();
}

DEFINE_MULTIPLY(amx, q8_0, LCKV_DTYPE_Q8_0)
DEFINE_MULTIPLY(amx, q4_0, LCKV_DTYPE_Q4_0)
DEFINE_MULTIPLY(amx, q4_1, LCKV_DTYPE_Q4_1)
DEFINE_MULTIPLY(amx, q4_k, LCKV_DTYPE_Q4_K)
DEFINE_MULTIPLY(amx, q5_k, LCKV_DTYPE_Q5_K)
DEFINE_MULTIPLY(amx, q6_k, LCKV_DTYPE_Q6_K)
