/*
 * A pass: rows of tokens on their way through the layers, and what all workers of it share.
 *
 * While the pass runs, nothing here changes except the atomic counters of the workspace: a worker
 * that comes late must find everything as the others found it.
 */
#ifndef LCKV_ENGINE_PASS_H
#define LCKV_ENGINE_PASS_H

#include "engine/stages.h"
#include "engine/workspace.h"

/* Rows that go through a layer together. */
struct batch {
    const struct row *rows;
    size_t n_rows;
    const struct slice *slices; /* the same rows, by session */
    size_t n_slices;
    bool slices_alone; /* no session has two slices */
};

struct pass {
    struct lckv_cache *cache;
    const struct lckv_model *model;
    struct workspace *workspace;
    struct stage stage; /* what the pass computes */
    size_t n_rows;      /* of workspace->rows; their sessions have pages for their positions */
    bool openblas;      /* this pass may use it */
    bool measures;      /* how far keys and values move: movement.h */

    /* forward() sets the rest. */
    struct batch all;
    struct batch wanted; /* the rows of which logits or a hidden state are wanted */
    bool few;            /* each worker prepares the rows of a product for itself */
    bool logits_wanted, hidden_wanted;
};

#endif
