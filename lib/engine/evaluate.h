/*
 * One evaluate call: check, reserve, compute, commit. What callers may rely on stands at
 * lckv_evaluate.
 */
#ifndef LCKV_ENGINE_EVALUATE_H
#define LCKV_ENGINE_EVALUATE_H

#include "base/checked.h"
#include "cache/session.h"

/*
 * The cache must be held by the caller (cache_enter). `stride` is the size of an item in bytes;
 * options are of full size.
 */
CHECKED lckv_status evaluate(struct lckv_cache *cache, const lckv_item *items, size_t stride,
                             size_t n_items, const lckv_evaluate_options *options,
                             lckv_evaluate_report *report);
CHECKED lckv_status evaluate_cost(struct lckv_cache *cache, const lckv_item *items, size_t stride,
                                  size_t n_items, const lckv_evaluate_options *options,
                                  lckv_evaluate_report *report);

#endif
