/*
 * Packed weights: the rows of a matrix interleaved in groups of 8 or 16, so that a vector lane is
 * an output row and each output sums over the input in one order whatever the tile.
 * docs/kernels.md draws the layouts.
 */
#ifndef LCKV_KERNELS_MATRIX_H
#define LCKV_KERNELS_MATRIX_H

#include "base/memory.h"
#include "format/dtype.h"

#include <stdbool.h>

#define MATRIX_MAX_GROUP 16

/* What a kernel set wants of the packed form. */
struct matrix_layout {
    uint32_t group_rows; /* rows that are interleaved: the lanes of a vector */
    bool unsigned_bytes; /* q8_0 is stored as w + 128 */
};

/*
 * A group holds first the heads of all its blocks (scales and minimums), from 64 bytes to 64 bytes,
 * then their bodies (the numbers).
 */
struct matrix {
    lckv_dtype dtype; /* 0: no matrix */
    uint32_t n_rows, n_columns;
    struct matrix_layout layout;
    uint32_t n_groups; /* n_rows / group_rows, rounded up; missing rows are zero */
    size_t group_bytes;
    size_t body;   /* where in a group the bodies begin */
    uint8_t *data; /* n_groups x group_bytes, aligned to MEMORY_ALIGN */
    size_t n_bytes;
};

/* Allocates room for a matrix, whose groups must all be packed before it is read. */
lckv_status matrix_create(struct matrix *matrix, lckv_dtype dtype, uint32_t n_rows,
                          uint32_t n_columns, struct matrix_layout layout,
                          const lckv_allocator *allocator);
void matrix_release(struct matrix *matrix, const lckv_allocator *allocator);

/*
 * Packs one group: rows[lane] are the bytes of its rows as files store them; NULL for rows beyond
 * the last.
 */
void matrix_pack_group(struct matrix *matrix, uint32_t group, const uint8_t *const *rows);

/* Takes a row out as float32 [n_columns]. */
void matrix_unpack_row(const struct matrix *matrix, uint32_t row, float *values);

#endif
