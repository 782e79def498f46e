/*
 * Finds out whether the runs of a pool go faster in company, on all its threads, or alone, on the
 * caller's.
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
    uint32_t kind;      /* the other members describe runs of this kind */
    bool alone;         /* whether they go alone now */
    double estimate[2]; /* nanoseconds of a run in company and of one alone; 0: not known */
    /* The present period, in which nothing changes. */
    int64_t period;  /* the nanoseconds that it lasts at least */
    int64_t elapsed; /* the nanoseconds that its runs have taken so far */
    int64_t stalled; /* those of them that the caller waited beyond its patience */
    uint32_t n_runs;
};

/* Whether the next run goes alone. Runs of kind 0 have nothing in common and never go alone. */
CHECKED bool company_alone(struct company *company, uint32_t kind);

/* Records how long that run took and how long its caller stalled, in nanoseconds. */
void company_learn(struct company *company, int64_t elapsed, int64_t stalled);

#endif
