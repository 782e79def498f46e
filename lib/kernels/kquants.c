/*
 * Super-blocks of 256 numbers. See kquants.h.
 */
#include "kernels/kquants.h"

#include "kernels/blocks.h"

#include <string.h>

/*
 * q4_K: d, d_min, 12 bytes of scales, 128 of nibbles; q5_K: the same with 32 bytes of fifth bits
 * before the nibbles. Of 64 columns that share 32 bytes, the first 32 are the low nibbles.
 */
static void read_scales(const uint8_t bytes[12], uint8_t scales[16])
{
    for (size_t j = 0; j < 4; j++) {
        scales[j] = bytes[j] & 63;
        scales[8 + j] = bytes[j + 4] & 63;
        scales[4 + j] = (uint8_t)((bytes[j + 8] & 15) | (bytes[j] >> 6) << 4);
        scales[12 + j] = (uint8_t)((bytes[j + 8] >> 4) | (bytes[j + 4] >> 6) << 4);
    }
}

static void read_q45(bool five_bits, const uint8_t *bytes, struct kquant *block)
{
    memcpy(&block->d, bytes, 2);
    memcpy(&block->d_min, bytes + 2, 2);
    read_scales(bytes + 4, block->scales);
    const uint8_t *fifth = bytes + 16, *nibbles = fifth + (five_bits ? 32 : 0);
    for (size_t c = 0; c < 256; c++) {
        uint32_t number = nibbles[c / 64 * 32 + c % 32] >> (c / 32 % 2 * 4) & 15;
        if (five_bits)
            number |= (uint32_t)(fifth[c % 32] >> (c / 32) & 1) << 4;
        block->numbers[c] = (uint8_t)number;
    }
}

/* q6_K: 128 bytes of low nibbles, 64 of high pairs, 16 scales, then d. */
static void read_q6(const uint8_t *bytes, struct kquant *block)
{
    const uint8_t *low = bytes, *high = bytes + 128;
    memcpy(block->scales, bytes + 192, 16);
    memcpy(&block->d, bytes + 208, 2);
    for (size_t c = 0; c < 256; c++) {
        size_t half = c / 128, quarter = c % 128 / 32, at = c % 32;
        uint32_t nibble = low[64 * half + at + quarter % 2 * 32] >> (quarter / 2 * 4) & 15;
        uint32_t pair = high[32 * half + at] >> (2 * quarter) & 3;
        block->numbers[c] = (uint8_t)(nibble | pair << 4);
    }
}

void kquant_read(lckv_dtype dtype, const uint8_t *bytes, struct kquant *block)
{
    if (dtype == LCKV_DTYPE_Q6_K)
        read_q6(bytes, block);
    else
        read_q45(dtype == LCKV_DTYPE_Q5_K, bytes, block);
}

void kquant_values(lckv_dtype dtype, const struct kquant *block, float values[256])
{
    float d = f16_to_f32(block->d), d_min = 0;
    if (dtype != LCKV_DTYPE_Q6_K)
        d_min = f16_to_f32(block->d_min);
    for (size_t c = 0; c < 256; c++) {
        if (dtype == LCKV_DTYPE_Q6_K)
            values[c] =
                d * (float)(int8_t)block->scales[c / 16] * (float)((int32_t)block->numbers[c] - 32);
        else
            values[c] = d * (float)block->scales[c / 32] * (float)block->numbers[c] -
                        d_min * (float)block->scales[8 + c / 32];
    }
}
