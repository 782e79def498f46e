/*
 * See placing.h.
 */
#include "cache/placing.h"

#include "base/status.h"
#include "cache/kept.h"

#define NO_PAGE UINT32_MAX

void placing_init(struct placing *placing, struct lckv_cache *cache)
{
    *placing = (struct placing){.cache = cache, .most_parts = saved_most_parts(cache)};
}

static struct placed_part *part_of(const struct placing *placing, uint32_t number)
{
    return &placing->parts[number - 1];
}

static lckv_status add_part(struct placing *placing, uint32_t slot, uint64_t index)
{
    lckv_status status =
        memory_grow(&placing->cache->allocator, &placing->parts, &placing->part_capacity,
                    placing->n_parts + 1, sizeof *placing->parts, "the parts of saved sessions");
    if (status == LCKV_OK)
        placing->parts[placing->n_parts++] =
            (struct placed_part){.index = index, .slot = slot, .home = NO_PAGE, .latest = NO_PAGE};
    return status;
}

lckv_status placing_name_part(struct placing *placing, uint32_t number, uint32_t slot,
                              uint64_t index, struct saved_span span)
{
    lckv_status status = LCKV_OK;
    if (number == placing->n_parts + 1)
        status = add_part(placing, slot, index);
    if (status != LCKV_OK)
        return status;
    if (number == 0 || number > placing->n_parts || part_of(placing, number)->slot != slot ||
        part_of(placing, number)->index != index)
        return fail(LCKV_BAD_FORMAT,
                    "the saved sessions name part %u for positions from %llu on of slot %u, where "
                    "it cannot be",
                    number, (unsigned long long)(index * SAVED_PART), slot);
    saved_span_join(&part_of(placing, number)->span, span);
    return LCKV_OK;
}

/* The planned page that the session may join, or NO_PAGE. */
static uint32_t find_page(const struct placing *placing, const uint32_t *numbers)
{
    const size_t n = placing->most_parts;
    uint32_t page = NO_PAGE;
    for (size_t i = n; i-- > 0 && page == NO_PAGE;) {
        if (numbers[i] != 0)
            page = part_of(placing, numbers[i])->latest;
    }
    for (size_t i = 0; i < n && page != NO_PAGE; i++) {
        const uint32_t there = placing->contents[page * n + i];
        if (there != 0 && numbers[i] != 0 && there != numbers[i])
            page = NO_PAGE;
    }
    return page;
}

static lckv_status plan_page(struct placing *placing, uint32_t *page)
{
    const size_t n = placing->most_parts;
    if (placing->n_pages == NO_PAGE)
        return fail(LCKV_CACHE_FULL, "the saved sessions need more than %u pages", NO_PAGE);
    lckv_status status = memory_grow(&placing->cache->allocator, &placing->contents,
                                     &placing->content_capacity, (placing->n_pages + 1) * n,
                                     sizeof *placing->contents, "the pages of a restore");
    if (status == LCKV_OK)
        *page = (uint32_t)placing->n_pages++;
    return status;
}

lckv_status placing_add_page(struct placing *placing, struct slot_pages *slot,
                             const uint32_t *numbers)
{
    const size_t n = placing->most_parts;
    uint32_t page = find_page(placing, numbers);
    lckv_status status = page == NO_PAGE ? plan_page(placing, &page) : LCKV_OK;
    if (status == LCKV_OK)
        status = cache_grow_table(placing->cache, &slot->ids, &slot->capacity, slot->kept + 1,
                                  sizeof *slot->ids, "a session's page table");
    if (status != LCKV_OK)
        return status;
    slot->ids[slot->kept++] = page;
    for (size_t i = 0; i < n; i++) {
        if (numbers[i] == 0)
            continue;
        struct placed_part *part = part_of(placing, numbers[i]);
        placing->contents[page * n + i] = numbers[i];
        part->home = part->home == NO_PAGE ? page : part->home;
        part->latest = page;
    }
    return LCKV_OK;
}

static lckv_status check_room(const struct placing *placing)
{
    struct lckv_cache *cache = placing->cache;
    if (placing->n_pages > cache_available(cache, cache->table_bytes))
        give_up_all_kept(cache); /* their tables may cost pages, too */
    const uint64_t available = cache_available(cache, cache->table_bytes);
    if (placing->n_pages <= available)
        return LCKV_OK;
    return fail(
        LCKV_CACHE_FULL,
        "the saved sessions need %zu pages and %llu are free; release or truncate sessions, "
        "or create a larger cache",
        placing->n_pages, (unsigned long long)available);
}

lckv_status placing_take(struct placing *placing, struct lckv_session *const *sessions,
                         size_t n_sessions)
{
    struct lckv_cache *cache = placing->cache;
    lckv_status status = check_room(placing);
    if (status == LCKV_OK)
        status = memory_alloc(&cache->allocator, placing->n_pages, sizeof *placing->pages,
                              "the pages of a restore", &placing->pages);
    while (status == LCKV_OK && placing->n_taken < placing->n_pages) {
        status = cache_take(cache, PAGE_NONE, &placing->pages[placing->n_taken]);
        placing->n_taken += status == LCKV_OK;
    }
    for (size_t i = 0; status == LCKV_OK && i < n_sessions; i++) {
        for (uint32_t s = 0; s < cache->model->plan->n_slots; s++) {
            struct slot_pages *slot = &sessions[i]->slots[s];
            for (; slot->count < slot->kept; slot->count++) {
                slot->ids[slot->count] = placing->pages[slot->ids[slot->count]];
                pages_share(&cache->pages, slot->ids[slot->count], PAGE_LIVE);
            }
        }
    }
    return status;
}

static uint8_t *page_of(const struct placing *placing, uint32_t planned)
{
    return page_address(&placing->cache->pages, placing->pages[planned]);
}

uint8_t *placing_page(const struct placing *placing, const struct placed_part *part)
{
    return page_of(placing, part->home);
}

/* Copies a part, which has the same place in both pages. */
static lckv_status copy_part(const struct placing *placing, const struct placed_part *part,
                             uint32_t page, uint8_t *plain)
{
    const struct kv_layout *layout = cache_layout(placing->cache, part->slot);
    const uint32_t first = saved_first_position(placing->cache, part->slot, part->index);
    for (uint32_t p = first + part->span.begin; p < first + part->span.end; p++) {
        for (uint32_t head = 0; head < layout->n_kv_heads; head++) {
            kv_export(layout, page_of(placing, part->home), p, head, plain);
            if (!kv_import(layout, page_of(placing, page), p, head, plain))
                return fail(LCKV_INTERNAL, "a value that was checked is not finite");
        }
    }
    return LCKV_OK;
}

lckv_status placing_copy(const struct placing *placing, uint8_t *plain)
{
    lckv_status status = LCKV_OK;
    for (size_t i = 0; status == LCKV_OK && i < placing->n_pages * placing->most_parts; i++) {
        const uint32_t page = (uint32_t)(i / placing->most_parts);
        if (placing->contents[i] == 0)
            continue;
        const struct placed_part *part = part_of(placing, placing->contents[i]);
        if (part->home != page)
            status = copy_part(placing, part, page, plain);
    }
    return status;
}

void placing_release(struct placing *placing)
{
    const lckv_allocator *allocator = &placing->cache->allocator;
    for (size_t i = 0; i < placing->n_taken; i++)
        pages_drop(&placing->cache->pages, placing->pages[i], PAGE_LIVE);
    memory_free(allocator, placing->pages, placing->n_pages, sizeof *placing->pages);
    memory_free(allocator, placing->contents, placing->content_capacity, sizeof *placing->contents);
    memory_free(allocator, placing->parts, placing->part_capacity, sizeof *placing->parts);
}
