/*
 * How many pages a slot of a session holds: the one place from which the planner, the size of a
 * cache and the cost of a call have it, so that they agree. Which pages those are, and who has
 * them, is cache/'s.
 */
#ifndef LCKV_PLAN_PAGES_H
#define LCKV_PLAN_PAGES_H

#include "plan/plan.h"

/* What the pages of a plan's slots depend on. */
struct paging {
    uint32_t page_positions;
    uint32_t sliding_window, rollback; /* a windowed slot keeps so many tokens, together */
};

/* Pages that positions [0, length) take. */
uint64_t pages_for(const struct paging *paging, uint64_t length);

/* The most pages that a slot can hold between two calls, if sessions have up to `length` tokens. */
uint64_t pages_at_rest(const struct paging *paging, bool windowed, uint64_t length);

/*
 * The most pages that a slot holds at any moment of a call that makes a session `length` tokens
 * long by appending `n_tokens`, at most `chunk` of them in a pass. `held`: what it held before.
 *
 * Never less for a greater length, number of tokens, chunk or number held; and the same for every
 * chunk up to rollback + 1.
 */
uint64_t pages_at_peak(const struct paging *paging, bool windowed, uint64_t held, uint64_t length,
                       uint64_t n_tokens, uint64_t chunk);

#endif
