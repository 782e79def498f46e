/*
 * How a tensor of a file becomes a matrix in memory: in pieces, each read and interleaved by
 * itself, so that any thread may take any of them. packer.c shares them out.
 */
#ifndef LCKV_MODEL_FILLING_H
#define LCKV_MODEL_FILLING_H

#include "base/checked.h"
#include "format/checkpoint.h"
#include "kernels/matrix.h"

struct filling {
    const struct tensor *tensor;
    struct matrix *matrix;    /* its data is set before the first piece is packed */
    size_t offset;            /* of its data, in the memory of all weights */
    uint64_t row_bytes;       /* of the file; 0 if it is packed: */
    struct packed_size from;  /* its strips */
    uint32_t paired_head_dim; /* as in filling_source_row */
    uint32_t strips_at_once;  /* in a piece */
    uint64_t piece_bytes;     /* of the file, at most */
    size_t n_pieces;
};

/*
 * The row of a GGUF file that belongs in row `row`, where neighbours (2 d, 2 d + 1) of a head are
 * to be rotated together: they come back to (d, d + head_dim / 2). 0: as it stands.
 */
uint32_t filling_source_row(uint32_t row, uint32_t paired_head_dim);

/* Measures the matrix, of the tensor's type and shape in `layout`, and cuts it into pieces. */
CHECKED lckv_status filling_init(struct filling *filling, const struct tensor *tensor,
                                 uint32_t paired_head_dim, struct matrix_layout layout,
                                 struct matrix *matrix);

/* Packs one piece to its place at `data`, the matrix's; `buffer` has room for `piece_bytes`. */
CHECKED lckv_status filling_pack(const struct filling *filling, const struct checkpoint *checkpoint,
                                 size_t piece, uint8_t *buffer, uint8_t *data);

#endif
