/*
 * Who holds which page. See pages.h.
 */
#include "cache/pages.h"

#include "base/status.h"
#include "kernels/kv.h"

#include <string.h>

uint64_t pages_table_bytes(uint64_t n)
{
    return n * sizeof(struct page);
}

lckv_status pages_create(struct pages *pages, size_t n, size_t page_bytes,
                         const lckv_allocator *allocator)
{
    *pages = (struct pages){.page_bytes = page_bytes, .first_free = PAGE_NONE};
    if (n >= PAGE_NONE || !checked_multiply(n, page_bytes, &pages->bytes) ||
        !checked_add(pages->bytes, KV_SLACK, &pages->bytes))
        return fail(LCKV_OUT_OF_MEMORY, "a cache of %zu pages is too large", n);
    lckv_status status =
        memory_alloc_raw(allocator, pages->bytes, "the pages of a cache", &pages->base);
    if (status == LCKV_OK) { /* pages are zeroed when they are taken */
        memset(pages->base + pages->bytes - KV_SLACK, 0, KV_SLACK);
        status = memory_alloc(allocator, n, sizeof *pages->table, "the table of a cache's pages",
                              &pages->table);
    }
    if (status != LCKV_OK)
        return status;
    pages->n = pages->n_free = (uint32_t)n;
    for (uint32_t id = pages->n; id-- > 0;) { /* low addresses are taken first */
        pages->table[id].next_free = pages->first_free;
        pages->first_free = id;
    }
    return LCKV_OK;
}

void pages_destroy(struct pages *pages, const lckv_allocator *allocator)
{
    memory_free(allocator, pages->base, pages->bytes, 1);
    memory_free(allocator, pages->table, pages->n, sizeof *pages->table);
}

/* A page with undefined contents. */
static uint32_t take(struct pages *pages)
{
    uint32_t id = pages->first_free;
    if (id == PAGE_NONE)
        return PAGE_NONE;
    pages->first_free = pages->table[id].next_free;
    pages->table[id].held[PAGE_LIVE] = 1;
    pages->n_free--;
    return id;
}

uint32_t pages_take(struct pages *pages)
{
    uint32_t id = take(pages);
    if (id != PAGE_NONE)
        memset(page_address(pages, id), 0, pages->page_bytes);
    return id;
}

uint32_t pages_take_copy(struct pages *pages, uint32_t from)
{
    uint32_t id = take(pages);
    if (id != PAGE_NONE)
        memcpy(page_address(pages, id), page_address(pages, from), pages->page_bytes);
    return id;
}

static bool idle(const struct page *page)
{
    return page->held[PAGE_LIVE] == 0 && page->held[PAGE_KEPT] > 0;
}

void pages_share(struct pages *pages, uint32_t id, enum page_holder holder)
{
    if (id == PAGE_NONE)
        return;
    struct page *page = &pages->table[id];
    pages->n_idle -= idle(page);
    page->held[holder]++;
    pages->n_idle += idle(page);
}

void pages_drop(struct pages *pages, uint32_t id, enum page_holder holder)
{
    if (id == PAGE_NONE)
        return;
    struct page *page = &pages->table[id];
    pages->n_idle -= idle(page);
    page->held[holder]--;
    pages->n_idle += idle(page);
    if (page->held[PAGE_LIVE] == 0 && page->held[PAGE_KEPT] == 0) {
        page->next_free = pages->first_free;
        pages->first_free = id;
        pages->n_free++;
    }
}

bool pages_held_once(const struct pages *pages, uint32_t id)
{
    return pages->table[id].held[PAGE_LIVE] == 1;
}

void pages_claim(struct pages *pages, uint32_t id, uint32_t begin)
{
    struct page *page = &pages->table[id];
    page->last = page->writers == 0 || page->last < begin ? begin : page->last;
    page->writers++;
}

bool pages_grant(struct pages *pages, uint32_t id, uint32_t begin, bool gives_up_kept)
{
    struct page *page = &pages->table[id];
    if (page->last != begin || page->writers < page->held[PAGE_LIVE] ||
        (page->held[PAGE_KEPT] > 0 && !gives_up_kept))
        return false;
    page->last = 0;
    return true;
}

void pages_forget_claims(struct pages *pages, uint32_t id)
{
    pages->table[id].writers = 0;
}
