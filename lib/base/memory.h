/*
 * Allocation. All memory of the library's own comes from here, and every allocation may fail.
 *
 * Callers remember the sizes, because the public allocator's free() needs them.
 */
#ifndef LCKV_BASE_MEMORY_H
#define LCKV_BASE_MEMORY_H

#include "base/checked.h"
#include "lckv.h"

#include <stdbool.h>

#define MEMORY_ALIGN 64 /* a cache line, and the widest vector */

/* The C library's allocator; blocks from 4 MiB on are mapped. */
extern const lckv_allocator memory_default_allocator;

/* Checks a caller's allocator (NULL: the default) and copies it to `copy`. */
CHECKED lckv_status memory_choose(const lckv_allocator *given, lckv_allocator *copy);

/*
 * `count` x `size` zeroed bytes aligned to MEMORY_ALIGN, in `*pointer`. A count of 0 gives a
 * pointer that may be freed. LCKV_OUT_OF_MEMORY, with a message that names `what`, if the product
 * overflows or the allocator refuses. Large blocks from the default allocator take no memory before
 * they are touched.
 */
CHECKED lckv_status memory_alloc(const lckv_allocator *allocator, size_t count, size_t size,
                                 const char *what, void *pointer);

/*
 * The same with undefined contents, for large blocks: the threads that fill them should be the
 * first to touch their memory pages. Free it as `bytes` x 1.
 */
CHECKED lckv_status memory_alloc_raw(const lckv_allocator *allocator, size_t bytes,
                                     const char *what, void *pointer);

/* Gives back what memory_alloc gave for the same count and size. NULL is fine. */
void memory_free(const lckv_allocator *allocator, void *pointer, size_t count, size_t size);

/*
 * Makes room for `needed` elements of `size` bytes in the array `*(void **)array`, which has room
 * for `*capacity`: doubles, keeps the contents, zeroes the rest. On failure all is as before.
 */
CHECKED lckv_status memory_grow(const lckv_allocator *allocator, void *array, size_t *capacity,
                                size_t needed, size_t size, const char *what);

/* a * b and a + b; false, with *result untouched, if they overflow. */
CHECKED bool checked_multiply(size_t a, size_t b, size_t *result);
CHECKED bool checked_add(size_t a, size_t b, size_t *result);

/* The same in 64 bits, for sizes and offsets in files. */
CHECKED bool checked_multiply64(uint64_t a, uint64_t b, uint64_t *result);
CHECKED bool checked_add64(uint64_t a, uint64_t b, uint64_t *result);

/* The next multiple of `step`; it must not overflow. */
static inline size_t round_up(size_t n, size_t step)
{
    return (n + step - 1) / step * step;
}

#endif
