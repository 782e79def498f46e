/*
 * Random numbers, the same on every machine. Set the seed first: tests may run in any order, and
 * several in one process.
 */
#ifndef LCKV_TESTS_RANDOM_H
#define LCKV_TESTS_RANDOM_H

#include <stdint.h>

static uint64_t random_seed;

static inline uint32_t random_bits(void)
{
    random_seed = random_seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random_seed >> 32);
}

static inline double random_uniform(void) /* -1 .. 1 */
{
    return (double)random_bits() / (1u << 31) - 1;
}

#endif
