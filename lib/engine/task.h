/*
 * A worker's part in a pass: how the work of a step is claimed, and how steps end.
 *
 * All workers go through the same steps in the same order. A step has units of work, of which each
 * worker claims some, until none is left. The worker that reports the last unit ends the step, so a
 * step never waits for a worker that has claimed nothing: a late worker passes over the steps that
 * are over and joins at the present one. A worker reads what other workers write only while it
 * holds a claim, because only then can the step not end meanwhile.
 */
#ifndef LCKV_ENGINE_TASK_H
#define LCKV_ENGINE_TASK_H

#include "base/checked.h"
#include "engine/pass.h"

#define TASK_MOST_PIECES UINT16_MAX /* in a step: struct claims counts them in 16 bits */

struct task {
    const struct worker *worker;
    struct pass *pass;
    const struct batch *batch; /* the rows of the next steps */
    uint32_t n_steps;          /* steps that the worker has passed, over or not */
    bool left;                 /* it takes no further part, and passes over all steps */
    uint64_t n_portions;       /* portions of streamed weights that the worker has come to */
    struct model_layer layer;  /* streamed weights, where they are now */
    struct output_part output;
};

struct step {
    struct task *task;
    size_t count, align, most;
    uint32_t n_pieces, n_taken; /* pieces in all, and taken by this worker */
};

struct task task_begin(const struct worker *worker, struct pass *pass);

/* The share of `count` units that the worker claims first, from its front, in step_claim. */
struct range task_own(const struct task *task, size_t count, size_t align);

/*
 * Begins a step of `count` units, which may be none. Each claim but the last is a multiple of
 * `align` units. It has at most `most` units, which is no less than `align`.
 */
struct step step_begin(struct task *task, size_t count, size_t align, size_t most);

/*
 * Claims some units. A worker claims from the front of its own share first, so that it reads memory
 * in order, in large pieces and then in smaller ones. After that it claims from the ends of other
 * shares, so that all workers finish together. False if nothing is left, or the step is over.
 */
CHECKED bool step_claim(struct step *step, struct range *range);

/* Reports what the worker has done, and waits for what others are still doing. */
void step_end(struct step *step);

#endif
