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

/* The reverse, for F32, F16, BF16, Q8_0 and Q4_0. Every bit is that of the reference quantisers. */
void blocks_quantize(lckv_dtype dtype, const float *values, size_t n, void *bytes);

#endif
