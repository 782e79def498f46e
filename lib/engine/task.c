/*
 * A worker's part in a pass. See task.h.
 */
#include "engine/task.h"

#include <stdatomic.h>

struct task task_begin(const struct worker *worker, struct pass *pass)
{
    struct task task = {.worker = worker, .pass = pass};
    task.stream = pass->few ? &pass->workspace->own[worker->index] : &pass->workspace->shared;
    task_share_rows(&task);
    return task;
}

void task_share_rows(struct task *task)
{
    task->rows = task->pass->few ? (struct range){0, task->pass->n_rows}
                                 : pool_share(task->worker, task->pass->n_rows);
}

/*
 * Three counters of each worker take turns. The one of the next step was last used two steps ago,
 * which all workers have left, and none enters the next step before this one comes to the barrier.
 */
static struct claims *claims_of(const struct task *task, uint32_t worker, size_t step)
{
    return &task->pass->workspace->claims[worker * CLAIM_STEPS + step % CLAIM_STEPS];
}

void task_barrier(struct task *task)
{
    atomic_store_explicit(&claims_of(task, task->worker->index, task->step + 1)->taken, 0,
                          memory_order_relaxed);
    task->step++;
    pool_barrier(task->worker);
}

void task_rows_ready(struct task *task)
{
    if (!task->pass->few)
        task_barrier(task);
}

/* Takes from the front of the own share, from the back of another's: half of what is left. */
static bool claim_of(const struct task *task, uint32_t victim, size_t n_pieces, size_t most,
                     struct range *pieces)
{
    const struct worker as = {.index = victim, .count = task->worker->count};
    const struct range share = pool_share(&as, n_pieces);
    const bool own = victim == task->worker->index;
    _Atomic uint64_t *taken = &claims_of(task, victim, task->step)->taken;
    uint64_t before = atomic_load_explicit(taken, memory_order_relaxed), after;
    do {
        const size_t front = (uint32_t)before, back = (size_t)(before >> 32);
        const size_t left = share.end - share.begin - front - back;
        if (left == 0)
            return false;
        size_t n = (left + 1) / 2 < most ? (left + 1) / 2 : most;
        pieces->begin = own ? share.begin + front : share.end - back - n;
        pieces->end = pieces->begin + n;
        after = before + ((uint64_t)n << (own ? 0 : 32));
    } while (!atomic_compare_exchange_weak_explicit(taken, &before, after, memory_order_relaxed,
                                                    memory_order_relaxed));
    return true;
}

struct range task_own(const struct task *task, size_t count, size_t align)
{
    struct range pieces = pool_share(task->worker, (count + align - 1) / align);
    size_t begin = pieces.begin * align, end = pieces.end * align;
    return (struct range){begin < count ? begin : count, end < count ? end : count};
}

bool task_claim(struct task *task, size_t count, size_t align, size_t most, struct range *range)
{
    const uint32_t n_workers = task->worker->count;
    for (uint32_t i = 0; i < n_workers; i++) {
        uint32_t victim = (task->worker->index + i) % n_workers;
        if (claim_of(task, victim, (count + align - 1) / align, most / align, range)) {
            range->begin *= align;
            range->end = range->end * align < count ? range->end * align : count;
            return true;
        }
    }
    return false;
}
