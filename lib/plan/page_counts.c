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

uint64_t pages_of_sinks(const struct paging *paging, bool windowed)
{
    return pages_for(paging, slot_reach(&paging->windows, windowed).n_sinks);
}

uint64_t pages_at_rest(const struct paging *paging, bool windowed, uint64_t length)
{
    const uint64_t window = slot_reach(&paging->windows, windowed).window;
    const uint64_t kept = pages_touched(paging, sum_or_most(window, paging->rollback));
    return smaller(pages_for(paging, length), sum_or_most(pages_of_sinks(paging, windowed), kept));
}

/*
 * The call may be cancelled, and the session must then be as it was. So a slot with a window keeps
 * its old pages until the call has succeeded. Of the new ones it keeps the sinks, those that the
 * pass in progress attends to (window - 1 positions before the pass, and the pass) and those that
 * the session will keep: the pages of window + max(chunk - 1, rollback) positions. A short call
 * needs fewer, because its old and new positions are consecutive.
 */
uint64_t pages_at_peak(const struct paging *paging, bool windowed, uint64_t held, uint64_t length,
                       uint64_t n_tokens, uint64_t chunk)
{
    const uint64_t window = slot_reach(&paging->windows, windowed).window;
    const uint64_t sinks = pages_of_sinks(paging, windowed);
    uint64_t ahead = chunk - 1 > paging->rollback ? chunk - 1 : paging->rollback;
    uint64_t in_flight = pages_touched(paging, sum_or_most(window, ahead));
    uint64_t kept = sum_or_most(window, paging->rollback);
    uint64_t in_a_row = sum_or_most(sinks, pages_touched(paging, sum_or_most(kept, n_tokens)));
    uint64_t old_and_new = sum_or_most(held > sinks ? held : sinks, in_flight);
    return smaller(pages_for(paging, length), smaller(in_a_row, old_and_new));
}
