/*
 * Finds the largest of a row of logits, and finds out whether the row can be used.
 */
#ifndef LCKV_SAMPLE_LARGEST_H
#define LCKV_SAMPLE_LARGEST_H

#include "base/checked.h"
#include "kernels/kernels.h"

/*
 * Gives the index of the largest logit, the lowest index of equals. LCKV_INVALID_ARGUMENT if one is
 * NaN or none is finite; `when` completes the message.
 */
CHECKED lckv_status find_largest(const struct kernels *kernels, const float *logits, size_t n,
                                 const char *when, size_t *index);

#endif
