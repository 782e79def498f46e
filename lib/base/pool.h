/*
 * The thread pool: runs one function on several workers at once, in steps.
 *
 * A machine is shared with other programs, so a thread may get its processor late. No run waits for
 * a worker that has not begun: work is never assigned, the workers that are there claim it, and a
 * run may end before some of them came. A run may have steps, each of which reads what the step
 * before has written. A step is over when its work is done, and the worker that finishes the last
 * of it says so; a worker that comes late passes over the steps that are over. The function itself
 * divides and counts the work (engine/task.h).
 *
 * Threads start with the first run. A thread that waits for a step to end spins for a short time,
 * and then sleeps; between runs all of them sleep. After fork(2) the child starts its own threads.
 */
#ifndef LCKV_BASE_POOL_H
#define LCKV_BASE_POOL_H

#include "base/checked.h"
#include "base/memory.h"

struct lckv_pool; /* = lckv_pool, counted */
struct member;

struct worker {
    struct lckv_pool *pool;
    uint32_t index;        /* 0 is the calling thread */
    uint32_t count;        /* workers that may come to this run; indices are below */
    uint32_t first_step;   /* the number of the run's first step */
    struct member *member; /* NULL: the calling thread */
};

typedef void (*pool_function)(const struct worker *worker, void *context);

/* `n_threads` 0: processors_default(). */
CHECKED lckv_status pool_create(uint32_t n_threads, const lckv_allocator *allocator,
                                struct lckv_pool **pool);
void pool_retain(struct lckv_pool *pool);
void pool_release(struct lckv_pool *pool);
uint32_t pool_size(const struct lckv_pool *pool);

/*
 * Runs `function` on the caller, which is worker 0, and on the other workers as they come, and
 * returns when it has returned on all that came; it may be called again on a worker that has left a
 * step. Runs of the same `kind` take about the same time, so that the pool can learn whether they
 * go faster alone (base/company.h); runs of kind 0 have nothing in common. Several callers take
 * turns. A run that the caller begins within its run of the same pool, as a host's callback may do,
 * has that thread alone; other workers must not begin one.
 */
void pool_run(struct lckv_pool *pool, uint32_t kind, pool_function function, void *context);

/*
 * Steps are numbered one after the other, modulo 2^32. pool_step_over tells whether `step`, which
 * is the present one or an earlier one, is over; if it is, all that its workers wrote is visible.
 * pool_step_done ends the present step; one worker calls it, once. pool_step_wait waits until
 * `step` is over. It returns false if that takes long and the worker should leave: its function
 * returns, and is called again once the step is over. Worker 0 never leaves. A run of one worker
 * has nothing to wait for.
 */
CHECKED bool pool_step_over(const struct worker *worker, uint32_t step);
void pool_step_done(const struct worker *worker);
CHECKED bool pool_step_wait(const struct worker *worker, uint32_t step);

/* This worker's share [begin, end) of `count` units, if all workers got equal shares. */
struct range {
    size_t begin, end;
};
struct range pool_share(const struct worker *worker, size_t count);

#endif
