/*
 * The random numbers of sampling: xoshiro256** of Blackman and Vigna, seeded through splitmix64.
 * The library promises the sequence of a seed. Do not use it for secrets.
 */
#ifndef LCKV_SAMPLE_RANDOM_H
#define LCKV_SAMPLE_RANDOM_H

#include <stdint.h>

struct random {
    uint64_t state[4];
};

void random_seed(struct random *random, uint64_t seed);
uint64_t random_next(struct random *random);

/* A uniform number in [0, 1), a multiple of 2^-53. */
double random_fraction(struct random *random);

#endif
