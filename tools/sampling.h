/*
 * How tokens are chosen: the options of generate and chat, and their sampler.
 */
#ifndef TOOLS_SAMPLING_H
#define TOOLS_SAMPLING_H

#include "options.h"

/* All zero but top_p: greedy. */
struct sampling {
    double temperature;
    double top_p; /* 1: all; 0 keeps one token, as any share that the best one reaches */
    double min_p;
    uint64_t top_k;
    uint64_t seed;
};

struct option option_temperature(double *temperature);
struct option option_top_k(uint64_t *top_k);
struct option option_top_p(double *top_p);
struct option option_min_p(double *min_p);
struct option option_seed(uint64_t *seed);

#define SAMPLING_DEFAULTS \
    {                     \
        .top_p = 1        \
    }

/* Complains and returns an exit status. */
int create_sampler(const struct sampling *sampling, lckv_sampler **sampler);

#endif
