/*
 * Floats of 16 bits, one at a time: for loading, converting and the portable kernels.
 */
#ifndef LCKV_KERNELS_HALVES_H
#define LCKV_KERNELS_HALVES_H

#include <stdint.h>
#include <string.h>

static inline uint32_t float_bits(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static inline float float_of_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/*
 * IEEE half. Every kind of number takes the same steps, so that compilers make vectors of them, and
 * so that halves that nobody wrote, beside those that count, decide no jump.
 */
static inline float f16_to_f32(uint16_t half)
{
    const uint32_t sign = (uint32_t)(half & 0x8000) << 16, rest = half & 0x7fffu;
    const uint32_t special = -(uint32_t)(rest >= 0x7c00); /* all ones for infinity and NaN */
    const uint32_t denormal = -(uint32_t)(rest < 0x400);  /* a multiple of 2^-24 */
    const uint32_t shifted = (rest << 13) + (112u << 23) + (special & 112u << 23);
    const uint32_t small = float_bits((float)(int32_t)rest * 0x1p-24f);
    return float_of_bits(sign | (denormal & small) | (~denormal & shifted));
}

static inline float bf16_to_f32(uint16_t value)
{
    return float_of_bits((uint32_t)value << 16);
}

/* To IEEE half and bfloat16: to nearest even; NaN stays NaN, overflow becomes infinity. */
uint16_t f32_to_f16(float value);
uint16_t f32_to_bf16(float value);

#define BF16_MOST 0x1.fep127f /* the largest finite bfloat16 */

#endif
