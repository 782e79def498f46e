/*
 * How tokens are chosen: what the options of generate and chat say, and their sampler.
 */
#ifndef TOOLS_SAMPLING_H
#define TOOLS_SAMPLING_H

#include "lckv.h"

/* All zero but top_p: greedy. */
struct sampling {
    double temperature;
    double top_p; /* 1: all; 0 keeps one token, as any share that the best one reaches */
    double min_p;
    uint64_t top_k;
    uint64_t seed;
};

#define SAMPLING_DEFAULTS \
    {                     \
        .top_p = 1        \
    }

/* Complains and returns an exit status. */
int create_sampler(const struct sampling *sampling, lckv_sampler **sampler);

#endif
