/*
 * How many tokens of each session go through cyclic layers together, if the caller leaves that to
 * the library.
 */
#ifndef LCKV_ENGINE_WINDOW_CHOICE_H
#define LCKV_ENGINE_WINDOW_CHOICE_H

#include "model/model.h"

/* What decides it: the passes through the layers of cyclic groups. */
struct window_load {
    const char *kernel_set;
    lckv_precision precision;
    double weights, weight_bytes;
    double attention; /* operations of a row for each position that it attends to */
    double n_streams; /* sessions that share the passes */
    double depth;     /* positions that their tokens attend to */
};

/* The window with which a prompt is likely to take the least time. It may be 1. */
uint32_t window_for(const struct window_load *load);

/* The same for the layers of a model. */
uint32_t window_choose(const struct lckv_model *model, size_t n_streams, double depth);

#endif
