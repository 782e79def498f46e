/*
 * Packed weights: the rows of a matrix interleaved in strips, so that a vector lane is an output
 * row and each output sums over the input in one order whatever the tile.
 * docs/kernels.md draws the layouts.
 */
#ifndef LCKV_KERNELS_MATRIX_H
#define LCKV_KERNELS_MATRIX_H

#include "base/checked.h"
#include "base/memory.h"
#include "format/packed.h"

struct matrix {
    lckv_dtype dtype; /* 0: no matrix */
    uint32_t n_rows, n_columns;
    struct matrix_layout layout;
    struct packed_size size;
    const uint8_t *data; /* [size.n_strips][size.strip_bytes], aligned to PACKED_ALIGNMENT */
    uint8_t *owned;      /* the same, or NULL for a view */
};

/* Allocates room for a matrix, whose strips must all be packed before it is read. */
CHECKED lckv_status matrix_create(struct matrix *matrix, lckv_dtype dtype, uint32_t n_rows,
                                  uint32_t n_columns, struct matrix_layout layout,
                                  const lckv_allocator *allocator);

/* A matrix whose strips lie, or are going to lie, aligned elsewhere, and must stay there. */
CHECKED lckv_status matrix_view(struct matrix *matrix, lckv_dtype dtype, uint32_t n_rows,
                                uint32_t n_columns, struct matrix_layout layout,
                                const uint8_t *data);
void matrix_release(struct matrix *matrix, const lckv_allocator *allocator);

/*
 * Packs one strip of such a matrix to `to` [size.strip_bytes]: rows[lane] are the bytes of its rows
 * as files store them; NULL for rows beyond the last.
 */
void matrix_pack_strip(const struct matrix *matrix, const uint8_t *const *rows, uint8_t *to);

/*
 * Packs strip `strip` to `to` from the strips of another layout: `strips` begins with strip `first`
 * of the same matrix in that layout, whose size is `size`, and has all those that hold rows of this
 * one.
 */
void matrix_repack_strip(const struct matrix *matrix, uint32_t strip, struct matrix_layout layout,
                         const struct packed_size *size, const uint8_t *strips, uint32_t first,
                         uint8_t *to);

/* Takes a row out as float32 [n_columns]. */
void matrix_unpack_row(const struct matrix *matrix, uint32_t row, float *values);

#endif
