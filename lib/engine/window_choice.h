/*
 * How many tokens of each session go through cyclic layers together, if the caller leaves that to
 * the library.
 */
#ifndef LCKV_ENGINE_WINDOW_CHOICE_H
#define LCKV_ENGINE_WINDOW_CHOICE_H

#include "model/model.h"

/*
 * The window with which a prompt is likely to take the least time: `n_streams` sessions share the
 * passes, and their tokens attend to about `depth` positions. It may be 1.
 */
uint32_t window_choose(const struct lckv_model *model, size_t n_streams, double depth);

#endif
