/*
 * A worker's part in a pass: steps that barriers end, rows that it prepares, work that it claims.
 */
#ifndef LCKV_ENGINE_TASK_H
#define LCKV_ENGINE_TASK_H

#include "engine/forward.h"

struct task {
    const struct worker *worker;
    struct pass *pass;
    struct stream
        *stream;       /* what it prepares rows in: its own where rows are few, else the pass's */
    struct range rows; /* the rows that it prepares: all where they are few, else its share */
    size_t step;       /* barriers passed */
};

struct task task_begin(const struct worker *worker, struct pass *pass);

/* After the pass's number of rows has changed. */
void task_share_rows(struct task *task);

/* Ends a step: what every worker wrote in it is visible to all in the next. */
void task_barrier(struct task *task);

/*
 * The same where workers have prepared their share of the rows; nothing where each has prepared all
 * rows for itself.
 */
void task_rows_ready(struct task *task);

/* The share of `count` units that a worker claims from first, from its front; task_claim's. */
struct range task_own(const struct task *task, size_t count, size_t align);

/*
 * Takes some of `count` units, for one kind of work a step: a worker's own share from its front on,
 * so that it reads memory in order, large pieces first, then smaller ones; after that of others'
 * from their ends, so that all end together. Pieces are multiples of `align`, at most `most`, which
 * is no less. False if nothing is left.
 */
bool task_claim(struct task *task, size_t count, size_t align, size_t most, struct range *range);

#endif
