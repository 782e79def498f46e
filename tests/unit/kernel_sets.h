/*
 * What the tests of kernels share: the sets that this machine runs.
 */
#ifndef LCKV_TESTS_KERNEL_SETS_H
#define LCKV_TESTS_KERNEL_SETS_H

#include "kernels/kernels.h"

/*
 * The first set behind `last` that runs here, or the first of all if `last` is NULL. NULL if there
 * is none.
 */
static inline const struct kernels *next_set(const struct kernels *last)
{
    size_t count, i = 0;
    const struct kernels *const *sets = kernels_all(&count);
    while (last != NULL && sets[i++] != last)
        ;
    while (i < count && !kernels_available(sets[i]))
        i++;
    return i < count ? sets[i] : NULL;
}

#define FOR_KERNEL_SETS(kernels) \
    for (const struct kernels *kernels = next_set(NULL); kernels; kernels = next_set(kernels))

#endif
