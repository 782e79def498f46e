/*
 * An arena: many small allocations that live and die together (names, metadata, vocabularies).
 */
#ifndef LCKV_BASE_ARENA_H
#define LCKV_BASE_ARENA_H

#include "base/checked.h"
#include "base/memory.h"

struct arena_slab;

struct arena {
    lckv_allocator allocator;
    struct arena_slab *slabs;
    size_t used;  /* bytes of the first slab */
    size_t total; /* bytes of all slabs */
};

void arena_init(struct arena *arena, const lckv_allocator *allocator);
void arena_release(struct arena *arena); /* frees everything; the arena may be used again */

/* `count` x `size` zeroed bytes, aligned to 16. */
CHECKED lckv_status arena_alloc(struct arena *arena, size_t count, size_t size, const char *what,
                                void *pointer);

/* Room for `length` bytes of text, at any address, with a NUL behind them. */
CHECKED lckv_status arena_text(struct arena *arena, size_t length, char **text);

/* A copy of `length` bytes with a NUL behind them. */
CHECKED lckv_status arena_copy(struct arena *arena, const char *text, size_t length,
                               const char **copy);

#endif
