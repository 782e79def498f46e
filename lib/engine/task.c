/*
 * A worker's part in a pass. See task.h.
 */
#include "engine/task.h"

#include "base/pool.h"

#include <stdatomic.h>

struct task task_begin(const struct worker *worker, struct pass *pass)
{
    return (struct task){.worker = worker, .pass = pass, .batch = &pass->all};
}

struct range task_own(const struct task *task, size_t count, size_t align)
{
    struct range pieces = pool_share(task->worker, (count + align - 1) / align);
    size_t begin = pieces.begin * align, end = pieces.end * align;
    return (struct range){begin < count ? begin : count, end < count ? end : count};
}

struct step step_begin(struct task *task, size_t count, size_t align, size_t most)
{
    while ((count + align - 1) / align > TASK_MOST_PIECES)
        align *= 2;
    return (struct step){.task = task,
                         .count = count,
                         .align = align,
                         .most = most > align ? most / align : 1,
                         .n_pieces = (uint32_t)((count + align - 1) / align)};
}

/*
 * Takes half of what is left of a share: from the front if it is the worker's own, else from the
 * back. If the word was last written in an earlier step, the share is whole; if it was written in a
 * later step, this step is over.
 */
static bool claim_of(const struct step *step, uint32_t victim, struct range *pieces)
{
    const struct task *task = step->task;
    const struct worker as = {.index = victim, .count = task->worker->count};
    const struct range share = pool_share(&as, step->n_pieces);
    const bool own = victim == task->worker->index;
    const uint32_t tag = task->n_steps + 1;
    _Atomic uint64_t *taken = &task->pass->workspace->claims[victim].taken;
    uint64_t before = atomic_load_explicit(taken, memory_order_relaxed), after;
    do {
        const uint32_t written = (uint32_t)(before >> 32);
        const bool whole = written < tag;
        const size_t front = whole ? 0 : (uint16_t)before;
        const size_t back = whole ? 0 : (uint16_t)(before >> 16);
        const size_t left = share.end - share.begin - front - back;
        if (written > tag || left == 0)
            return false;
        const size_t half = (left + 1) / 2, n = half < step->most ? half : step->most;
        pieces->begin = own ? share.begin + front : share.end - back - n;
        pieces->end = pieces->begin + n;
        after = (uint64_t)tag << 32 | (back + (own ? 0 : n)) << 16 | (front + (own ? n : 0));
    } while (!atomic_compare_exchange_weak_explicit(taken, &before, after, memory_order_relaxed,
                                                    memory_order_relaxed));
    return true;
}

bool step_claim(struct step *step, struct range *range)
{
    const struct task *task = step->task;
    const uint32_t n_workers = task->worker->count;
    if (step->n_pieces == 0 || task->left ||
        pool_step_over(task->worker, task->worker->first_step + task->n_steps))
        return false;
    for (uint32_t i = 0; i < n_workers; i++) {
        struct range pieces;
        if (claim_of(step, (task->worker->index + i) % n_workers, &pieces)) {
            const size_t end = pieces.end * step->align;
            step->n_taken += (uint32_t)(pieces.end - pieces.begin);
            range->begin = pieces.begin * step->align;
            range->end = end < step->count ? end : step->count;
            return true;
        }
    }
    return false;
}

void step_end(struct step *step)
{
    struct task *task = step->task;
    const struct worker *worker = task->worker;
    _Atomic uint32_t *done = &task->pass->workspace->step->done;
    if (step->n_pieces == 0 || task->left)
        return;
    if (step->n_taken > 0) {
        uint32_t before = atomic_fetch_add_explicit(done, step->n_taken, memory_order_acq_rel);
        if (before + step->n_taken == step->n_pieces) {
            atomic_store_explicit(done, 0, memory_order_relaxed);
            pool_step_done(worker);
        }
    }
    task->left = !pool_step_wait(worker, worker->first_step + task->n_steps);
    task->n_steps++;
}
