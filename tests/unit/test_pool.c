/*
 * The thread pool: workers come, steps order memory and end without workers that are late, callers
 * take turns, and children of fork(2) start anew.
 */
#include "base/event.h"
#include "base/pool.h"
#include "base/processors.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "allocator.h"
#include "support.h"

#define MOST_WORKERS 16

static struct lckv_pool *make_pool(uint32_t n_threads)
{
    struct lckv_pool *pool;
    ck_assert_ok(pool_create(n_threads, &memory_default_allocator, &pool));
    return pool;
}

/* The threads of this process, as the operating system counts them. */
static int n_threads_alive(void)
{
    char line[256];
    int n = -1;
    FILE *file = fopen("/proc/self/status", "r");
    ck_assert_ptr_nonnull(file);
    while (fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "Threads: %d", &n) == 1)
            break;
    fclose(file);
    return n;
}

struct visits {
    atomic_int of[MOST_WORKERS];
    atomic_int count;
    int expected; /* the workers that the caller waits for */
    pthread_t caller;
};

static void rest(long nanoseconds)
{
    nanosleep(&(struct timespec){.tv_nsec = nanoseconds}, NULL);
}

/* Makes the caller stay until all have come, which would otherwise be left to chance. */
static void visit(const struct worker *worker, void *context)
{
    struct visits *visits = context;
    atomic_fetch_add(&visits->of[worker->index], 1);
    if (worker->index != 0)
        return;
    ck_assert(pthread_equal(pthread_self(), visits->caller));
    atomic_store(&visits->count, (int)worker->count);
    for (int i = 1; i < visits->expected; i++)
        while (atomic_load(&visits->of[i]) < atomic_load(&visits->of[0]))
            rest(1000);
}

START_TEST(workers_come_once_to_a_run)
{
    static const uint32_t sizes[] = {1, 2, 3, 7};
    struct visits visits = {.caller = pthread_self(), .expected = (int)sizes[_i]};
    struct lckv_pool *pool = make_pool(sizes[_i]);
    ck_assert_uint_eq(pool_size(pool), sizes[_i]);
    for (int run = 1; run <= 200; run++) {
        pool_run(pool, 0, visit, &visits);
        ck_assert_int_eq(atomic_load(&visits.count), (int)sizes[_i]);
        for (uint32_t i = 0; i < MOST_WORKERS; i++)
            ck_assert_int_eq(atomic_load(&visits.of[i]), i < sizes[_i] ? run : 0);
    }
    pool_release(pool);
}
END_TEST

static void visit_within(const struct worker *worker, void *context)
{
    if (worker->index == 0)
        pool_run(worker->pool, 0, visit, context);
}

/* A callback does this if it evaluates on the pool that is opening its model. */
START_TEST(a_run_within_a_run_has_the_caller_alone)
{
    struct visits visits = {.caller = pthread_self()};
    struct lckv_pool *pool = make_pool(3);
    for (int run = 1; run <= 20; run++) {
        pool_run(pool, 0, visit_within, &visits);
        ck_assert_int_eq(atomic_load(&visits.count), 1);
        ck_assert_int_eq(atomic_load(&visits.of[0]), run);
        ck_assert_int_eq(atomic_load(&visits.of[1]), 0);
    }
    pool_run(pool, 0, visit, &visits);
    ck_assert_int_eq(atomic_load(&visits.count), 3);
    pool_release(pool);
}
END_TEST

/*
 * Steps on plain memory. In each step, the worker that claims a cell writes the number of the step
 * to it, and must find its neighbour as the step before left it.
 */
struct ring {
    uint32_t n_cells, rounds;
    uint32_t cells[2][MOST_WORKERS]; /* of even and of odd steps */
    _Atomic uint64_t claimed;        /* the step and the cells of it that are claimed */
    _Atomic uint32_t done;
    atomic_int n_wrong, n_calls;
    long hold; /* nanoseconds that the caller holds a claim for */
};

static bool claim_cell(struct ring *ring, uint32_t round, uint32_t *cell)
{
    uint64_t before = atomic_load(&ring->claimed);
    do {
        *cell = (uint32_t)before;
        if (before >> 32 != round || *cell == ring->n_cells)
            return false;
    } while (!atomic_compare_exchange_weak(&ring->claimed, &before, before + 1));
    return true;
}

static void go_round(const struct worker *worker, void *context)
{
    struct ring *ring = context;
    atomic_fetch_add(&ring->n_calls, 1);
    for (uint32_t round = 0; round < ring->rounds; round++) {
        const uint32_t step = worker->first_step + round;
        uint32_t cell;
        while (!pool_step_over(worker, step) && claim_cell(ring, round, &cell)) {
            const uint32_t neighbour = ring->cells[(round + 1) % 2][(cell + 1) % ring->n_cells];
            if (neighbour != round)
                atomic_fetch_add(&ring->n_wrong, 1);
            ring->cells[round % 2][cell] = round + 1;
            if (ring->hold > 0 && worker->index == 0)
                rest(ring->hold);
            if (atomic_fetch_add(&ring->done, 1) + 1 == ring->n_cells) {
                atomic_store(&ring->done, 0);
                atomic_store(&ring->claimed, (uint64_t)(round + 1) << 32);
                pool_step_done(worker);
            }
        }
        if (!pool_step_wait(worker, step))
            return;
    }
}

/* Runs `rounds` steps, and checks them. */
static void run_ring(struct lckv_pool *pool, struct ring *ring)
{
    memset(ring->cells, 0, sizeof ring->cells);
    atomic_store(&ring->claimed, 0);
    pool_run(pool, 0, go_round, ring);
    ck_assert_int_eq(atomic_load(&ring->n_wrong), 0);
    for (uint32_t i = 0; i < ring->n_cells; i++)
        ck_assert_uint_eq(ring->cells[(ring->rounds + 1) % 2][i], ring->rounds);
}

START_TEST(steps_order_all_memory)
{
    static const uint32_t sizes[] = {1, 2, 3, 7, 16};
    struct ring ring = {.n_cells = MOST_WORKERS, .rounds = 1000};
    struct lckv_pool *pool = make_pool(sizes[_i]);
    run_ring(pool, &ring);
    run_ring(pool, &ring);
    pool_release(pool);
}
END_TEST

/*
 * If a claim is held for long, other workers leave the run, and come again when the step is over.
 */
START_TEST(workers_that_wait_for_long_leave_and_come_again)
{
    struct ring ring = {.n_cells = 4, .rounds = 3, .hold = 2000000};
    struct lckv_pool *pool = make_pool(3);
    for (int run = 0; run < 100 && atomic_load(&ring.n_calls) <= 3 * run; run++)
        run_ring(pool, &ring);
    ck_assert_int_gt(atomic_load(&ring.n_calls), 3);
    pool_release(pool);
}
END_TEST

/* Each step has one cell, which one worker claims, so no step may wait for the two others. */
START_TEST(a_run_needs_no_worker_but_the_caller)
{
    struct ring ring = {.n_cells = 1, .rounds = 100};
    struct lckv_pool *pool = make_pool(3);
    for (int run = 0; run < 100; run++)
        run_ring(pool, &ring);
    pool_release(pool);
}
END_TEST

struct caller {
    struct lckv_pool *pool;
    struct ring ring;
};

static void *call_often(void *argument)
{
    struct caller *caller = argument;
    for (int i = 0; i < 50; i++)
        run_ring(caller->pool, &caller->ring);
    pool_release(caller->pool);
    return NULL;
}

START_TEST(callers_take_turns_and_the_last_release_ends_the_threads)
{
    struct caller callers[3] = {0};
    pthread_t threads[3];
    struct lckv_pool *pool = make_pool(3);
    for (int i = 0; i < 3; i++) {
        callers[i].pool = pool;
        callers[i].ring.n_cells = callers[i].ring.rounds = 5;
        pool_retain(pool);
        ck_assert_int_eq(pthread_create(&threads[i], NULL, call_often, &callers[i]), 0);
    }
    pool_release(pool);
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
        ck_assert_int_eq(atomic_load(&callers[i].ring.n_wrong), 0);
    }
}
END_TEST

START_TEST(threads_start_with_the_first_run_and_end_with_the_pool)
{
    struct visits visits = {.caller = pthread_self()};
    /* ThreadSanitizer starts a thread of its own with the process's first. */
    struct lckv_pool *pool = make_pool(2);
    pool_run(pool, 0, visit, &visits);
    pool_release(pool);
    rest(20000000); /* a joined thread may still be on its way out of the kernel */
    const int before = n_threads_alive();
    pool = make_pool(4);
    ck_assert_int_eq(n_threads_alive(), before);
    pool_run(pool, 0, visit, &visits);
    ck_assert_int_eq(n_threads_alive(), before + 3);
    pool_run(pool, 0, visit, &visits);
    ck_assert_int_eq(n_threads_alive(), before + 3);
    pool_release(pool);
    /* A joined thread may still be on its way out of the kernel. */
    for (int i = 0; i < 1000 && n_threads_alive() != before; i++)
        rest(1000000);
    ck_assert_int_eq(n_threads_alive(), before);
}
END_TEST

/* A member that has just seen the last step end must also see that the pool ends. */
START_TEST(a_release_right_after_a_run_ends_the_threads)
{
    for (int i = 0; i < 3000; i++) {
        struct ring ring = {.n_cells = 4, .rounds = 3};
        struct lckv_pool *pool = make_pool(4);
        run_ring(pool, &ring);
        pool_release(pool);
    }
}
END_TEST

START_TEST(nothing_runs_between_runs)
{
    struct visits visits = {.caller = pthread_self()};
    struct timespec begin, end;
    struct lckv_pool *pool = make_pool(4);
    pool_run(pool, 0, visit, &visits);
    rest(20000000);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &begin);
    rest(200000000);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
    const double used =
        (double)(end.tv_sec - begin.tv_sec) + 1e-9 * (double)(end.tv_nsec - begin.tv_nsec);
    ck_assert_msg(used < 0.02, "%g s of processor time in 0.2 s of rest", used);
    pool_release(pool);
}
END_TEST

/*
 * Signals from elsewhere go to the caller; a signal that a thread raises itself goes to that
 * thread.
 */
static void look_at_signals(const struct worker *worker, void *context)
{
    atomic_int *n_wrong = context;
    sigset_t blocked;
    pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    if (sigismember(&blocked, SIGINT) != (worker->index > 0))
        atomic_fetch_add(n_wrong, 1);
    if (sigismember(&blocked, SIGBUS) || sigismember(&blocked, SIGSEGV))
        atomic_fetch_add(n_wrong, 1);
}

START_TEST(only_the_callers_thread_takes_signals)
{
    atomic_int n_wrong = 0;
    struct lckv_pool *pool = make_pool(3);
    pool_run(pool, 0, look_at_signals, &n_wrong);
    ck_assert_int_eq(atomic_load(&n_wrong), 0);
    pool_release(pool);
}
END_TEST

/* ThreadSanitizer does not support new threads in the child of a process with threads. */
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define WITHOUT_FORK
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define WITHOUT_FORK
#endif

#if !defined(WITHOUT_FORK)
START_TEST(a_child_of_fork_starts_its_own_threads)
{
    struct ring ring = {.n_cells = 5, .rounds = 10};
    struct lckv_pool *pool = make_pool(3), *idle = make_pool(3);
    struct visits before = {.caller = pthread_self(), .expected = 3};
    run_ring(pool, &ring);
    /* All threads have come: sanitizers cannot fork while one starts. */
    pool_run(pool, 0, visit, &before);
    before = (struct visits){.caller = pthread_self(), .expected = 3};
    pool_run(idle, 0, visit, &before);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        alarm(10);
        struct visits visits = {.caller = pthread_self(), .expected = 3};
        pool_run(pool, 0, visit, &visits);
        run_ring(pool, &ring);
        int good = atomic_load(&visits.of[2]) == 1 && atomic_load(&ring.n_wrong) == 0;
        good = good && n_threads_alive() == 3;
        pool_release(pool);
        pool_release(idle);
        _exit(good ? 0 : 1);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "wait status %d", status);
    run_ring(pool, &ring);
    pool_release(pool);
    pool_release(idle);
}
END_TEST
#endif

START_TEST(shares_cover_the_range_in_order)
{
    static const size_t counts[] = {0, 1, 2, 6, 7, 8, 100, SIZE_MAX};
    for (uint32_t n = 1; n <= 8; n++) {
        for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
            size_t end = 0;
            for (uint32_t i = 0; i < n; i++) {
                const struct worker worker = {.index = i, .count = n};
                struct range range = pool_share(&worker, counts[c]);
                ck_assert_uint_eq(range.begin, end);
                ck_assert_uint_ge(range.end, range.begin);
                ck_assert_uint_le(range.end - range.begin - counts[c] / n, 1);
                end = range.end;
            }
            ck_assert_uint_eq(end, counts[c]);
        }
    }
}
END_TEST

START_TEST(the_default_is_what_the_processors_give)
{
    struct lckv_pool *pool = make_pool(0);
    ck_assert_uint_ge(pool_size(pool), 1);
    ck_assert_uint_eq(pool_size(pool), processors_default());
    ck_assert_uint_le(processors_default(), processors_cores());
    ck_assert_uint_le(processors_cores(), processors_usable());
    pool_release(pool);
    pool_release(NULL);
}
END_TEST

START_TEST(absurd_numbers_of_threads_are_refused)
{
    struct lckv_pool *pool = NULL;
    ck_assert_status(pool_create(100000, &memory_default_allocator, &pool), LCKV_INVALID_ARGUMENT);
    ck_assert_error_has("n_threads is 100000, expected at most 1024");
    ck_assert_ptr_null(pool);
}
END_TEST

START_TEST(refused_memory_is_survived)
{
    for (size_t allowed = 0; allowed < 2; allowed++) {
        struct counting counting = {.n_allowed = allowed};
        const lckv_allocator allocator = counting_allocator(&counting);
        struct lckv_pool *pool = NULL;
        ck_assert_status(pool_create(3, &allocator, &pool), LCKV_OUT_OF_MEMORY);
        ck_assert_ptr_null(pool);
        ck_assert_uint_eq(counting.out, 0);
    }
}
END_TEST

/* ---- Patience ---- */

struct raiser {
    struct event event;
    _Atomic bool ends;
};

static void *raise_often(void *argument)
{
    struct raiser *raiser = argument;
    while (!atomic_load(&raiser->ends)) {
        event_raise(&raiser->event);
        rest(2000);
    }
    return NULL;
}

/* Spins in vain become short, and one that succeeds makes the next ones long again. */
START_TEST(patience_goes_and_comes_back)
{
    static struct raiser raiser;
    struct patience patience;
    pthread_t thread;
    event_init(&raiser.event);
    patience_init(&patience, true);
    ck_assert_uint_eq(patience.now, patience.most);
    for (uint32_t before = patience.now, i = 0; i < 10; i++, before = patience.now) {
        ck_assert(!event_spin(&raiser.event, event_count(&raiser.event), &patience));
        ck_assert_uint_le(patience.now, before);
    }
    ck_assert_uint_gt(patience.now, 0);
    ck_assert_uint_lt(patience.now, patience.most / 10);
    ck_assert_int_eq(pthread_create(&thread, NULL, raise_often, &raiser), 0);
    do { /* until the count has changed during a spin, and not before it */
        if (!event_spin(&raiser.event, event_count(&raiser.event), &patience))
            ck_assert_uint_lt(patience.now, patience.most);
    } while (patience.now != patience.most);
    atomic_store(&raiser.ends, true);
    pthread_join(thread, NULL);

    patience_init(&patience, false); /* no spin at all */
    ck_assert(!event_spin(&raiser.event, event_count(&raiser.event), &patience));
    ck_assert(event_spin(&raiser.event, event_count(&raiser.event) - 1, &patience));
    ck_assert_uint_eq(patience.now, 0);
}
END_TEST

static void add_pool(Suite *suite)
{
    TCase *tcase = tcase_create("pool");
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, workers_come_once_to_a_run, 0, 4);
    tcase_add_test(tcase, a_run_within_a_run_has_the_caller_alone);
    tcase_add_loop_test(tcase, steps_order_all_memory, 0, 5);
    tcase_add_test(tcase, workers_that_wait_for_long_leave_and_come_again);
    tcase_add_test(tcase, a_run_needs_no_worker_but_the_caller);
    tcase_add_test(tcase, callers_take_turns_and_the_last_release_ends_the_threads);
    tcase_add_test(tcase, threads_start_with_the_first_run_and_end_with_the_pool);
    tcase_add_test(tcase, a_release_right_after_a_run_ends_the_threads);
    tcase_add_test(tcase, nothing_runs_between_runs);
    tcase_add_test(tcase, patience_goes_and_comes_back);
    tcase_add_test(tcase, only_the_callers_thread_takes_signals);
#if !defined(WITHOUT_FORK)
    tcase_add_test(tcase, a_child_of_fork_starts_its_own_threads);
#endif
    tcase_add_test(tcase, shares_cover_the_range_in_order);
    tcase_add_test(tcase, the_default_is_what_the_processors_give);
    tcase_add_test(tcase, absurd_numbers_of_threads_are_refused);
    tcase_add_test(tcase, refused_memory_is_survived);
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("pool", add_pool)
