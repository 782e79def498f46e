/*
 * The size of a cache: from a budget of bytes or a number of tokens to pages.
 */
#ifndef LCKV_CACHE_SIZE_H
#define LCKV_CACHE_SIZE_H

#include "cache/cache.h"

/*
 * The number of pages, by a cache's model, paging, layout, limits and scratch. Sets `table_room`
 * and `tables_cost_pages`. LCKV_INVALID_ARGUMENT, with the least that works, if the budget is too
 * small.
 */
CHECKED lckv_status cache_size(struct lckv_cache *cache, const lckv_cache_options *options,
                               size_t *n_pages);

/* The pages that a session takes while single tokens bring it to `length` tokens. */
uint64_t cache_session_pages(const struct lckv_cache *cache, uint64_t length);

/* Bytes of the tables of a session of `length` tokens that never was longer. */
uint64_t cache_session_tables(const struct lckv_cache *cache, uint64_t length);

#endif
