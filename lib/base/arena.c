/*
 * The arena: blocks from the allocator, handed out front to back. See arena.h.
 */
#include "base/arena.h"

#include "base/status.h"

#include <string.h>

#define ARENA_ALIGN 16
#define SMALLEST_BLOCK ((size_t)4 << 10)
#define LARGEST_BLOCK ((size_t)1 << 20)

/* Stands at the start of its own block. */
struct arena_block {
    struct arena_block *next;
    size_t size; /* of the whole block */
};

#define HEADER_SIZE ((sizeof(struct arena_block) + ARENA_ALIGN - 1) / ARENA_ALIGN * ARENA_ALIGN)

void arena_init(struct arena *arena, const lckv_allocator *allocator)
{
    arena->allocator = *allocator;
    arena->blocks = NULL;
    arena->used = 0;
    arena->total = 0;
}

void arena_release(struct arena *arena)
{
    struct arena_block *block = arena->blocks;
    while (block != NULL) {
        struct arena_block *next = block->next;
        memory_free(&arena->allocator, block, block->size, 1);
        block = next;
    }
    arena->blocks = NULL;
    arena->used = 0;
    arena->total = 0;
}

/* Blocks grow with the arena, so that neither small nor large arenas waste much. */
static size_t block_size(const struct arena *arena)
{
    if (arena->total < SMALLEST_BLOCK)
        return SMALLEST_BLOCK;
    return arena->total < LARGEST_BLOCK ? arena->total : LARGEST_BLOCK;
}

static lckv_status add_block(struct arena *arena, size_t size, const char *what,
                             struct arena_block **block)
{
    lckv_status status = memory_alloc(&arena->allocator, size, 1, what, block);
    if (status == LCKV_OK) {
        (*block)->size = size;
        arena->total += size;
    }
    return status;
}

/* `size` zeroed bytes at a multiple of `align`, which divides ARENA_ALIGN. */
static lckv_status take(struct arena *arena, size_t size, size_t align, const char *what,
                        unsigned char **memory)
{
    struct arena_block *block = arena->blocks;
    size_t begin = round_up(arena->used, align);
    if (block != NULL && begin <= block->size && size <= block->size - begin) {
        *memory = (unsigned char *)block + begin;
        arena->used = begin + size;
        return LCKV_OK;
    }
    size_t usual = block_size(arena);
    bool large = size > usual / 4;
    lckv_status status = add_block(arena, large ? HEADER_SIZE + size : usual, what, &block);
    if (status != LCKV_OK)
        return status;
    *memory = (unsigned char *)block + HEADER_SIZE;
    if (large && arena->blocks != NULL) {
        /* Behind the first block, whose rest stays in use. */
        block->next = arena->blocks->next;
        arena->blocks->next = block;
    } else {
        block->next = arena->blocks;
        arena->blocks = block;
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
