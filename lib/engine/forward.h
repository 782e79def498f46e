/*
 * The forward pass: it takes rows of tokens through the layers, as docs/semantics.md, section 2,
 * defines.
 */
#ifndef LCKV_ENGINE_FORWARD_H
#define LCKV_ENGINE_FORWARD_H

#include "engine/workspace.h"

/* One pass: what all its workers share. */
struct pass {
    struct lckv_cache *cache;
    const struct lckv_model *model;
    struct workspace *workspace;
    size_t n_rows; /* of workspace->rows; their sessions have pages for their positions */
    size_t n_runs;
    bool runs_alone; /* no session has two runs */
    bool few;        /* each worker prepares all rows for itself */
    bool all_wanted; /* something of every row, as the pass begins */
    bool logits_wanted;
    bool iterated; /* cyclic groups are computed `n_iterations` times over all rows */
    uint32_t n_iterations;
    bool openblas;       /* this pass may use it */
    size_t n_layer_rows; /* counts rows through layers, for the report */
    bool stop;           /* set between layers when the call was cancelled */
};

/* Runs the pass on the cache's threads. LCKV_CANCELLED if lckv_cache_cancel asked for it. */
lckv_status forward(struct pass *pass);

#endif
