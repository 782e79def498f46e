/*
 * The largest of a row of logits, which also says whether they can be worked with.
 */
#ifndef LCKV_SAMPLE_LARGEST_H
#define LCKV_SAMPLE_LARGEST_H

#include "base/checked.h"
#include "kernels/kernels.h"

/*
 * The index of the largest logit, the lowest of equals. LCKV_INVALID_ARGUMENT if one is NaN or none
 * is finite; `when` completes the message.
 */
CHECKED lckv_status find_largest(const struct kernels *kernels, const float *logits, size_t n,
                                 const char *when, size_t *index);

#endif
