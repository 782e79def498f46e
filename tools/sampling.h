/*
 * How tokens are chosen: the options of generate and chat for this, and a sampler made from them.
 */
#ifndef TOOLS_SAMPLING_H
#define TOOLS_SAMPLING_H

#include "lckv.h"

/* All members are 0, but top_p is 1, for greedy sampling. */
struct sampling {
    double temperature;
    double top_p; /* 1: all; 0: only the most likely token, whose probability reaches that */
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
