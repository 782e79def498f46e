/*
 * Finds the largest logit. See largest.h.
 */
#include "sample/largest.h"

#include "base/status.h"

#include <math.h>

static bool any_is_finite(const float *logits, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (isfinite(logits[i]))
            return true;
    }
    return false;
}

lckv_status find_largest(const struct kernels *kernels, const float *logits, size_t n,
                         const char *when, size_t *index)
{
    float largest = kernels->largest(logits, n);
    if (!isfinite(largest) && !isnan(largest) && !any_is_finite(logits, n))
        return fail(LCKV_INVALID_ARGUMENT, "none of %zu logits is finite%s", n, when);
    size_t i = 0;
    while (isnan(largest) ? !isnan(logits[i]) : logits[i] != largest)
        i++;
    if (isnan(largest))
        return fail(LCKV_INVALID_ARGUMENT, "logits[%zu] is not a number%s", i, when);
    *index = i;
    return LCKV_OK;
}
