/*
 * What a cache will take, before it is made.
 */
#ifndef LCKV_ENGINE_ESTIMATE_H
#define LCKV_ENGINE_ESTIMATE_H

#include "base/checked.h"
#include "model/model.h"

/* As lckv_cache_estimate; `options` are of full size, `n_threads` are those of the pool. */
CHECKED lckv_status estimate_cache(const struct lckv_model *model,
                                   const lckv_cache_options *options, uint32_t n_threads,
                                   uint64_t context, lckv_cache_estimate_report *report);

#endif
