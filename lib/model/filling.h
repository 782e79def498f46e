/*
 * How a tensor of a file becomes a matrix in memory: in pieces, each of which is read and
 * interleaved by itself, so that any thread may take any of them. packer.c decides who takes which.
 */
#ifndef LCKV_MODEL_FILLING_H
#define LCKV_MODEL_FILLING_H

#include "base/checked.h"
#include "format/checkpoint.h"
#include "kernels/matrix.h"

struct filling {
    const struct tensor *tensor;
    struct matrix *matrix;    /* its data is set before the first piece is packed */
    size_t offset;            /* of its data in the memory of all weights */
    uint64_t row_bytes;       /* of a row in the file; 0 if the file is packed */
    struct packed_size from;  /* the file's strips, if it is packed */
    uint32_t paired_head_dim; /* as in filling_source_row */
    uint32_t strips_at_once;  /* strips in a piece */
    uint64_t piece_bytes;     /* the most bytes that a piece needs: of the file, and then: */
    uint64_t converted;       /* where rows of another type go that are converted; 0: none */
    size_t n_pieces;
};

/*
 * The row of a GGUF file that belongs in row `row`. If the file rotates neighbours (2 d, 2 d + 1)
 * of a head together, they go back to (d, d + head_dim / 2). If `paired_head_dim` is 0, rows stay
 * where they are.
 */
uint32_t filling_source_row(uint32_t row, uint32_t paired_head_dim);

/* Measures the matrix, of the tensor's type and shape in `layout`, and cuts it into pieces. */
CHECKED lckv_status filling_init(struct filling *filling, const struct tensor *tensor,
                                 uint32_t paired_head_dim, struct matrix_layout layout,
                                 struct matrix *matrix);

/*
 * Packs one piece into its place in `data`, the data of the matrix. `buffer` has room for
 * `piece_bytes`.
 */
CHECKED lckv_status filling_pack(const struct filling *filling, const struct checkpoint *checkpoint,
                                 size_t piece, uint8_t *buffer, uint8_t *data);

#endif
