/*
 * The thread pool. See pool.h; event.c lets threads wait.
 *
 * There is one run at a time. Its caller holds the mutex `turn` from the beginning to the end, and
 * only the holder writes what is not atomic.
 */
#include "base/pool.h"

#include "base/clock.h"
#include "base/company.h"
#include "base/event.h"
#include "base/processors.h"
#include "base/status.h"
#include "base/thread.h"

#include <sched.h>
#include <sys/types.h>
#include <unistd.h>

#define POOL_MAX_THREADS 1024

/* A thread of the pool, besides that of the caller. */
struct member {
    struct lckv_pool *pool;
    pthread_t thread;
    uint32_t index; /* as in struct worker: 1 and up */
    uint32_t seen;  /* the member waits until the count of `progress` is no longer this one */
    bool left;      /* the function returned because a wait was long */
    struct patience patience;
};

struct lckv_pool {
    _Atomic uint32_t references;
    uint32_t n_threads; /* asked for, the caller's included */
    lckv_allocator allocator;
    struct member *members; /* [n_threads - 1] */

    _Atomic pid_t owner; /* the process that has the threads; see adopt() */
    pthread_mutex_t turn;
    _Atomic(const void *) holder; /* the `mark` of the thread whose run it is; NULL: no run */
    uint32_t n_started;           /* members whose threads were started */
    struct patience patience;     /* of the caller whose turn it is */
    struct company company;
    int64_t stalled; /* nanoseconds that this run's caller has waited beyond its patience */

    pool_function function;
    void *context;
    uint32_t count, first_step;         /* of this run, as in struct worker */
    _Atomic bool ending;                /* the members end */
    struct event progress;              /* a run began, a step is over, or the members end */
    struct event end;                   /* the last member left a run that was closed */
    _Alignas(64) _Atomic uint32_t gate; /* GATE_OPEN, and GATE_INSIDE for each member in the run */
};

#define GATE_OPEN 1u
#define GATE_INSIDE 2u

lckv_status pool_create(uint32_t n_threads, const lckv_allocator *allocator,
                        struct lckv_pool **result)
{
    if (n_threads > POOL_MAX_THREADS)
        return fail(LCKV_INVALID_ARGUMENT, "n_threads is %u, expected at most %d", n_threads,
                    POOL_MAX_THREADS);
    if (n_threads == 0)
        n_threads = processors_default();
    if (n_threads > POOL_MAX_THREADS)
        n_threads = POOL_MAX_THREADS;
    struct lckv_pool *pool;
    lckv_status status = memory_alloc(allocator, 1, sizeof *pool, "a thread pool", &pool);
    if (status != LCKV_OK)
        return status;
    status = memory_alloc(allocator, n_threads - 1, sizeof *pool->members, "a thread pool",
                          &pool->members);
    if (status != LCKV_OK) {
        memory_free(allocator, pool, 1, sizeof *pool);
        return status;
    }
    pool->n_threads = n_threads;
    pool->allocator = *allocator;
    atomic_init(&pool->references, 1);
    atomic_init(&pool->owner, 0); /* no process: the first run adopts the pool */
    *result = pool;
    return LCKV_OK;
}

void pool_retain(struct lckv_pool *pool)
{
    atomic_fetch_add_explicit(&pool->references, 1, memory_order_relaxed);
}

uint32_t pool_size(const struct lckv_pool *pool)
{
    return pool->n_threads;
}

/* Takes part in the run if there is one. */
static void take_part(struct member *member)
{
    struct lckv_pool *pool = member->pool;
    uint32_t gate = atomic_load_explicit(&pool->gate, memory_order_relaxed);
    do {
        if ((gate & GATE_OPEN) == 0)
            return;
    } while (!atomic_compare_exchange_weak_explicit(&pool->gate, &gate, gate + GATE_INSIDE,
                                                    memory_order_acquire, memory_order_relaxed));
    const struct worker worker = {pool, member->index, pool->count, pool->first_step, member};
    member->left = false;
    /* The gate is opened a moment before the first step begins. */
    if (event_count(&pool->progress) == pool->first_step - 1)
        event_sleep(&pool->progress, pool->first_step - 1);
    pool->function(&worker, pool->context);
    if (!member->left)
        member->seen = event_count(&pool->progress); /* nothing is left to do in this run */
    if (atomic_fetch_sub_explicit(&pool->gate, GATE_INSIDE, memory_order_acq_rel) == GATE_INSIDE)
        event_raise(&pool->end);
}

static void *member_main(void *argument)
{
    struct member *member = argument;
    struct lckv_pool *pool = member->pool;
    for (;;) {
        event_sleep(&pool->progress, member->seen);
        /* First the count: what is raised after this look at it wakes the member again. */
        member->seen = event_count(&pool->progress);
        if (atomic_load_explicit(&pool->ending, memory_order_relaxed))
            return NULL;
        take_part(member);
    }
}

void pool_release(struct lckv_pool *pool)
{
    if (pool == NULL || atomic_fetch_sub_explicit(&pool->references, 1, memory_order_acq_rel) != 1)
        return;
    /* A child of fork(2) that never ran the pool has neither its threads nor a usable mutex. */
    if (atomic_load(&pool->owner) == getpid()) {
        atomic_store_explicit(&pool->ending, true, memory_order_relaxed);
        event_raise(&pool->progress);
        for (uint32_t i = 0; i < pool->n_started; i++)
            pthread_join(pool->members[i].thread, NULL);
        pthread_mutex_destroy(&pool->turn);
    }
    lckv_allocator allocator = pool->allocator;
    memory_free(&allocator, pool->members, pool->n_threads - 1, sizeof *pool->members);
    memory_free(&allocator, pool, 1, sizeof *pool);
}

/*
 * Makes the pool belong to this process, before its first run here. A child of fork(2) has none of
 * its parent's threads, and one of them may have held the mutex. While a thread adopts the pool,
 * the owner is its process's id, negated; in a child of that process no thread is doing it.
 */
static void adopt(struct lckv_pool *pool)
{
    const pid_t self = getpid();
    pid_t owner = atomic_load_explicit(&pool->owner, memory_order_acquire);
    while (owner != self) {
        if (owner == -self) {
            sched_yield();
            owner = atomic_load_explicit(&pool->owner, memory_order_acquire);
        } else if (atomic_compare_exchange_strong(&pool->owner, &owner, -self)) {
            pthread_mutex_init(&pool->turn, NULL);
            event_init(&pool->progress);
            event_init(&pool->end);
            patience_init(&pool->patience, pool->n_threads <= processors_usable());
            atomic_init(&pool->holder, NULL);
            atomic_init(&pool->ending, false);
            atomic_init(&pool->gate, 0);
            pool->company = (struct company){.kind = 0};
            pool->n_started = 0;
            atomic_store_explicit(&pool->owner, self, memory_order_release);
            return;
        }
    }
}

/* Starts the threads that are missing, as far as the system allows. */
static void start_members(struct lckv_pool *pool)
{
    while (pool->n_started + 1 < pool->n_threads) {
        struct member *member = &pool->members[pool->n_started];
        member->pool = pool;
        member->index = pool->n_started + 1;
        member->seen = event_count(&pool->progress);
        member->patience = pool->patience;
        if (!thread_start(&member->thread, member_main, member))
            break;
        pool->n_started++;
    }
}

/* Its address identifies the thread for as long as the thread lives. */
static _Thread_local char mark;

/* Waits as the caller of a run: it spins as long as its patience lasts, then it sleeps. */
static void wait_as_caller(struct lckv_pool *pool, struct event *event, uint32_t seen)
{
    if (event_spin(event, seen, &pool->patience))
        return;
    const int64_t begin = clock_nanoseconds();
    event_sleep(event, seen);
    pool->stalled += clock_nanoseconds() - begin;
}

/* Lets members come from now on. */
static void open_gate(struct lckv_pool *pool)
{
    atomic_store_explicit(&pool->gate, GATE_OPEN, memory_order_release);
    event_raise(&pool->progress);
}

/* Lets no more members come, and returns when those that came have left. */
static void close_gate(struct lckv_pool *pool)
{
    const uint32_t ended = event_count(&pool->end);
    if (atomic_fetch_and_explicit(&pool->gate, ~GATE_OPEN, memory_order_acq_rel) == GATE_OPEN)
        return;
    wait_as_caller(pool, &pool->end, ended);
}

void pool_run(struct lckv_pool *pool, uint32_t kind, pool_function function, void *context)
{
    adopt(pool);
    if (atomic_load_explicit(&pool->holder, memory_order_relaxed) == &mark) {
        function(&(struct worker){.pool = pool, .count = 1}, context);
        return;
    }
    pthread_mutex_lock(&pool->turn);
    atomic_store_explicit(&pool->holder, &mark, memory_order_relaxed);
    start_members(pool);
    pool->function = function;
    pool->context = context;
    pool->count = company_alone(&pool->company, kind) ? 1 : pool->n_started + 1;
    pool->stalled = 0;
    pool->first_step = event_count(&pool->progress) + 1;
    const struct worker caller = {
        .pool = pool, .count = pool->count, .first_step = pool->first_step};
    const int64_t begin = clock_nanoseconds();
    if (caller.count > 1)
        open_gate(pool);
    function(&caller, context);
    if (caller.count > 1)
        close_gate(pool);
    company_learn(&pool->company, clock_nanoseconds() - begin, pool->stalled);
    atomic_store_explicit(&pool->holder, NULL, memory_order_relaxed);
    pthread_mutex_unlock(&pool->turn);
}

bool pool_step_over(const struct worker *worker, uint32_t step)
{
    return worker->count > 1 && event_count(&worker->pool->progress) != step;
}

void pool_step_done(const struct worker *worker)
{
    if (worker->count > 1)
        event_raise(&worker->pool->progress);
}

bool pool_step_wait(const struct worker *worker, uint32_t step)
{
    struct lckv_pool *pool = worker->pool;
    struct member *member = worker->member;
    if (worker->count == 1)
        return true;
    if (member == NULL) {
        wait_as_caller(pool, &pool->progress, step);
        return true;
    }
    if (event_spin(&pool->progress, step, &member->patience))
        return true;
    member->left = true;
    member->seen = step;
    return false;
}

struct range pool_share(const struct worker *worker, size_t count)
{
    const size_t part = count / worker->count, rest = count % worker->count, i = worker->index;
    const size_t begin = i * part + (i < rest ? i : rest);
    return (struct range){begin, begin + part + (i < rest ? 1 : 0)};
}
