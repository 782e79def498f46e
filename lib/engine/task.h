/*
 * A worker's part in a pass: how the work of a step is claimed, and how steps end.
 *
 * All workers go through the same steps in the same order. A step has units of work, of which each
 * worker claims some, until none is left. The worker that reports the last unit ends the step, so a
 * step never waits for a worker that has claimed nothing: whoever comes late passes over the steps
 * that are over and joins at the present one. A worker reads what other workers write only while it
 * holds a claim, because only then can the step not end meanwhile.
 */
#ifndef LCKV_ENGINE_TASK_H
#define LCKV_ENGINE_TASK_H

#include "base/checked.h"
#include "engine/pass.h"

#define TASK_MOST_PIECES UINT16_MAX /* of a step: struct claims counts them in 16 bits */

struct task {
    const struct worker *worker;
    struct pass *pass;
    const struct batch *batch; /* the rows that the next steps are about */
    uint32_t n_steps;          /* that lie behind it, over or not */
    bool left;                 /* it takes no further part: it passes over all steps */
};

struct step {
    struct task *task;
    size_t count, align, most;
    uint32_t n_pieces, n_taken; /* in all, and by this worker */
};

struct task task_begin(const struct worker *worker, struct pass *pass);

/* The share of `count` units that a worker claims from first, from its front; step_claim's. */
struct range task_own(const struct task *task, size_t count, size_t align);

/*
 * A step of `count` units, which may be none. A claim is a multiple of `align` units (but for the
 * last), and at most `most`, which is no less.
 */
struct step step_begin(struct task *task, size_t count, size_t align, size_t most);

/*
 * Takes some units: a worker's own share from its front on, so that it reads memory in order, large
 * pieces first, then smaller ones; after that of others' from their ends, so that all end together.
 * False if nothing is left, or the step is over.
 */
CHECKED bool step_claim(struct step *step, struct range *range);

/* Reports what the worker has done, and waits for what others still do. */
void step_end(struct step *step);

#endif
