/*
 * Sums over vectors of float32, in double, and mixtures of them. Sixteen partial sums go on beside
 * each other, whatever the processor, so that the result is the same in every kernel set.
 */
#ifndef LCKV_KERNELS_VECTORS_H
#define LCKV_KERNELS_VECTORS_H

#include <stddef.h>

double vector_sum(const float *x, size_t n);

/* The sum of (x - mean)^2. */
double vector_squares(const float *x, double mean, size_t n);

double vector_dot(const float *x, const float *y, size_t n);

/* x = max(0, x - cutoff); NaN stays. */
void vector_cut(float *x, double cutoff, size_t n);

/* y *= factor */
void vector_scale(float *y, float factor, size_t n);

/* y += factor * x */
void vector_add_scaled(float *y, float factor, const float *x, size_t n);

#define VECTORS_MIXED 4

/*
 * Each of VECTORS_MIXED vectors becomes itself and a mixture of all: x[j] += sum over i of
 * factors[VECTORS_MIXED * j + i] * x[i].
 */
void vectors_mix(float *const x[VECTORS_MIXED], const float *factors, size_t n);

#endif
