/*
 * An event: a number that threads wait to change, on a futex. What was written before event_raise()
 * is visible to a thread that has seen the new number.
 */
#ifndef LCKV_BASE_EVENT_H
#define LCKV_BASE_EVENT_H

#include "base/checked.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct event {
    _Alignas(64) _Atomic uint32_t count; /* a cache line of its own: it is spun on */
    _Atomic uint32_t sleepers;
};

/*
 * How long a thread spins before it sleeps. A spin that was long enough makes the next one long; a
 * spin in vain makes it short, because whatever the thread waits for has no processor now.
 */
struct patience {
    uint32_t most, now; /* nanoseconds */
};

void event_init(struct event *event);

/* `spin`: every thread has a processor of its own. If not, a spin only keeps others from theirs. */
void patience_init(struct patience *patience, bool spin);

/* How often the event was raised, modulo 2^32. */
uint32_t event_count(const struct event *event);

/* Spins until the count is no longer `seen`. False if patience ran out before. */
CHECKED bool event_spin(const struct event *event, uint32_t seen, struct patience *patience);

/* Sleeps until the count is no longer `seen`. */
void event_sleep(struct event *event, uint32_t seen);

void event_raise(struct event *event);

#endif
