/*
 * Whether the runs of a pool go faster in company or alone.
 *
 * Where other programs take the processors, a worker may lose its own in the middle of its work,
 * and the others wait until it comes back. Then the caller's thread alone may be faster. So runs of
 * one kind, which take about the same time, are tried both ways, and the better way is kept for a
 * while. This happens only where waits are long: on a machine that is not shared nothing is tried.
 */
#ifndef LCKV_BASE_COMPANY_H
#define LCKV_BASE_COMPANY_H

#include "base/checked.h"

#include <stdbool.h>
#include <stdint.h>

struct company {
    uint32_t kind;      /* of the runs that the rest is about */
    bool alone;         /* how they go now */
    double estimate[2]; /* nanoseconds of a run in company and of one alone; 0: not known */
    /* The present period, in which nothing changes. */
    int64_t period;  /* nanoseconds that it takes at least */
    int64_t elapsed; /* of its runs so far */
    int64_t stalled; /* of that, waits that were longer than patience */
    uint32_t n_runs;
};

/* Whether the next run goes alone. A run of kind 0 is like no other and never does. */
CHECKED bool company_alone(struct company *company, uint32_t kind);

/* Tells how long that run took, in nanoseconds. */
void company_learn(struct company *company, int64_t elapsed, int64_t stalled);

#endif
