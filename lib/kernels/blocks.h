/*
 * Element types as files store them: rows of blocks to float32 and back. Portable, for loading,
 * converting and tests; the products work on the packed layout of matrix.h instead.
 */
#ifndef LCKV_KERNELS_BLOCKS_H
#define LCKV_KERNELS_BLOCKS_H

#include "format/dtype.h"

#include <stddef.h>

/* IEEE half and bfloat16, round to nearest even; NaN stays NaN, overflow becomes infinity. */
float f16_to_f32(uint16_t half);
uint16_t f32_to_f16(float value);
float bf16_to_f32(uint16_t value);
uint16_t f32_to_bf16(float value);

#define BF16_MOST 0x1.fep127f /* the largest finite bfloat16 */

/* `n` elements (whole blocks) of `dtype` from file bytes to float32. Any alignment. */
void blocks_dequantize(lckv_dtype dtype, const void *bytes, size_t n, float *values);

/* The reverse, for F32, F16, BF16, Q8_0, Q4_0 (bit for bit as the field's reference quantisers). */
void blocks_quantize(lckv_dtype dtype, const float *values, size_t n, void *bytes);

#endif
