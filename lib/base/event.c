/*
 * A thread that waits spins for a short time, because inside a run the event is usually only
 * microseconds away. Then it sleeps in futex(2). See event.h.
 */
#include "base/event.h"

#include "base/clock.h"

#include <limits.h>
#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MOST_NANOSECONDS 50000
#define LEAST_NANOSECONDS 2000 /* longer than steps usually take to end, shorter than a sleep */
#define PAUSES_PER_LOOK 32     /* between two looks at the clock: about a microsecond */

void event_init(struct event *event)
{
    atomic_init(&event->count, 0);
    atomic_init(&event->sleepers, 0);
}

void patience_init(struct patience *patience, bool spin)
{
    patience->most = patience->now = spin ? MOST_NANOSECONDS : 0;
}

uint32_t event_count(const struct event *event)
{
    return atomic_load_explicit(&event->count, memory_order_acquire);
}

/*
 * Tells the processor that this thread spins, so that it saves power and lets the core's other
 * hyper-thread run faster.
 */
static void spin_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static void futex(_Atomic uint32_t *word, int operation, uint32_t value)
{
    syscall(SYS_futex, word, operation, value, NULL, NULL, 0);
}

bool event_spin(const struct event *event, uint32_t seen, struct patience *patience)
{
    if (event_count(event) != seen)
        return true;
    if (patience->most == 0)
        return false;
    int64_t end = clock_nanoseconds() + patience->now;
    do {
        for (int i = 0; i < PAUSES_PER_LOOK; i++) {
            if (event_count(event) != seen) {
                patience->now = patience->most;
                return true;
            }
            spin_pause();
        }
    } while (clock_nanoseconds() < end);
    patience->now = patience->now / 2 > LEAST_NANOSECONDS ? patience->now / 2 : LEAST_NANOSECONDS;
    return false;
}

void event_sleep(struct event *event, uint32_t seen)
{
    /*
     * Sequentially consistent, as in event_raise(): either the raiser sees this sleeper, or the
     * sleeper sees the new count. The kernel looks at the count once more before it puts the thread
     * to sleep.
     */
    atomic_fetch_add(&event->sleepers, 1);
    while (atomic_load(&event->count) == seen)
        futex(&event->count, FUTEX_WAIT_PRIVATE, seen);
    atomic_fetch_sub(&event->sleepers, 1);
}

void event_raise(struct event *event)
{
    atomic_fetch_add(&event->count, 1);
    if (atomic_load(&event->sleepers) > 0)
        futex(&event->count, FUTEX_WAKE_PRIVATE, INT_MAX);
}
