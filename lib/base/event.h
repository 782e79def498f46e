/*
 * An event is a number on a futex, and threads wait for it to change. What was written before
 * event_raise() is visible to every thread that has seen the new number.
 */
#ifndef LCKV_BASE_EVENT_H
#define LCKV_BASE_EVENT_H

#include "base/checked.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct event {
    _Alignas(64) _Atomic uint32_t count; /* on a cache line of its own: threads spin on it */
    _Atomic uint32_t sleepers;
};

/*
 * How long a thread spins before it sleeps. After a spin that succeeded the next one may be long.
 * After a spin in vain it is short, because the thread that is waited for has no processor now.
 */
struct patience {
    uint32_t most, now; /* nanoseconds */
};

void event_init(struct event *event);

/*
 * `spin` says whether every thread has a processor of its own. If not, a spin would only take
 * processors from the other threads.
 */
void patience_init(struct patience *patience, bool spin);

/* How often the event was raised, modulo 2^32. */
uint32_t event_count(const struct event *event);

/* Spins until the count is no longer `seen`. False if patience ran out before. */
CHECKED bool event_spin(const struct event *event, uint32_t seen, struct patience *patience);

/* Sleeps until the count is no longer `seen`. */
void event_sleep(struct event *event, uint32_t seen);

void event_raise(struct event *event);

#endif
