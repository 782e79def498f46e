/*
 * Measures the rate at which this machine reads memory, with which decoding is compared.
 */
#ifndef TOOLS_BANDWIDTH_H
#define TOOLS_BANDWIDTH_H

#include <stdint.h>

/*
 * The bytes per second that `n_threads` threads read together, in the best of a few passes. Each
 * reads memory of its own that is far larger than its caches. 0 if there is not enough memory; ends
 * the program if a thread cannot start.
 */
double read_bandwidth(uint32_t n_threads);

#endif
