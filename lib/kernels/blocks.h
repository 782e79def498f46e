/*
 * Element types as files store them: rows of blocks to float32 and back. Portable, for loading,
 * converting and tests; the products work on the packed layout of matrix.h instead.
 */
#ifndef LCKV_KERNELS_BLOCKS_H
#define LCKV_KERNELS_BLOCKS_H

#include "format/dtype.h"

#include <stddef.h>

/* `n` elements (whole blocks) of `dtype` from file bytes to float32. Any alignment. */
void blocks_dequantize(lckv_dtype dtype, const void *bytes, size_t n, float *values);

/* The reverse, for F32, F16, BF16, Q8_0, Q4_0 (bit for bit as the field's reference quantisers). */
void blocks_quantize(lckv_dtype dtype, const float *values, size_t n, void *bytes);

#endif
