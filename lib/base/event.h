/*
 * An event: a number that threads wait to change, on a futex. What was written before event_raise()
 * is visible after event_wait() has returned for it.
 */
#ifndef LCKV_BASE_EVENT_H
#define LCKV_BASE_EVENT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct event {
    _Alignas(64) _Atomic uint32_t count; /* a cache line of its own: it is spun on */
    _Atomic uint32_t sleepers;
};

void event_init(struct event *event);

/* How often it was raised, modulo 2^32. */
uint32_t event_count(const struct event *event);

/* Returns when the count is no longer `seen`. `spin`: try for 50 microseconds before sleeping. */
void event_wait(struct event *event, uint32_t seen, bool spin);
void event_raise(struct event *event);

#endif
