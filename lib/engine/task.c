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
 * Three counters take turns. The one of the next step was last used two steps ago, which all
 * workers have left, and none enters the next step before worker 0 comes to the barrier.
 */
void task_barrier(struct task *task)
{
    if (task->worker->index == 0)
        atomic_store_explicit(&task->pass->claimed[(task->step + 1) % 3].next, 0,
                              memory_order_relaxed);
    task->step++;
    pool_barrier(task->worker);
}

void task_rows_ready(struct task *task)
{
    if (!task->pass->few)
        task_barrier(task);
}

bool task_claim(struct task *task, size_t count, size_t align, size_t most, struct range *range)
{
    _Atomic size_t *next = &task->pass->claimed[task->step % 3].next;
    size_t begin = atomic_load_explicit(next, memory_order_relaxed), n;
    do {
        if (begin >= count)
            return false;
        n = (count - begin) / (2 * task->worker->count) / align * align;
        n = n < align ? align : n > most ? most : n;
        n = n < count - begin ? n : count - begin;
    } while (!atomic_compare_exchange_weak_explicit(next, &begin, begin + n, memory_order_relaxed,
                                                    memory_order_relaxed));
    *range = (struct range){begin, begin + n};
    return true;
}
