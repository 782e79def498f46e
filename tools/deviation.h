/*
 * How far logits are from the exact ones.
 */
#ifndef TOOLS_DEVIATION_H
#define TOOLS_DEVIATION_H

#include <stddef.h>
#include <stdint.h>

/* Sums over all rows so far; begins as zeros. */
struct deviation {
    double sum, squares; /* of the exact logits */
    double differences;  /* from them, without sign */
    double largest;      /* of these; infinite if a logit is not finite */
    uint64_t n_logits, n_rows;
    uint64_t n_agreeing; /* rows with the same largest logit */
};

/* Both are [n_rows, n_vocab]. */
void deviation_add(struct deviation *deviation, const float *logits, const float *exact,
                   size_t n_rows, size_t n_vocab);

/* In standard deviations of the exact logits: the largest difference, and the mean of all. */
double deviation_largest(const struct deviation *deviation);
double deviation_mean(const struct deviation *deviation);

#endif
