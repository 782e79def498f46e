/*
 * How a tensor of a checkpoint becomes a matrix: packed from rows, packed anew from another layout,
 * or mapped where a file has it as the kernels want it. Which tensors become what is pack.c's.
 */
#ifndef LCKV_MODEL_PACKER_H
#define LCKV_MODEL_PACKER_H

#include "model/model.h"

struct lckv_pool;

struct packer {
    struct lckv_model *model;
    struct lckv_pool *pool;
    bool may_map;    /* packed files may be used where they lie */
    uint8_t *pieces; /* one for each thread */
    size_t piece_bytes, n_pieces;
    uint64_t done, total; /* bytes of weights */
    lckv_progress_callback progress;
    void *progress_user;
};

/* Room for a piece of at least `wanted` bytes for each thread. */
lckv_status packer_size_pieces(struct packer *packer, uint64_t wanted);
void packer_release_pieces(struct packer *packer);

/* Reports progress; LCKV_CANCELLED if the caller says so. */
lckv_status packer_advance(struct packer *packer, uint64_t bytes);

/*
 * The row of a GGUF file that belongs in row `row`, where neighbours (2 d, 2 d + 1) of a head are
 * to be rotated together: they come back to (d, d + head_dim / 2). 0: as it stands.
 */
uint32_t packer_source_row(uint32_t row, uint32_t paired_head_dim);

lckv_status packer_fill(struct packer *packer, const struct tensor *tensor,
                        uint32_t paired_head_dim, struct matrix *matrix);

#endif
