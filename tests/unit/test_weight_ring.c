/*
 * The ring of streamed weights, without a model: each portion of a file is there when a pass comes
 * to it, for all workers, in every order; passes take turns; a file that does not answer is given
 * up.
 */
#include "model/ring_thread.h"

#include <pthread.h>
#include <sched.h>

#include "folder.h"
#include "random.h"
#include "reads.h"
#include "support.h"

enum { N_LAYERS = 8, N_OUTPUTS = 2, N_PORTIONS = N_LAYERS + N_OUTPUTS, BLOCK = DIRECT_ALIGNMENT };
enum { LARGEST = 3 * BLOCK, ROW = 300 };

static const _Atomic int never;

/* A ring over a file of numbers that tell their place. */
struct trial {
    struct arena arena;
    struct portion portions[N_PORTIONS];
    struct weight_ring *ring;
};

static struct trial trial;

static uint32_t number_at(uint64_t offset)
{
    return (uint32_t)(offset / 4 * 7 + offset / BLOCK);
}

/* The first portion has `first_bytes` bytes, LARGEST or more. */
static void begin_trial_of(size_t first_bytes, uint32_t n_places, int64_t patience)
{
    enum { END = 40 * BLOCK };
    static uint32_t numbers[END / 4];
    struct file file;
    folder_make();
    for (uint64_t i = 0; i < END; i += 4)
        numbers[i / 4] = number_at(i);
    folder_write("file", numbers, sizeof numbers);
    ck_assert_int_eq(truncate(folder_path("file"), (off_t)(END + first_bytes)), 0);
    for (uint32_t i = 0; i < N_PORTIONS; i++)
        trial.portions[i] =
            (struct portion){.offset = (uint64_t)BLOCK * 3 * i + BLOCK,
                             .n_bytes = i % 3 == 0 ? LARGEST : 64 * (i + 1) + (i % 2) * BLOCK};
    trial.portions[0].n_bytes = first_bytes;
    arena_init(&trial.arena, &memory_default_allocator);
    static char path[FOLDER_PATH]; /* for messages */
    ck_assert_ok(file_open(&file, folder_join(path, "file")));
    const struct ring_parts parts = {.n_layers = N_LAYERS,
                                     .file = &file,
                                     .portions = trial.portions,
                                     .n_portions = N_PORTIONS,
                                     .n_places = n_places,
                                     .row_bytes = ROW,
                                     .patience = patience};
    ck_assert_ok(weight_ring_create(&parts, &trial.arena, &memory_default_allocator, &trial.ring));
    file_close(&file);
}

static void begin_trial(uint32_t n_places, int64_t patience)
{
    begin_trial_of(LARGEST, n_places, patience);
}

static void end_trial(void)
{
    reads_reset();
    weight_ring_release(trial.ring);
    arena_release(&trial.arena);
    folder_remove();
}

static void check_bytes(const uint8_t *bytes, uint64_t offset, size_t n)
{
    for (size_t i = 0; i < n; i += 4) {
        uint32_t number;
        memcpy(&number, bytes + i, sizeof number);
        ck_assert_uint_eq(number, number_at(offset + i));
    }
}

/*
 * What a worker does: it comes to the positions one after the other, reads its portion, and goes on
 * when all others have read theirs, unless it is late.
 */
struct worker_of_pass {
    pthread_t thread;
    const uint32_t *portions;
    size_t n;
    pthread_barrier_t *step; /* NULL: it is late, and reads nothing */
    bool failed;
};

static void *work(void *argument)
{
    struct worker_of_pass *worker = argument;
    for (size_t position = 0; position < worker->n && !worker->failed; position++) {
        const struct portion *portion = &trial.portions[worker->portions[position]];
        size_t shift;
        worker->failed =
            !weight_ring_await(trial.ring, position, worker->portions[position], &never, &shift);
        if (!worker->failed && worker->step != NULL) {
            check_bytes(weight_ring_places(trial.ring) + shift, portion->offset, portion->n_bytes);
            pthread_barrier_wait(worker->step);
        }
    }
    return NULL;
}

static size_t list_pass(const struct ring_pass *pass, uint32_t *portions)
{
    size_t n = 0;
    for (uint32_t i = pass->first_layer; i < pass->end_layer; i++)
        portions[n++] = i;
    for (uint32_t i = N_LAYERS; i < pass->end_output; i++)
        portions[n++] = i;
    return n;
}

static void run_pass(const struct ring_pass *pass, unsigned n_workers)
{
    static uint32_t portions[N_PORTIONS];
    size_t n = list_pass(pass, portions);
    struct worker_of_pass workers[4];
    pthread_barrier_t step;
    const uint8_t *row;
    pthread_barrier_init(&step, NULL, n_workers);
    ck_assert_ok(weight_ring_begin(trial.ring, pass, &never));
    for (uint64_t offset = 192; offset < 5 * BLOCK; offset += BLOCK + 64) {
        ck_assert(weight_ring_read(trial.ring, offset, ROW, &never, &row));
        check_bytes(row, offset, ROW);
    }
    for (unsigned i = 0; i < n_workers; i++) {
        workers[i] = (struct worker_of_pass){.portions = portions, .n = n, .step = &step};
        ck_assert_int_eq(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (unsigned i = 0; i < n_workers; i++) {
        pthread_join(workers[i].thread, NULL);
        ck_assert(!workers[i].failed);
    }
    struct worker_of_pass late = {.portions = portions, .n = n};
    work(&late);
    ck_assert(!late.failed);
    ck_assert_ok(weight_ring_end(trial.ring));
    pthread_barrier_destroy(&step);
}

/* Passes of all kinds follow each other; the loop variable is the number of places less two. */
START_TEST(every_portion_is_there_when_it_is_needed)
{
    random_seed = 1 + (uint64_t)_i;
    begin_trial(RING_LEAST_PLACES + (uint32_t)_i, RING_PATIENCE);
    const int n_passes = getenv("LCKV_TEST_SHORT") != NULL ? 5 : 15;
    for (int i = 0; i < n_passes; i++) {
        uint64_t dice = (uint64_t)random_bits() << 32 | random_bits();
        struct ring_pass pass = {.end_layer = N_LAYERS,
                                 .end_output = N_LAYERS + (dice >> 20) % (N_OUTPUTS + 1)};
        if (dice % 3 == 0) { /* some of the layers */
            pass.first_layer = (uint32_t)(dice >> 8) % N_LAYERS;
            pass.end_layer -= (uint32_t)(dice >> 12) % (N_LAYERS - pass.first_layer);
            pass.next_layer = (uint32_t)(dice >> 16) % N_LAYERS;
        }
        run_pass(&pass, 1 + (unsigned)(dice >> 32) % 4);
    }
    end_trial();
}
END_TEST

static const struct ring_pass whole = {.end_layer = N_LAYERS, .end_output = N_PORTIONS};

/* A pass of this thread alone; returns its status. */
static lckv_status run_alone(void)
{
    size_t shift;
    ck_assert_ok(weight_ring_begin(trial.ring, &whole, &never));
    for (uint32_t i = 0; i < N_PORTIONS; i++) {
        if (!weight_ring_await(trial.ring, i, i, &never, &shift))
            break;
    }
    return weight_ring_end(trial.ring);
}

/* After a pass the thread fills the places, and then it rests. */
START_TEST(a_full_ring_reads_nothing)
{
    begin_trial(RING_LEAST_PLACES + (uint32_t)_i, RING_PATIENCE);
    ck_assert_ok(run_alone());
    uint64_t seen = 0;
    for (int tries = 0; seen != reads.n_bytes && tries < 50; tries++) {
        seen = reads.n_bytes;
        for (int i = 0; i < 50; i++)
            reads_sleep();
    }
    ck_assert_uint_eq(seen, reads.n_bytes);
    end_trial();
}
END_TEST

START_TEST(a_pass_in_another_order_than_announced_is_refused)
{
    size_t shift;
    begin_trial(RING_LEAST_PLACES, RING_PATIENCE);
    ck_assert_ok(weight_ring_begin(trial.ring, &whole, &never));
    ck_assert(weight_ring_await(trial.ring, 0, 0, &never, &shift));
    ck_assert(!weight_ring_await(trial.ring, 1, 5, &never, &shift));
    ck_assert_status(weight_ring_end(trial.ring), LCKV_INTERNAL);
    ck_assert_ok(run_alone());
    end_trial();
}
END_TEST

START_TEST(a_file_that_does_not_answer_is_given_up)
{
    const uint8_t *row;
    begin_trial(RING_LEAST_PLACES, 2000000000);
    ck_assert_ok(run_alone());
    reads.stuck_from = trial.portions[5].offset;
    ck_assert_status(run_alone(), LCKV_IO);
    ck_assert_error_has("/file: nothing could be read for ");
    ck_assert_status(run_alone(), LCKV_IO); /* still */
    ck_assert_ok(weight_ring_begin(trial.ring, &whole, &never));
    ck_assert(!weight_ring_read(trial.ring, trial.portions[9].offset, ROW, &never, &row));
    ck_assert_status(weight_ring_end(trial.ring), LCKV_IO);
    reads.stuck_from = 0;
    ck_assert_ok(run_alone());
    run_pass(&whole, 2); /* the row that was given up is not taken for the next one */
    end_trial();
}
END_TEST

enum { PIECE = 4 << 20 }; /* the bytes that one read asks for */

/* All pieces of a portion take longer than the patience, but none of them does. */
START_TEST(a_slow_file_is_waited_for)
{
    size_t shift;
    begin_trial_of(3 * PIECE, RING_LEAST_PLACES, 3000000000);
    reads.milliseconds = 1200;
    ck_assert_ok(weight_ring_begin(trial.ring, &whole, &never));
    ck_assert(weight_ring_await(trial.ring, 0, 0, &never, &shift));
    reads.milliseconds = 0;
    ck_assert_ok(weight_ring_end(trial.ring));
    end_trial();
}
END_TEST

static void *let_a_piece_through(void *argument)
{
    (void)argument;
    for (int i = 0; i < 50; i++)
        reads_sleep();
    reads.stuck_from = (int64_t)trial.portions[0].offset + 2 * PIECE;
    return NULL;
}

START_TEST(a_row_is_read_before_the_rest_of_a_portion)
{
    pthread_t thread;
    const uint8_t *row;
    begin_trial_of(3 * PIECE, RING_LEAST_PLACES, 2000000000);
    const uint64_t before = reads.n_bytes;
    reads.stuck_from = (int64_t)trial.portions[0].offset + PIECE;
    ck_assert_ok(weight_ring_begin(trial.ring, &whole, &never));
    while (reads.n_bytes - before < PIECE)
        reads_sleep();
    for (int i = 0; i < 20; i++) /* the thread waits for the second piece */
        reads_sleep();
    ck_assert_int_eq(pthread_create(&thread, NULL, let_a_piece_through, NULL), 0);
    ck_assert(weight_ring_read(trial.ring, 192, ROW, &never, &row));
    check_bytes(row, 192, ROW);
    pthread_join(thread, NULL);
    reads.stuck_from = 0;
    ck_assert_ok(weight_ring_end(trial.ring));
    end_trial();
}
END_TEST

static _Atomic int cancelled;

static void *cancel_soon(void *argument)
{
    (void)argument;
    for (int i = 0; i < 50; i++)
        reads_sleep();
    cancelled = 1;
    return NULL;
}

START_TEST(waiting_ends_when_the_call_is_cancelled)
{
    pthread_t thread;
    size_t shift;
    cancelled = 0;
    begin_trial(RING_LEAST_PLACES, RING_PATIENCE);
    reads.stuck_from = 1;
    ck_assert_ok(weight_ring_begin(trial.ring, &whole, &cancelled));
    ck_assert_int_eq(pthread_create(&thread, NULL, cancel_soon, NULL), 0);
    if (_i == 0) {
        ck_assert(!weight_ring_await(trial.ring, 0, 0, &cancelled, &shift));
    } else { /* another pass waits for its turn */
        ck_assert_status(weight_ring_begin(trial.ring, &whole, &cancelled), LCKV_CANCELLED);
    }
    pthread_join(thread, NULL);
    ck_assert_ok(weight_ring_end(trial.ring));
    reads.stuck_from = 0;
    ck_assert_ok(run_alone());
    end_trial();
}
END_TEST

static _Atomic int n_inside, n_passes_of_other;

static void *run_many(void *argument)
{
    _Atomic int *n_passes = argument;
    for (int i = 0; i < 100; i++) {
        size_t shift;
        ck_assert_ok(weight_ring_begin(trial.ring, &whole, &never));
        ck_assert_int_eq(++n_inside, 1);
        for (uint32_t k = 0; k < N_PORTIONS; k++) {
            ck_assert(weight_ring_await(trial.ring, k, k, &never, &shift));
            check_bytes(weight_ring_places(trial.ring) + shift, trial.portions[k].offset,
                        trial.portions[k].n_bytes);
        }
        n_inside--;
        ck_assert_ok(weight_ring_end(trial.ring));
        (*n_passes)++;
    }
    return NULL;
}

/* While one thread makes 100 passes, the other one gets on, too. */
START_TEST(passes_take_turns)
{
    pthread_t thread;
    _Atomic int n_passes = 0;
    begin_trial(RING_LEAST_PLACES + 1, RING_PATIENCE);
    ck_assert_int_eq(pthread_create(&thread, NULL, run_many, &n_passes_of_other), 0);
    while (n_passes_of_other == 0) /* until the other thread has a processor */
        sched_yield();
    run_many(&n_passes);
    ck_assert_int_gt(n_passes_of_other, 25);
    pthread_join(thread, NULL);
    end_trial();
}
END_TEST

static _Atomic bool had_turn;

static void *take_a_turn(void *argument)
{
    (void)argument;
    ck_assert_ok(weight_ring_begin(trial.ring, &whole, &never));
    had_turn = true;
    ck_assert_ok(weight_ring_end(trial.ring));
    return NULL;
}

static uint32_t n_waiting(void)
{
    pthread_mutex_lock(&trial.ring->mutex);
    const uint32_t n = trial.ring->n_waiting;
    pthread_mutex_unlock(&trial.ring->mutex);
    return n;
}

/* The next pass is not one that comes later, not even of the thread whose pass has just ended. */
START_TEST(a_pass_that_waits_is_next)
{
    begin_trial(RING_LEAST_PLACES, RING_PATIENCE);
    for (int i = 0; i < 20; i++) {
        pthread_t thread;
        had_turn = false;
        ck_assert_ok(weight_ring_begin(trial.ring, &whole, &never));
        ck_assert_int_eq(pthread_create(&thread, NULL, take_a_turn, NULL), 0);
        while (n_waiting() == 0)
            sched_yield();
        ck_assert_ok(weight_ring_end(trial.ring));
        ck_assert_ok(weight_ring_begin(trial.ring, &whole, &never));
        ck_assert(had_turn);
        ck_assert_ok(weight_ring_end(trial.ring));
        pthread_join(thread, NULL);
    }
    end_trial();
}
END_TEST

/* That holds as long as the pass that waits gets no processor, too. */
START_TEST(a_late_pass_does_not_overtake_a_slow_one)
{
    pthread_t thread;
    cancelled = 0;
    begin_trial(RING_LEAST_PLACES, RING_PATIENCE);
    ck_assert_ok(weight_ring_begin(trial.ring, &whole, &never));
    trial.ring->n_waiting++; /* a pass whose thread does not run */
    ck_assert_ok(weight_ring_end(trial.ring));
    ck_assert_int_eq(pthread_create(&thread, NULL, cancel_soon, NULL), 0);
    ck_assert_status(weight_ring_begin(trial.ring, &whole, &cancelled), LCKV_CANCELLED);
    pthread_join(thread, NULL);
    trial.ring->n_waiting--;
    trial.ring->taken = trial.ring->handed = false;
    end_trial();
}
END_TEST

static void add_all(Suite *suite)
{
    TCase *tcase = tcase_create("ring");
    tcase_set_timeout(tcase, 120);
    tcase_add_loop_test(tcase, every_portion_is_there_when_it_is_needed, 0,
                        N_PORTIONS - RING_LEAST_PLACES + 1);
    tcase_add_loop_test(tcase, a_full_ring_reads_nothing, 0, N_PORTIONS - RING_LEAST_PLACES + 1);
    tcase_add_test(tcase, a_pass_in_another_order_than_announced_is_refused);
    tcase_add_test(tcase, a_file_that_does_not_answer_is_given_up);
    tcase_add_test(tcase, a_slow_file_is_waited_for);
    tcase_add_test(tcase, a_row_is_read_before_the_rest_of_a_portion);
    tcase_add_loop_test(tcase, waiting_ends_when_the_call_is_cancelled, 0, 2);
    tcase_add_test(tcase, passes_take_turns);
    tcase_add_test(tcase, a_pass_that_waits_is_next);
    tcase_add_test(tcase, a_late_pass_does_not_overtake_a_slow_one);
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("weight_ring", add_all)
