/*
 * Allocation through the caller's allocator, and arithmetic on sizes that cannot wrap. See
 * memory.h.
 */
#include "base/memory.h"

#include "base/status.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define HUGE_PAGE ((size_t)2 << 20)

/*
 * Large blocks are mapped by the system: its memory pages are zero and take no memory before they
 * are touched. The blocks begin where huge pages do, and the system is asked to use those, because
 * weights and pages of caches are read from end to end.
 */
#define LARGE (2 * HUGE_PAGE)
#define ANY_PAGE ((size_t)64 << 10) /* a multiple of every page size */

static void *map_large(size_t size)
{
    if (size > SIZE_MAX - 2 * HUGE_PAGE)
        return NULL;
    size_t used = round_up(size, ANY_PAGE), mapped = used + HUGE_PAGE;
    uint8_t *begin = mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (begin == MAP_FAILED)
        return NULL;
    size_t before = (HUGE_PAGE - (uintptr_t)begin % HUGE_PAGE) % HUGE_PAGE;
    if (before > 0)
        munmap(begin, before);
    munmap(begin + before + used, mapped - before - used);
    madvise(begin + before, size / HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE);
    return begin + before;
}

static void *default_alloc(void *user, size_t size, size_t align)
{
    (void)user;
    void *pointer = NULL;
    if (size >= LARGE)
        return map_large(size);
    if (align < sizeof(void *))
        align = sizeof(void *);
    return posix_memalign(&pointer, align, size) == 0 ? pointer : NULL;
}

static void default_free(void *user, void *pointer, size_t size)
{
    (void)user;
    if (size >= LARGE)
        munmap(pointer, round_up(size, ANY_PAGE));
    else
        free(pointer);
}

const lckv_allocator memory_default_allocator = {
    .size = sizeof(lckv_allocator),
    .user = NULL,
    .alloc = default_alloc,
    .free = default_free,
};

lckv_status memory_choose(const lckv_allocator *given, lckv_allocator *copy)
{
    if (given == NULL) {
        *copy = memory_default_allocator;
        return LCKV_OK;
    }
    if (given->size < sizeof *given)
        return fail(LCKV_INVALID_ARGUMENT, "allocator: size is %zu, expected at least %zu",
                    given->size, sizeof *given);
    const unsigned char *bytes = (const unsigned char *)given;
    for (size_t i = sizeof *given; i < given->size; i++)
        if (bytes[i] != 0)
            return fail(LCKV_INVALID_ARGUMENT,
                        "allocator: a member that this version does not know is set");
    if ((given->alloc == NULL) != (given->free == NULL))
        return fail(LCKV_INVALID_ARGUMENT, "allocator: expected both alloc and free, or neither");
    *copy = given->alloc != NULL ? *given : memory_default_allocator;
    copy->size = sizeof *copy;
    return LCKV_OK;
}

/* The bytes to ask the allocator for: never 0, because allocators disagree on what that means. */
static size_t asked(size_t product)
{
    return product > 0 ? product : 1;
}

lckv_status memory_alloc_raw(const lckv_allocator *allocator, size_t bytes, const char *what,
                             void *pointer)
{
    void *memory = allocator->alloc(allocator->user, asked(bytes), MEMORY_ALIGN);
    if (memory == NULL)
        return fail(LCKV_OUT_OF_MEMORY, "out of memory: %zu bytes for %s", bytes, what);
    memcpy(pointer, &memory, sizeof memory);
    return LCKV_OK;
}

lckv_status memory_alloc(const lckv_allocator *allocator, size_t count, size_t size,
                         const char *what, void *pointer)
{
    size_t product;
    void *memory = NULL;
    if (!checked_multiply(count, size, &product))
        return fail(LCKV_OUT_OF_MEMORY, "out of memory: %zu x %zu bytes for %s", count, size, what);
    lckv_status status = memory_alloc_raw(allocator, product, what, &memory);
    if (status != LCKV_OK)
        return status;
    if (allocator->alloc != default_alloc || product < LARGE)
        memset(memory, 0, asked(product));
    memcpy(pointer, &memory, sizeof memory);
    return LCKV_OK;
}

void memory_free(const lckv_allocator *allocator, void *pointer, size_t count, size_t size)
{
    if (pointer != NULL)
        allocator->free(allocator->user, pointer, asked(count * size));
}

lckv_status memory_grow(const lckv_allocator *allocator, void *array, size_t *capacity,
                        size_t needed, size_t size, const char *what)
{
    const size_t smallest = 16;
    if (needed <= *capacity)
        return LCKV_OK;
    size_t grown = needed > smallest ? needed : smallest;
    if (*capacity <= SIZE_MAX / 2 && *capacity * 2 > grown)
        grown = *capacity * 2;
    void *new_array, *old_array;
    lckv_status status = memory_alloc(allocator, grown, size, what, &new_array);
    if (status != LCKV_OK)
        return status;
    memcpy(&old_array, array, sizeof old_array);
    if (*capacity > 0)
        memcpy(new_array, old_array, *capacity * size);
    memory_free(allocator, old_array, *capacity, size);
    memcpy(array, &new_array, sizeof new_array);
    *capacity = grown;
    return LCKV_OK;
}

bool checked_multiply(size_t a, size_t b, size_t *result)
{
    if (b != 0 && a > SIZE_MAX / b)
        return false;
    *result = a * b;
    return true;
}

bool checked_add(size_t a, size_t b, size_t *result)
{
    if (a > SIZE_MAX - b)
        return false;
    *result = a + b;
    return true;
}

bool checked_multiply64(uint64_t a, uint64_t b, uint64_t *result)
{
    if (b != 0 && a > UINT64_MAX / b)
        return false;
    *result = a * b;
    return true;
}

bool checked_add64(uint64_t a, uint64_t b, uint64_t *result)
{
    if (a > UINT64_MAX - b)
        return false;
    *result = a + b;
    return true;
}
