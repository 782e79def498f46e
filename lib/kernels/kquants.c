/*
 * Super-blocks of 256 numbers. See kquants.h.
 */
#include "kernels/kquants.h"

#include "kernels/halves.h"
#include "kernels/number_tables.h"

#include <string.h>

/*
 * q4_K holds d, d_min, 12 bytes of scales and 128 of nibbles; q5_K has 32 bytes of fifth bits
 * before the nibbles. 64 columns share 32 bytes of nibbles: the first 32 columns have the low ones.
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
    for (unsigned s = 0; s < 8; s++) { /* 32 columns with one scale */
        for (size_t i = 0; i < 32; i++) {
            unsigned bit = five_bits ? fifth[i] >> s & 1u : 0;
            unsigned nibble = nibbles[s / 2 * 32 + i] >> (s % 2 * 4) & 15u;
            block->numbers[32 * s + i] = (uint8_t)(nibble | bit << 4);
        }
    }
}

/* q6_K holds 128 bytes of low nibbles, 64 of pairs of high bits, 16 scales, and d. */
static void read_q6(const uint8_t *bytes, struct kquant *block)
{
    const uint8_t *low = bytes, *high = bytes + 128;
    memcpy(block->scales, bytes + 192, 16);
    memcpy(&block->d, bytes + 208, 2);
    for (unsigned s = 0; s < 8; s++) { /* 32 columns */
        const uint8_t *nibbles = low + s / 4 * 64 + s % 2 * 32, *pairs = high + s / 4 * 32;
        for (size_t i = 0; i < 32; i++) {
            unsigned nibble = nibbles[i] >> (s % 4 / 2 * 4) & 15u;
            block->numbers[32 * s + i] = (uint8_t)(nibble | (pairs[i] >> (s % 4 * 2) & 3u) << 4);
        }
    }
}

/* Pairs of bits of q2_K and q3_K: 128 columns share 32 bytes; the first 32 have the low bits. */
static void read_pairs(const uint8_t *bytes, uint8_t numbers[256])
{
    for (size_t c = 0; c < 256; c++)
        numbers[c] = bytes[c / 128 * 32 + c % 32] >> (c / 32 % 4 * 2) & 3;
}

/* q2_K holds 16 scales, 64 bytes of pairs of bits, d and d_min. */
static void read_q2(const uint8_t *bytes, struct kquant *block)
{
    memcpy(block->scales, bytes, 16);
    read_pairs(bytes + 16, block->numbers);
    memcpy(&block->d, bytes + 80, 2);
    memcpy(&block->d_min, bytes + 82, 2);
}

/* q3_K holds 32 bytes of third bits, 64 of pairs of lower bits, 12 of scales, and d. */
static void read_q3(const uint8_t *bytes, struct kquant *block)
{
    const uint8_t *low = bytes + 96, *high = low + 8; /* four and two bits of the scales */
    read_pairs(bytes + 32, block->numbers);
    for (size_t c = 0; c < 256; c++)
        block->numbers[c] |= (uint8_t)((bytes[c % 32] >> (c / 32) & 1) << 2);
    for (size_t s = 0; s < 16; s++) {
        unsigned scale = (low[s % 8] >> (s / 8 * 4) & 15u) | (high[s % 4] >> (s / 4 * 2) & 3u) << 4;
        block->scales[s] = (uint8_t)(scale - 32);
    }
    memcpy(&block->d, bytes + 108, 2);
}

/* iq4_xs holds d, two bits and four bits of eight scales, and nibbles as q4_0 has them. */
static void read_iq4_xs(const uint8_t *bytes, struct kquant *block)
{
    unsigned high = bytes[2] | (unsigned)bytes[3] << 8;
    memcpy(&block->d, bytes, 2);
    for (size_t s = 0; s < 8; s++) {
        unsigned scale = (bytes[4 + s / 2] >> (s % 2 * 4) & 15u) | (high >> (2 * s) & 3) << 4;
        block->scales[s] = (uint8_t)(scale - 32);
        for (size_t i = 0; i < 32; i++) {
            unsigned nibble = bytes[8 + 16 * s + i % 16] >> (i / 16 * 4) & 15u;
            block->numbers[32 * s + i] = (uint8_t)iq4_numbers[nibble];
        }
    }
}

void kquant_read(lckv_dtype dtype, const uint8_t *bytes, struct kquant *block)
{
    if (dtype == LCKV_DTYPE_Q6_K)
        read_q6(bytes, block);
    else if (dtype == LCKV_DTYPE_Q2_K)
        read_q2(bytes, block);
    else if (dtype == LCKV_DTYPE_Q3_K)
        read_q3(bytes, block);
    else if (dtype == LCKV_DTYPE_IQ4_XS)
        read_iq4_xs(bytes, block);
    else
        read_q45(dtype == LCKV_DTYPE_Q5_K, bytes, block);
}

static void write_scales(const uint8_t scales[16], uint8_t bytes[12])
{
    for (size_t j = 0; j < 4; j++) {
        bytes[j] = (uint8_t)(scales[j] | scales[4 + j] >> 4 << 6);
        bytes[j + 4] = (uint8_t)(scales[8 + j] | scales[12 + j] >> 4 << 6);
        bytes[j + 8] = (uint8_t)((scales[4 + j] & 15) | (scales[12 + j] & 15) << 4);
    }
}

static void write_q45(bool five_bits, const struct kquant *block, uint8_t *bytes)
{
    memcpy(bytes, &block->d, 2);
    memcpy(bytes + 2, &block->d_min, 2);
    write_scales(block->scales, bytes + 4);
    uint8_t *fifth = bytes + 16, *nibbles = fifth + (five_bits ? 32 : 0);
    for (size_t i = 0; i < 128; i++) {
        const uint8_t *numbers = block->numbers + i / 32 * 64 + i % 32;
        nibbles[i] = (uint8_t)((numbers[0] & 15) | (numbers[32] & 15) << 4);
    }
    for (size_t i = 0; five_bits && i < 32; i++) {
        unsigned bits = 0;
        for (unsigned s = 0; s < 8; s++)
            bits |= (block->numbers[32 * s + i] >> 4 & 1u) << s;
        fifth[i] = (uint8_t)bits;
    }
}

static void write_q6(const struct kquant *block, uint8_t *bytes)
{
    uint8_t *low = bytes, *high = bytes + 128;
    for (size_t i = 0; i < 128; i++) {
        const uint8_t *numbers = block->numbers + i / 64 * 128 + i % 64;
        low[i] = (uint8_t)((numbers[0] & 15) | (numbers[64] & 15) << 4);
    }
    for (size_t i = 0; i < 64; i++) {
        const uint8_t *numbers = block->numbers + i / 32 * 128 + i % 32;
        high[i] = (uint8_t)(numbers[0] >> 4 | numbers[32] >> 4 << 2 | numbers[64] >> 4 << 4 |
                            numbers[96] >> 4 << 6);
    }
    memcpy(bytes + 192, block->scales, 16);
    memcpy(bytes + 208, &block->d, 2);
}

void kquant_write(lckv_dtype dtype, const struct kquant *block, uint8_t *bytes)
{
    if (dtype == LCKV_DTYPE_Q6_K)
        write_q6(block, bytes);
    else
        write_q45(dtype == LCKV_DTYPE_Q5_K, block, bytes);
}

void kquant_values(lckv_dtype dtype, const struct kquant *block, float values[256])
{
    bool has_minimums =
        dtype == LCKV_DTYPE_Q2_K || dtype == LCKV_DTYPE_Q4_K || dtype == LCKV_DTYPE_Q5_K;
    float d = f16_to_f32(block->d), d_min = has_minimums ? f16_to_f32(block->d_min) : 0;
    for (size_t c = 0; c < 256; c++) {
        uint8_t number = block->numbers[c], scale = block->scales[c / 16];
        if (dtype == LCKV_DTYPE_Q6_K)
            values[c] = d * (float)(int8_t)scale * (float)((int32_t)number - 32);
        else if (dtype == LCKV_DTYPE_Q3_K)
            values[c] = d * (float)(int8_t)scale * (float)((int32_t)number - 4);
        else if (dtype == LCKV_DTYPE_Q2_K)
            values[c] = d * (float)(scale & 15) * (float)number - d_min * (float)(scale >> 4);
        else if (dtype == LCKV_DTYPE_IQ4_XS)
            values[c] = d * (float)(int8_t)block->scales[c / 32] * (float)(int8_t)number;
        else
            values[c] = d * (float)block->scales[c / 32] * (float)number -
                        d_min * (float)block->scales[8 + c / 32];
    }
}
