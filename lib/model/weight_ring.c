/*
 * The ring of a streamed model, as its passes use it. See weight_ring.h; ring_thread.c fills it.
 */
#include "model/weight_ring.h"

#include "base/clock.h"
#include "base/status.h"
#include "base/thread.h"
#include "model/ring_thread.h"

#include <sched.h>
#include <stdatomic.h>
#include <unistd.h>

#define LOOK_NANOSECONDS (20 * (int64_t)1000000) /* how often waiting threads look at `cancelled` */

/* ---- Lifetime ---- */

size_t weight_ring_place_bytes(size_t most_bytes)
{
    return round_up(most_bytes, DIRECT_ALIGNMENT);
}

/* The row may begin and end within a block, and the memory anywhere. */
size_t weight_ring_row_bytes(size_t row_bytes)
{
    return round_up(row_bytes, DIRECT_ALIGNMENT) + 2 * DIRECT_ALIGNMENT;
}

static lckv_status allocate(struct weight_ring *ring, struct arena *arena)
{
    static const char what[] = "the ring of weights";
    size_t most = 0, all;
    for (uint32_t i = 0; i < ring->n_portions; i++)
        most = ring->portions[i].n_bytes > most ? ring->portions[i].n_bytes : most;
    ring->place_bytes = weight_ring_place_bytes(most);
    if (!checked_multiply(ring->place_bytes, ring->n_places, &all) ||
        !checked_add(all, ring->row_bytes, &ring->memory_bytes))
        return fail(LCKV_OUT_OF_MEMORY, "a ring of %u layers is too large", ring->n_places);
    lckv_status status =
        arena_alloc(arena, ring->n_portions, sizeof *ring->place_of, what, &ring->place_of);
    if (status == LCKV_OK)
        status = arena_alloc(arena, ring->n_places, sizeof *ring->held, what, &ring->held);
    if (status == LCKV_OK)
        status = memory_alloc_raw(&ring->allocator, ring->memory_bytes, what, &ring->memory);
    if (status != LCKV_OK)
        return status;
    size_t over = (uintptr_t)ring->memory % DIRECT_ALIGNMENT;
    ring->places = ring->memory + (over > 0 ? DIRECT_ALIGNMENT - over : 0);
    ring->row = ring->places + all;
    return LCKV_OK;
}

lckv_status weight_ring_create(const struct ring_parts *parts, struct arena *arena,
                               const lckv_allocator *allocator, struct weight_ring **result)
{
    struct weight_ring *ring;
    lckv_status status = arena_alloc(arena, 1, sizeof *ring, "the ring of weights", &ring);
    if (status != LCKV_OK)
        return status;
    ring->allocator = *allocator;
    ring->order.n_layers = ring->order.end_output = parts->n_layers;
    ring->order.n_portions = parts->n_portions;
    ring->portions = parts->portions;
    ring->n_portions = parts->n_portions;
    ring->n_places = parts->n_places;
    ring->row_bytes = weight_ring_row_bytes(parts->row_bytes);
    ring->patience = parts->patience;
    atomic_init(&ring->owner, 0); /* no process: the first pass adopts the ring */
    status = allocate(ring, arena);
    if (status != LCKV_OK)
        return status;
    status = direct_file_open(&ring->file, parts->file);
    if (status != LCKV_OK)
        memory_free(&ring->allocator, ring->memory, ring->memory_bytes, 1);
    else
        *result = ring;
    return status;
}

void weight_ring_release(struct weight_ring *ring)
{
    if (ring == NULL)
        return;
    /* A child of fork(2) that made no pass has neither the thread nor a usable mutex. */
    if (atomic_load(&ring->owner) == getpid()) {
        pthread_mutex_lock(&ring->mutex);
        ring->ending = true;
        pthread_cond_signal(&ring->wanted);
        pthread_mutex_unlock(&ring->mutex);
        if (ring->started)
            pthread_join(ring->thread, NULL);
        pthread_cond_destroy(&ring->arrived);
        pthread_cond_destroy(&ring->wanted);
        pthread_cond_destroy(&ring->turn);
        pthread_mutex_destroy(&ring->mutex);
    }
    direct_file_close(&ring->file);
    memory_free(&ring->allocator, ring->memory, ring->memory_bytes, 1);
}

const uint8_t *weight_ring_places(const struct weight_ring *ring)
{
    return ring->places;
}

size_t weight_ring_bytes(const struct weight_ring *ring)
{
    return ring->memory_bytes;
}

static void start_empty(struct weight_ring *ring)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&ring->mutex, NULL);
    pthread_cond_init(&ring->arrived, &monotonic);
    pthread_cond_init(&ring->wanted, NULL);
    pthread_cond_init(&ring->turn, &monotonic);
    pthread_condattr_destroy(&monotonic);
    ring->started = ring->taken = ring->handed = ring->failed = false;
    ring->n_waiting = 0;
    ring->n_given = 0;
    ring->status = LCKV_OK;
    for (uint32_t i = 0; i < ring->n_portions; i++)
        ring->place_of[i] = RING_NONE;
    for (uint32_t i = 0; i < ring->n_places; i++)
        ring->held[i] = RING_NONE;
    ring->ending = false;
    ring->row_asked = ring->row_done = 0;
    ring->position = ring->n_reads = 0;
}

/*
 * Makes the ring belong to this process, before its first pass here. A child of fork(2) has none of
 * its parent's threads, and a place may have been half read. While a thread adopts the ring, the
 * owner is its process's id, negated; in a child of that process no thread is doing it.
 */
static void adopt(struct weight_ring *ring)
{
    const pid_t self = getpid();
    pid_t owner = atomic_load_explicit(&ring->owner, memory_order_acquire);
    while (owner != self) {
        if (owner == -self) {
            sched_yield();
            owner = atomic_load_explicit(&ring->owner, memory_order_acquire);
        } else if (atomic_compare_exchange_strong(&ring->owner, &owner, -self)) {
            start_empty(ring);
            atomic_store_explicit(&ring->owner, self, memory_order_release);
            return;
        }
    }
}

/* ---- Passes ---- */

/* Waits for the condition, but not for long, because nobody signals a cancellation. */
static void wait_briefly(struct weight_ring *ring, pthread_cond_t *condition)
{
    const int64_t until = clock_nanoseconds() + LOOK_NANOSECONDS;
    const struct timespec time = {.tv_sec = until / 1000000000, .tv_nsec = until % 1000000000};
    pthread_cond_timedwait(condition, &ring->mutex, &time);
}

static bool is_cancelled(const _Atomic int *cancelled)
{
    return *cancelled != 0;
}

/* Hands the ring to one of the passes that wait, so that all of them get on. */
static void give_back(struct weight_ring *ring)
{
    ring->n_given++;
    ring->handed = ring->n_waiting > 0;
    ring->taken = ring->handed;
    pthread_cond_broadcast(&ring->turn);
}

/* Takes the ring. What was handed on is for passes that waited already, not for later ones. */
static bool take(struct weight_ring *ring, const _Atomic int *cancelled)
{
    const uint64_t n_given = ring->n_given;
    bool is_handed = false;
    ring->n_waiting++;
    while (ring->taken && !is_handed && !is_cancelled(cancelled)) {
        wait_briefly(ring, &ring->turn);
        is_handed = ring->handed && ring->n_given != n_given;
    }
    ring->n_waiting--;
    if (ring->taken && !is_handed)
        return false;
    ring->taken = true;
    ring->handed = false;
    return true;
}

lckv_status weight_ring_begin(struct weight_ring *ring, const struct ring_pass *pass,
                              const _Atomic int *cancelled)
{
    lckv_status status = LCKV_OK;
    adopt(ring);
    pthread_mutex_lock(&ring->mutex);
    if (!take(ring, cancelled)) {
        pthread_mutex_unlock(&ring->mutex);
        return fail(LCKV_CANCELLED, "the call was cancelled");
    }
    ring->order.first_layer = pass->first_layer;
    ring->order.end_layer = pass->end_layer;
    ring->order.end_output = pass->end_output;
    ring->order.next_layer = pass->next_layer;
    ring->position = 0;
    ring->status = LCKV_OK;
    ring->failed = false;
    if (!ring->started)
        ring->started = thread_start(&ring->thread, ring_thread, ring);
    if (!ring->started) {
        give_back(ring);
        status = fail(LCKV_OUT_OF_MEMORY, "the system refuses a thread that reads weights");
    }
    pthread_cond_signal(&ring->wanted);
    pthread_mutex_unlock(&ring->mutex);
    return status;
}

/* What a waiting thread has seen of the reading thread. */
struct watch {
    uint64_t n_reads;
    int64_t since;
};

static struct watch watch_begin(const struct weight_ring *ring)
{
    return (struct watch){ring->n_reads, clock_nanoseconds()};
}

/*
 * Waits a while for what the thread reads. False if it will not come: reading has failed, the file
 * has not answered for too long, or the call was cancelled.
 */
static bool wait_on(struct weight_ring *ring, struct watch *watch, const _Atomic int *cancelled)
{
    if (ring->status != LCKV_OK) {
        ring->failed = true;
        return false;
    }
    if (is_cancelled(cancelled))
        return false;
    if (watch->n_reads != ring->n_reads)
        *watch = watch_begin(ring);
    if (clock_nanoseconds() - watch->since > ring->patience)
        ring_stop(ring,
                  fail(LCKV_IO, "streamed weights: %s: nothing could be read for %lld seconds",
                       ring->file.name, (long long)(ring->patience / 1000000000)));
    else
        wait_briefly(ring, &ring->arrived);
    return true;
}

bool weight_ring_await(struct weight_ring *ring, uint64_t position, uint32_t portion,
                       const _Atomic int *cancelled, size_t *shift)
{
    *shift = 0;
    if (position < ring->position)
        return true;
    pthread_mutex_lock(&ring->mutex);
    if (position > ring->position) {
        ring->position = position;
        pthread_cond_signal(&ring->wanted);
    }
    if (position == ring->position && portion_next_use(&ring->order, portion, position) != position)
        ring_stop(ring, fail(LCKV_INTERNAL, "portion %u is not the one of position %llu", portion,
                             (unsigned long long)position));
    struct watch watch = watch_begin(ring);
    bool waits = true;
    while (waits && position == ring->position && ring->place_of[portion] == RING_NONE)
        waits = wait_on(ring, &watch, cancelled);
    if (waits && position == ring->position)
        *shift = ring->place_of[portion] * ring->place_bytes;
    pthread_mutex_unlock(&ring->mutex);
    return waits;
}

bool weight_ring_read(struct weight_ring *ring, uint64_t offset, size_t n_bytes,
                      const _Atomic int *cancelled, const uint8_t **bytes)
{
    const size_t before = (size_t)(offset % DIRECT_ALIGNMENT);
    pthread_mutex_lock(&ring->mutex);
    ring->row_offset = offset - before;
    ring->row_needed = before + n_bytes;
    const uint32_t number = ++ring->row_asked;
    pthread_cond_signal(&ring->wanted);
    struct watch watch = watch_begin(ring);
    bool waits = true;
    while (waits && ring->row_done != number)
        waits = wait_on(ring, &watch, cancelled);
    pthread_mutex_unlock(&ring->mutex);
    *bytes = ring->row + before;
    return waits;
}

lckv_status weight_ring_end(struct weight_ring *ring)
{
    pthread_mutex_lock(&ring->mutex);
    lckv_status status = LCKV_OK;
    if (ring->failed)
        status = fail(ring->status, "%s", ring->message);
    ring->position = portion_positions(&ring->order);
    ring->row_done = ring->row_asked;
    give_back(ring);
    pthread_cond_signal(&ring->wanted);
    pthread_mutex_unlock(&ring->mutex);
    return status;
}
