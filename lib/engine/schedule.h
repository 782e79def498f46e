/*
 * The schedule of a call: which rows go together into which pass.
 */
#ifndef LCKV_ENGINE_SCHEDULE_H
#define LCKV_ENGINE_SCHEDULE_H

#include "base/checked.h"
#include "engine/forward.h"

#define MAX_PASSES 65536

enum encoding {
    ENCODE_EXACT,    /* tokens wait for all that come before them, in cyclic stages at least */
    ENCODE_PARALLEL, /* as many tokens a pass as fit; exact for plans without upward layers */
    ENCODE_WINDOW,   /* tokens go through cyclic stages in a window, within a tolerance */
    ENCODE_ITERATED  /* all new tokens of an item go several times through cyclic stages */
};

struct scheduled {
    lckv_item item; /* a copy, whose tokens lie in the session's own table */
    enum encoding encoding;
    size_t n_logits, n_hidden; /* wanted rows: those of the last tokens */
    float *logits, *hidden;    /* where they go */
    bool in_cache;             /* its logits are rows that the cache holds */
    uint64_t n_copies;         /* of pages that it will write to and others hold */
    size_t done;               /* tokens that have gone through the layers */
};

struct schedule {
    struct lckv_cache *cache;
    struct scheduled *items;
    size_t n_items;
    uint64_t chunk; /* the most tokens of one item in a parallel pass */
    uint32_t n_iterations;
    uint32_t window; /* tokens, for ENCODE_WINDOW */
    bool has_window; /* it counts: for items that the window of 1 made exact, too */
    float tolerance;
    float residual;     /* the largest change below it with which a token left the window */
    bool gives_up_kept; /* to make room for the call */
    uint64_t n_tokens, n_rows, n_passes;
    uint64_t n_told; /* tokens that the last call of `progress` told of */
    lckv_progress_callback progress;
    void *progress_user;
};

/* The row of token t of an item. */
struct row schedule_row(const struct schedule *schedule, const struct scheduled *item, size_t t);

/* Runs a pass, and tells the caller of the progress. */
CHECKED lckv_status schedule_pass(struct schedule *schedule, struct pass *pass);

/* Runs all passes. If it fails, the sessions hold pages that the caller must roll back. */
CHECKED lckv_status schedule_run(struct schedule *schedule);

#endif
