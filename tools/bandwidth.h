/*
 * The rate at which this machine reads memory: what decoding is measured against.
 */
#ifndef TOOLS_BANDWIDTH_H
#define TOOLS_BANDWIDTH_H

#include <stddef.h>
#include <stdint.h>

/* Memory to read, far larger than the caches that threads do not share. Zero is an empty one. */
struct bandwidth_probe {
    uint32_t n_threads;
    unsigned char *bytes;
    size_t n_bytes;
};

/* An empty probe if memory is refused. */
struct bandwidth_probe bandwidth_open(uint32_t n_threads);
void bandwidth_close(struct bandwidth_probe *probe);

/*
 * Bytes per second that the threads read together right now, each from memory of its own; the best
 * of a few passes. 0 if the probe is empty; ends the program if threads are refused.
 */
double bandwidth_read(const struct bandwidth_probe *probe);

#endif
