/*
 * Packed weights: the rows of a matrix interleaved in groups of 8 or 16, so that a vector lane is
 * an output row and each output sums over the input in one order whatever the tile. And the
 * activations that they are multiplied with. docs/kernels.md draws the layouts.
 */
#ifndef LCKV_KERNELS_MATRIX_H
#define LCKV_KERNELS_MATRIX_H

#include "base/memory.h"
#include "format/dtype.h"

#define ACTIVATION_BLOCK 32 /* elements that share a scale */
#define MATRIX_MAX_GROUP 16

struct matrix {
    lckv_dtype dtype; /* 0: no matrix */
    uint32_t n_rows, n_columns;
    uint32_t group_rows;
    uint32_t n_groups; /* n_rows / group_rows, rounded up; missing rows are zero */
    size_t group_bytes;
    uint8_t *data; /* n_groups x group_bytes, aligned to MEMORY_ALIGN */
    size_t n_bytes;
};

struct activations {
    size_t n_rows, n_columns;
    const float *values; /* [n_rows, stride], zero beyond n_columns up to whole blocks */
    size_t stride;       /* in elements, a multiple of ACTIVATION_BLOCK */
    int8_t *quants;      /* [n_rows, stride] in fast precision */
    float *scales;       /* [n_rows, stride / ACTIVATION_BLOCK] */
    int32_t *sums;       /* of the quants of each block */
};

/* Allocates (zeroed) room for a matrix. */
lckv_status matrix_create(struct matrix *matrix, lckv_dtype dtype, uint32_t n_rows,
                          uint32_t n_columns, uint32_t group_rows, const lckv_allocator *allocator);
void matrix_release(struct matrix *matrix, const lckv_allocator *allocator);

/* Puts one row, `bytes` as files store it, into its place. */
void matrix_pack_row(struct matrix *matrix, uint32_t row, const void *bytes);

/* Takes a row out as float32 [n_columns]. */
void matrix_unpack_row(const struct matrix *matrix, uint32_t row, float *values);

#endif
