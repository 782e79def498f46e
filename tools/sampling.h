/*
 * How tokens are chosen: the options of generate and chat, and their sampler.
 */
#ifndef TOOLS_SAMPLING_H
#define TOOLS_SAMPLING_H

#include "options.h"

/* All zero: greedy. */
struct sampling {
    double temperature;
    double top_p;
    double min_p;
    uint64_t top_k;
    uint64_t seed;
};

struct option option_temperature(double *temperature);
struct option option_top_k(uint64_t *top_k);
struct option option_top_p(double *top_p);
struct option option_min_p(double *min_p);
struct option option_seed(uint64_t *seed);

/* Complains and returns an exit status. */
int create_sampler(const struct sampling *sampling, lckv_sampler **sampler);

#endif
