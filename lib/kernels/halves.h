/*
 * Floats of 16 bits, one at a time: for loading, converting and the portable kernels.
 */
#ifndef LCKV_KERNELS_HALVES_H
#define LCKV_KERNELS_HALVES_H

#include <stdint.h>

/* IEEE half and bfloat16. They round to nearest even; NaN stays NaN, overflow becomes infinity. */
float f16_to_f32(uint16_t half);
uint16_t f32_to_f16(float value);
float bf16_to_f32(uint16_t value);
uint16_t f32_to_bf16(float value);

#define BF16_MOST 0x1.fep127f /* the largest finite bfloat16 */

#endif
