/*
 * All threads fill the matrices of a model in one piece of memory. Packed files are used where they
 * lie, if they have the layout that the kernels want. load_weights.c decides which tensors become
 * what, and filling.c packs one matrix.
 */
#ifndef LCKV_MODEL_PACKER_H
#define LCKV_MODEL_PACKER_H

#include "base/checked.h"
#include "model/filling.h"
#include "model/model.h"

struct lckv_pool;
struct streaming;

struct packer {
    struct lckv_model *model;
    const lckv_model_options *options;
    struct filling *fillings;
    size_t n_fillings, capacity;
    uint64_t done, total;        /* bytes of weights in the files */
    struct streaming *streaming; /* NULL: the weights are not streamed */
};

/* What the calling thread does while others pack. */
typedef lckv_status (*packer_meanwhile)(struct lckv_model *model,
                                        const lckv_model_options *options);

/* Maps the matrix, or notes that it must be filled: then packer_run sets its data. */
CHECKED lckv_status packer_add(struct packer *packer, const struct tensor *tensor,
                               uint32_t paired_head_dim, struct matrix *matrix);

/*
 * Fills the matrices that were noted. `meanwhile` runs first on the calling thread, which then
 * packs with the others. If `meanwhile` fails, so does the call.
 */
CHECKED lckv_status packer_run(struct packer *packer, struct lckv_pool *pool,
                               packer_meanwhile meanwhile);
void packer_release(struct packer *packer);

#endif
