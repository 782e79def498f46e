/*
 * Template: products of bfloat16 weights and activations on AMX tiles. An instruction multiplies up
 * to 16 rows of activations by 16 weight rows over 32 columns.
 *
 * Tiles take every number of rows, single ones too. A tile adds the products of its columns in an
 * order of its own, which is the same for every row, and then the sum to the output's. So an
 * output's bits do not depend on what other rows are computed with it.
 */

#define AMX_BF16_ROWS (2 * PANEL_ROWS) /* that are computed at once: two tiles of activations */
#define AMX_BF16_BLOCK_BYTES (16 * BF16_PAIR_BYTES) /* of 32 columns of a strip */
#define AMX_BF16_AHEAD (4 * AMX_BF16_BLOCK_BYTES)   /* how far weights are fetched ahead */

_Static_assert(FLOAT_VECTORS == 2, "a strip is two tiles of weights");

/*
 * Tiles 0 and 1 are the sums of the first `rows[0]` rows and the two vectors of weights; tiles 2
 * and 3 are those of `rows[1]` more. Tiles 4 and 5 are activations, 6 and 7 weights.
 */
static void amx_bf16_begin(const size_t rows[2])
{
    struct amx_config config = {.palette = 1};
    for (size_t tile = 0; tile < 8; tile++) {
        const size_t half = tile < 4 ? tile / 2 : tile - 4;
        config.rows[tile] = tile < 6 ? (uint8_t)rows[half] : 16;
        config.row_bytes[tile] = config.rows[tile] > 0 ? 64 : 0;
    }
    amx_configure(&config);
}

/* Adds 32 columns: weights of both vectors times one tile of activations, or two. */
INLINE void amx_bf16_add(const uint8_t *weights, const uint8_t *const x[2], bool two)
{
    __asm__ volatile("tileloadd (%0,%1,1), %%tmm4\n\t"
                     "tileloadd (%2,%3,1), %%tmm6\n\t"
                     "tdpbf16ps %%tmm6, %%tmm4, %%tmm0\n\t"
                     "tileloadd 64(%2,%3,1), %%tmm7\n\t"
                     "tdpbf16ps %%tmm7, %%tmm4, %%tmm1"
                     :
                     : "r"(x[0]), "r"((size_t)BF16_BLOCK_BYTES), "r"(weights),
                       "r"((size_t)BF16_PAIR_BYTES)
                     : "memory");
    if (two)
        __asm__ volatile("tileloadd (%0,%1,1), %%tmm5\n\t"
                         "tdpbf16ps %%tmm6, %%tmm5, %%tmm2\n\t"
                         "tdpbf16ps %%tmm7, %%tmm5, %%tmm3"
                         :
                         : "r"(x[1]), "r"((size_t)BF16_BLOCK_BYTES)
                         : "memory");
}

INLINE void amx_bf16_zero(bool two)
{
    __asm__ volatile("tilezero %tmm0\n\ttilezero %tmm1");
    if (two)
        __asm__ volatile("tilezero %tmm2\n\ttilezero %tmm3");
}

#define AMX_BF16_STORE(first, second)                            \
    __asm__ volatile("tilestored %%tmm" #first ", (%0,%1,1)\n\t" \
                     "tilestored %%tmm" #second ", 64(%0,%1,1)"  \
                     :                                           \
                     : "r"(out), "r"(stride * sizeof(float))     \
                     : "memory")

/* Multiplies a strip by the rows of one panel, or of two; `two` is a constant. */
INLINE void amx_bf16_strip(const uint8_t *strip, size_t n_columns, const struct panel_row panels[2],
                           bool two, struct share share, float *out, size_t stride)
{
    const size_t n_blocks = n_columns / 32, rest = n_columns % 32;
    const uint8_t *x[2] = {panels[0].panel, panels[1].panel};
    amx_bf16_zero(two);
    for (size_t b = 0; b < n_blocks; b++) {
        const uint8_t *weights = strip + b * AMX_BF16_BLOCK_BYTES;
        for (size_t i = 0; share.bytes == 0 && i < AMX_BF16_BLOCK_BYTES; i += 64)
            __builtin_prefetch(weights + AMX_BF16_AHEAD + i);
        for (size_t i = 0; i < share.bytes; i += 64)
            __builtin_prefetch(share.begin + b * share.bytes + i, 0, 2);
        amx_bf16_add(weights, x, two);
        x[0] += panels[0].height * BF16_BLOCK_BYTES;
        x[1] += two ? panels[1].height * BF16_BLOCK_BYTES : 0;
    }
    if (rest > 0) { /* beyond the last column is another strip, or nothing */
        uint8_t last[AMX_BF16_BLOCK_BYTES] = {0};
        memcpy(last, strip + n_blocks * AMX_BF16_BLOCK_BYTES, (rest + 1) / 2 * BF16_PAIR_BYTES);
        amx_bf16_add(last, x, two);
    }
    AMX_BF16_STORE(0, 1);
    out += panels[0].height * stride;
    if (two)
        AMX_BF16_STORE(2, 3);
}

/*
 * The share of the next strip that a group of rows fetches for each of its blocks, as the tiles of
 * multiply_bf16.inc.h do in a stretch. A group that is alone fetches what it comes to soon.
 */
INLINE struct share amx_bf16_share(const uint8_t *next, size_t n_blocks, size_t group,
                                   size_t n_groups)
{
    size_t lines = n_groups == 1 ? 0 : (AMX_BF16_BLOCK_BYTES / 64 + n_groups - 1) / n_groups;
    return (struct share){next + group * n_blocks * lines * 64, lines * 64};
}

static void amx_bf16_part(const struct matrix *matrix, const struct activations *x, size_t begin,
                          size_t end, float *out, size_t stride)
{
    const size_t n_columns = matrix->n_columns,
                 n_groups = (x->n_rows + AMX_BF16_ROWS - 1) / AMX_BF16_ROWS;
    size_t rows[2] = {0};
    for (size_t n = begin; n < end; n += FLOAT_STRIP, out += FLOAT_STRIP) {
        const uint8_t *strip = strip_at(LCKV_DTYPE_BF16, matrix, n);
        for (size_t g = 0; g < n_groups; g++) {
            const size_t m = g * AMX_BF16_ROWS;
            struct panel_row panels[2] = {
                panel_row(x->bf16, BF16_BLOCK_BYTES, x->columns, x->n_rows, m)};
            if (m + PANEL_ROWS < x->n_rows)
                panels[1] =
                    panel_row(x->bf16, BF16_BLOCK_BYTES, x->columns, x->n_rows, m + PANEL_ROWS);
            if (panels[0].height != rows[0] || panels[1].height != rows[1]) {
                rows[0] = panels[0].height;
                rows[1] = panels[1].height;
                amx_bf16_begin(rows);
            }
            const struct share share =
                amx_bf16_share(strip + matrix->size.strip_bytes, n_columns / 32, g, n_groups);
            if (rows[1] > 0)
                amx_bf16_strip(strip, n_columns, panels, true, share, out + m * stride, stride);
            else
                amx_bf16_strip(strip, n_columns, panels, false, share, out + m * stride, stride);
        }
    }
    amx_end();
}

static void amx_multiply_bf16(const struct matrix *matrix, const struct activations *x,
                              size_t begin, size_t end, float *out, size_t stride)
{
    multiply_in_parts(amx_bf16_part, matrix, x, begin, end, out, stride);
}
