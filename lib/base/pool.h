/*
 * The thread pool: runs one function on all workers at once, with barriers inside it.
 *
 * How work is divided is the function's business; pool_share() divides it by range. Threads start
 * with the first run, spin for at most 50 microseconds at a barrier, then sleep; nothing runs
 * between runs. After fork(2) the child starts its own threads.
 */
#ifndef LCKV_BASE_POOL_H
#define LCKV_BASE_POOL_H

#include "base/memory.h"

struct lckv_pool; /* = lckv_pool, counted */

struct worker {
    struct lckv_pool *pool;
    uint32_t index; /* 0 is the calling thread */
    uint32_t count;
};

typedef void (*pool_function)(const struct worker *worker, void *context);

/*
 * `n_threads` 0: the physical cores that this process may use (affinity mask, hyper-threads once).
 */
lckv_status pool_create(uint32_t n_threads, const lckv_allocator *allocator,
                        struct lckv_pool **pool);
void pool_retain(struct lckv_pool *pool);
void pool_release(struct lckv_pool *pool);
uint32_t pool_size(const struct lckv_pool *pool);

/*
 * Runs `function` on every worker and returns when all have ended. Several callers take turns. If
 * the system refuses threads, the run goes on with those that there are (worker->count tells). A
 * run that the caller (worker 0) begins within its run of the same pool, as in a host's callback,
 * has that thread alone; other workers must not begin one.
 */
void pool_run(struct lckv_pool *pool, pool_function function, void *context);

/* Waits until all workers of the run are here; what they wrote before is visible after. */
void pool_barrier(const struct worker *worker);

/* This worker's part [begin, end) of `count` units. */
struct range {
    size_t begin, end;
};
struct range pool_share(const struct worker *worker, size_t count);

#endif
