/*
 * How many tokens of each session go through cyclic layers together, if the caller leaves that to
 * the library.
 */
#ifndef LCKV_ENGINE_WINDOW_CHOICE_H
#define LCKV_ENGINE_WINDOW_CHOICE_H

#include "cache/cache.h"

/* What decides it: the passes through the layers of cyclic groups. */
struct window_load {
    const char *kernel_set;
    lckv_precision precision;
    double weights, weight_bytes;
    double float_weights; /* of `weights`: those that are multiplied as float32 */
    double tile_weights;  /* of `weights`: those that are multiplied in tiles of AMX */
    double attention;     /* operations of a row on keys and values */
    double n_streams;     /* sessions that share the passes */
    bool is_streamed;     /* the weights are read from a file for each pass */
};

/* The window with which a prompt is likely to take the least time. It may be 1. */
uint32_t window_for(const struct window_load *load);

/* What cyclic layers ask of passes over a cache whose sessions have tokens at such a depth. */
struct window_load window_load(const struct lckv_cache *cache, double n_streams, double depth);

/* The window for that load. It is 1 if the cache cannot see tokens come to rest. */
uint32_t window_choose(const struct lckv_cache *cache, double n_streams, double depth);

#endif
