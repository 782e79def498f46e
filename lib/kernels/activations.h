/*
 * The activations that products read: rows of float32 and, in fast precision, the same rows
 * quantised. Rows are quantised once for all products that read them, in panels of up to PANEL_ROWS
 * rows.
 *
 * A panel of h rows holds one block of 32 columns after the other, so that a product reads it from
 * one end to the other. In INPUT_INT8 a block takes 48 bytes for each row:
 *
 *     int8    quants[h][32]     within -127 .. 127
 *     float32 scales[h]         one for each row
 *     int32   offsets[h]        -128 times the sum of the quants
 *     int32   half_offsets[h]   the same for the first 16 columns
 *     float32 sums[h]           scale times the sum of the quants
 *
 * In INPUT_BF16 a block takes 64 bytes for each row: bfloat16 values[h][32].
 */
#ifndef LCKV_KERNELS_ACTIVATIONS_H
#define LCKV_KERNELS_ACTIVATIONS_H

#include <stddef.h>
#include <stdint.h>

#define ACTIVATION_BLOCK 32 /* columns that share a scale */
#define PANEL_ROWS 16       /* the most rows that a tile of a product takes */
#define INT8_BLOCK_BYTES 48
#define BF16_BLOCK_BYTES 64

enum input_form { INPUT_FLOAT, INPUT_INT8, INPUT_BF16 };

struct activations {
    size_t n_rows;
    const float *values; /* [n_rows, stride] */
    size_t stride;       /* elements from row to row of `values` */
    size_t columns;      /* that panels have, a multiple of ACTIVATION_BLOCK */
    uint8_t *int8;       /* panels; NULL if no product reads this form */
    uint8_t *bf16;
};

/* The place of a row in its panel. */
struct panel_row {
    uint8_t *panel;
    size_t height; /* rows of the panel */
    size_t row;    /* in the panel */
};

/* Row `row` of panels of so many columns and rows. */
static inline struct panel_row panel_row(uint8_t *panels, size_t block_bytes, size_t columns,
                                         size_t n_rows, size_t row)
{
    size_t first = row / PANEL_ROWS * PANEL_ROWS, left = n_rows - first;
    struct panel_row at = {panels + first * (columns / ACTIVATION_BLOCK) * block_bytes,
                           left < PANEL_ROWS ? left : PANEL_ROWS, row - first};
    return at;
}

/*
 * Gives rows [first, first + n). `first` must begin a panel, and the last row must end one or be
 * the last of `x`.
 */
static inline struct activations activations_rows(const struct activations *x, size_t first,
                                                  size_t n)
{
    struct activations rows = *x;
    size_t n_blocks = first * (x->columns / ACTIVATION_BLOCK);
    rows.n_rows = n;
    rows.values += first * x->stride;
    rows.int8 = x->int8 != NULL ? x->int8 + n_blocks * INT8_BLOCK_BYTES : NULL;
    rows.bf16 = x->bf16 != NULL ? x->bf16 + n_blocks * BF16_BLOCK_BYTES : NULL;
    return rows;
}

/* Pointers into one INPUT_INT8 block, to the entries of a row. */
struct int8_block {
    const int8_t *quants;
    const float *scales;
    const int32_t *offsets, *half_offsets;
    const float *sums;
};

static inline struct int8_block int8_block(struct panel_row at, size_t block)
{
    const uint8_t *quants = at.panel + block * at.height * INT8_BLOCK_BYTES;
    const void *tail = quants + 32 * at.height + 4 * at.row;
    struct int8_block parts = {(const int8_t *)quants + 32 * at.row, (const float *)tail,
                               (const int32_t *)tail + at.height,
                               (const int32_t *)tail + 2 * at.height,
                               (const float *)tail + 3 * at.height};
    return parts;
}

#endif
