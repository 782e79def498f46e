/*
 * Element types as files store them: turns rows of blocks into float32 and back. Portable code for
 * loading, converting and tests; the products work on the packed layout of matrix.h instead.
 */
#ifndef LCKV_KERNELS_BLOCKS_H
#define LCKV_KERNELS_BLOCKS_H

#include "format/dtype.h"

#include <stddef.h>

/* Turns `n` elements (whole blocks) of `dtype` from file bytes, at any alignment, into float32. */
void blocks_dequantize(lckv_dtype dtype, const void *bytes, size_t n, float *values);

/* Whether the reverse is possible for a type. */
CHECKED bool blocks_can_quantize(lckv_dtype dtype);

/*
 * The reverse. Every bit is that of the reference quantisers, except in k-quants, where a search of
 * our own minimises the squared error.
 */
void blocks_quantize(lckv_dtype dtype, const float *values, size_t n, void *bytes);

#endif
