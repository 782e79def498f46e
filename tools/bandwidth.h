/*
 * The rate at which this machine reads memory: what decoding is measured against.
 */
#ifndef TOOLS_BANDWIDTH_H
#define TOOLS_BANDWIDTH_H

#include <stdint.h>

/*
 * Bytes per second that `n_threads` threads read together from memory of their own, far larger than
 * the caches that they do not share; the best of a few passes. 0 if memory is refused; ends the
 * program if threads are.
 */
double read_bandwidth(uint32_t n_threads);

#endif
