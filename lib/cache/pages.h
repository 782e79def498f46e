/*
 * The pages of a cache: blocks of equal size in one piece of memory, each with a count of those who
 * hold it. A page that two hold is never written to: its holder takes a copy first.
 *
 * Sessions hold pages, and so do released sessions that are kept in case a new one begins as they
 * did (kept.h). Pages that only kept sessions hold are idle: they count as available, since the
 * cache gives kept sessions up when a call needs pages.
 */
#ifndef LCKV_CACHE_PAGES_H
#define LCKV_CACHE_PAGES_H

#include "base/checked.h"
#include "base/memory.h"

#include <stdbool.h>

#define PAGE_NONE UINT32_MAX

enum page_holder { PAGE_LIVE, PAGE_KEPT, PAGE_HOLDERS }; /* a session; a kept one */

struct page {
    uint32_t held[PAGE_HOLDERS]; /* how many hold the page */
    uint32_t writers;            /* how many have claimed it */
    union {
        uint32_t next_free; /* while nobody holds the page: the next such page */
        uint32_t last;      /* else, while it is claimed: where the last claim begins; 0: granted */
    };
};

struct pages {
    uint8_t *base; /* page `id` begins at base + id * page_bytes; KV_SLACK bytes follow the last */
    size_t page_bytes, bytes;
    struct page *table; /* [n] */
    uint32_t n, n_free, n_idle;
    uint32_t first_free; /* a stack: what was given back last is taken first */
};

/* Bytes that `n` pages take besides the pages themselves. */
uint64_t pages_table_bytes(uint64_t n);

/* LCKV_OUT_OF_MEMORY if they cannot be had; pages_destroy works after a failure, too. */
CHECKED lckv_status pages_create(struct pages *pages, size_t n, size_t page_bytes,
                                 const lckv_allocator *allocator);
void pages_destroy(struct pages *pages, const lckv_allocator *allocator);

static inline uint8_t *page_address(const struct pages *pages, uint32_t id)
{
    return pages->base + id * pages->page_bytes;
}

/* A zeroed page, held by one session. PAGE_NONE if none is free. */
CHECKED uint32_t pages_take(struct pages *pages);

/* The same with the contents of `from`. */
CHECKED uint32_t pages_take_copy(struct pages *pages, uint32_t from);

/* One more, or one fewer, holds the page. PAGE_NONE is no page. */
void pages_share(struct pages *pages, uint32_t id, enum page_holder holder);
void pages_drop(struct pages *pages, uint32_t id, enum page_holder holder);

/* Whether no other session holds it; kept sessions may. */
bool pages_held_once(const struct pages *pages, uint32_t id);

/*
 * The sessions of a call that will write to pages they hold first claim these, each from the
 * position in the page at which it begins. Then they ask, one after the other, whether they may
 * write to the page itself: one may if nobody else holds it. That is the one that begins last, so
 * that the others, which write to copies, find theirs unharmed if the call fails. Kept sessions may
 * be given up before. pages_forget_claims ends the claims.
 */
void pages_claim(struct pages *pages, uint32_t id, uint32_t begin);
CHECKED bool pages_grant(struct pages *pages, uint32_t id, uint32_t begin, bool gives_up_kept);
void pages_forget_claims(struct pages *pages, uint32_t id);

#endif
