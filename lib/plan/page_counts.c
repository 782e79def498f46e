/*
 * The arithmetic of pages. See page_counts.h.
 */
#include "plan/page_counts.h"

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t sum_or_most(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

uint64_t pages_for(const struct paging *paging, uint64_t length)
{
    return length / paging->page_positions + (length % paging->page_positions != 0);
}

/* The most pages that `n` consecutive positions touch, n > 0: the first may lie at a page's end. */
static uint64_t pages_touched(const struct paging *paging, uint64_t n)
{
    return pages_for(paging, n - 1) + 1;
}

static uint64_t tokens_kept(const struct paging *paging)
{
    return (uint64_t)paging->sliding_window + paging->rollback;
}

uint64_t pages_at_rest(const struct paging *paging, bool windowed, uint64_t length)
{
    uint64_t all = pages_for(paging, length);
    return windowed ? smaller(all, pages_touched(paging, tokens_kept(paging))) : all;
}

/*
 * The call may be cancelled, and the session must then be as it was. So a windowed slot keeps its
 * old pages until the call has succeeded. Of the new ones it keeps those that the pass in progress
 * attends to (sliding_window - 1 positions before the pass, and the pass) and those that the
 * session will keep (tokens_kept): the pages of sliding_window + max(chunk - 1, rollback)
 * positions. A short call needs fewer, because its old and new positions are consecutive.
 */
uint64_t pages_at_peak(const struct paging *paging, bool windowed, uint64_t held, uint64_t length,
                       uint64_t n_tokens, uint64_t chunk)
{
    uint64_t all = pages_for(paging, length);
    if (!windowed)
        return all;
    uint64_t ahead = chunk - 1 > paging->rollback ? chunk - 1 : paging->rollback;
    uint64_t in_flight = pages_touched(paging, sum_or_most(paging->sliding_window, ahead));
    uint64_t in_a_row = pages_touched(paging, sum_or_most(tokens_kept(paging), n_tokens));
    return smaller(smaller(all, in_a_row), sum_or_most(held, in_flight));
}
