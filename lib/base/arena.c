/*
 * The arena takes slabs from the allocator and hands out their bytes from front to back. See
 * arena.h.
 */
#include "base/arena.h"

#include "base/status.h"

#include <string.h>

#define ARENA_ALIGN 16
#define SMALLEST_SLAB ((size_t)4 << 10)
#define LARGEST_SLAB ((size_t)1 << 20)

/* Stands at the start of its own slab. */
struct arena_slab {
    struct arena_slab *next;
    size_t size; /* of the whole slab */
};

#define HEADER_SIZE ((sizeof(struct arena_slab) + ARENA_ALIGN - 1) / ARENA_ALIGN * ARENA_ALIGN)

void arena_init(struct arena *arena, const lckv_allocator *allocator)
{
    arena->allocator = *allocator;
    arena->slabs = NULL;
    arena->used = 0;
    arena->total = 0;
}

void arena_release(struct arena *arena)
{
    struct arena_slab *slab = arena->slabs;
    while (slab != NULL) {
        struct arena_slab *next = slab->next;
        memory_free(&arena->allocator, slab, slab->size, 1);
        slab = next;
    }
    arena->slabs = NULL;
    arena->used = 0;
    arena->total = 0;
}

/* Slabs grow with the arena, so that neither small nor large arenas waste much. */
static size_t slab_size(const struct arena *arena)
{
    if (arena->total < SMALLEST_SLAB)
        return SMALLEST_SLAB;
    return arena->total < LARGEST_SLAB ? arena->total : LARGEST_SLAB;
}

static lckv_status add_slab(struct arena *arena, size_t size, const char *what,
                            struct arena_slab **slab)
{
    lckv_status status = memory_alloc(&arena->allocator, size, 1, what, slab);
    if (status == LCKV_OK) {
        (*slab)->size = size;
        arena->total += size;
    }
    return status;
}

/* `size` zeroed bytes at a multiple of `align`, which divides ARENA_ALIGN. */
static lckv_status take(struct arena *arena, size_t size, size_t align, const char *what,
                        unsigned char **memory)
{
    struct arena_slab *slab = arena->slabs;
    size_t begin = round_up(arena->used, align);
    if (slab != NULL && begin <= slab->size && size <= slab->size - begin) {
        *memory = (unsigned char *)slab + begin;
        arena->used = begin + size;
        return LCKV_OK;
    }
    size_t usual = slab_size(arena);
    bool large = size > usual / 4;
    lckv_status status = add_slab(arena, large ? HEADER_SIZE + size : usual, what, &slab);
    if (status != LCKV_OK)
        return status;
    *memory = (unsigned char *)slab + HEADER_SIZE;
    if (large && arena->slabs != NULL) {
        /* The new slab becomes the second, so that the rest of the first one stays in use. */
        slab->next = arena->slabs->next;
        arena->slabs->next = slab;
    } else {
        slab->next = arena->slabs;
        arena->slabs = slab;
        arena->used = HEADER_SIZE + size;
    }
    return LCKV_OK;
}

lckv_status arena_alloc(struct arena *arena, size_t count, size_t size, const char *what,
                        void *pointer)
{
    size_t product, with_header;
    unsigned char *memory;
    if (!checked_multiply(count, size, &product) ||
        !checked_add(product, HEADER_SIZE, &with_header))
        return fail(LCKV_OUT_OF_MEMORY, "out of memory: %zu x %zu bytes for %s", count, size, what);
    lckv_status status = take(arena, product, ARENA_ALIGN, what, &memory);
    if (status == LCKV_OK)
        memcpy(pointer, &memory, sizeof memory);
    return status;
}

lckv_status arena_text(struct arena *arena, size_t length, char **text)
{
    size_t size;
    unsigned char *memory;
    if (!checked_add(length, 1 + HEADER_SIZE, &size))
        return fail(LCKV_OUT_OF_MEMORY, "out of memory: %zu bytes for a text", length);
    lckv_status status = take(arena, length + 1, 1, "a text", &memory);
    if (status == LCKV_OK)
        *text = (char *)memory;
    return status;
}

lckv_status arena_copy(struct arena *arena, const char *text, size_t length, const char **copy)
{
    char *memory;
    lckv_status status = arena_text(arena, length, &memory);
    if (status != LCKV_OK)
        return status;
    if (length > 0)
        memcpy(memory, text, length);
    *copy = memory;
    return LCKV_OK;
}
