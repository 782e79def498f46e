/*
 * How many pages a slot of a session holds. The planner, the size of a cache and the cost of a call
 * all ask here, so that they agree. cache/ decides which pages those are, and who has them.
 */
#ifndef LCKV_PLAN_PAGE_COUNTS_H
#define LCKV_PLAN_PAGE_COUNTS_H

#include "plan/windows.h"

/* What the pages of a plan's slots depend on. */
struct paging {
    uint32_t page_positions;
    uint32_t rollback; /* tokens that a slot keeps beyond its reach */
    struct windows windows;
};

/* Pages that positions [0, length) take. */
uint64_t pages_for(const struct paging *paging, uint64_t length);

/* The pages of a slot's sinks, which it keeps while it drops those behind them. */
uint64_t pages_of_sinks(const struct paging *paging, bool windowed);

/* The most pages that a slot holds between two calls, if its session has up to `length` tokens. */
uint64_t pages_at_rest(const struct paging *paging, bool windowed, uint64_t length);

/*
 * The most pages that a slot holds at any moment of a call that makes a session `length` tokens
 * long by appending `n_tokens`, at most `chunk` of them in a pass. `held`: the pages that it held
 * before.
 *
 * The result never falls when the length, the number of tokens, the chunk or the number held grows,
 * and it is the same for every chunk up to rollback + 1.
 */
uint64_t pages_at_peak(const struct paging *paging, bool windowed, uint64_t held, uint64_t length,
                       uint64_t n_tokens, uint64_t chunk);

#endif
