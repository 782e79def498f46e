/*
 * Packed weights: the rows of a matrix are interleaved in strips, so that a vector lane is an
 * output row and each output sums over the input in one order, whatever the tile. docs/kernels.md
 * draws the layouts.
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
    uint8_t *owned;      /* what matrix_create allocated; NULL for a view */
};

/* Allocates room for a matrix, whose strips must all be packed before it is read. */
CHECKED lckv_status matrix_create(struct matrix *matrix, lckv_dtype dtype, uint32_t n_rows,
                                  uint32_t n_columns, struct matrix_layout layout,
                                  const lckv_allocator *allocator);

/*
 * Makes a matrix of strips that lie at `data`, aligned, and must stay there. They may be packed
 * later.
 */
CHECKED lckv_status matrix_view(struct matrix *matrix, lckv_dtype dtype, uint32_t n_rows,
                                uint32_t n_columns, struct matrix_layout layout,
                                const uint8_t *data);
void matrix_release(struct matrix *matrix, const lckv_allocator *allocator);

/*
 * Packs one strip of a matrix to `to` [size.strip_bytes]. rows[lane] are the bytes of its rows as
 * files store them, NULL for rows beyond the last.
 */
void matrix_pack_strip(const struct matrix *matrix, const uint8_t *const *rows, uint8_t *to);

/*
 * Packs strip number `strip` to `to` from strips of the same matrix in another layout, which have
 * size `size`. `strips` begins with number `first` of these, and has all those that hold rows of
 * this one.
 */
void matrix_repack_strip(const struct matrix *matrix, uint32_t strip, struct matrix_layout layout,
                         const struct packed_size *size, const uint8_t *strips, uint32_t first,
                         uint8_t *to);

/* Reads a row as float32 [n_columns]. */
void matrix_unpack_row(const struct matrix *matrix, uint32_t row, float *values);

#endif
