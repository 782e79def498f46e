/*
 * An allocator that counts the bytes that are out, fills them with rubbish, and refuses every
 * allocation after a given number.
 */
#ifndef LCKV_TESTS_ALLOCATOR_H
#define LCKV_TESTS_ALLOCATOR_H

#include "lckv.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

struct counting {
    size_t n_allowed;    /* allocations until it refuses */
    _Atomic size_t out;  /* bytes not yet given back, of all threads */
    _Atomic size_t most; /* the most that were out at once, if one thread allocates */
};

static inline void *counting_alloc(void *user, size_t size, size_t align)
{
    struct counting *counting = user;
    void *pointer;
    ck_assert_uint_gt(size, 0);
    if (counting->n_allowed == 0 || posix_memalign(&pointer, align, size) != 0)
        return NULL;
    counting->n_allowed--;
    counting->out += size;
    if (counting->out > counting->most)
        counting->most = counting->out;
    memset(pointer, 0xFF, size); /* as numbers: NaN */
    return pointer;
}

static inline void counting_free(void *user, void *pointer, size_t size)
{
    struct counting *counting = user;
    ck_assert_ptr_nonnull(pointer);
    ck_assert_uint_ge(counting->out, size);
    counting->out -= size;
    explicit_bzero(pointer, size); /* code that still uses it fails */
    free(pointer);
}

static inline lckv_allocator counting_allocator(struct counting *counting)
{
    return (lckv_allocator){sizeof(lckv_allocator), counting, counting_alloc, counting_free};
}

#endif
