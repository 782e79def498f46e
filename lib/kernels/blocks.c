/*
 * From blocks to floats. See blocks.h.
 */
#include "kernels/blocks.h"

#include "kernels/halves.h"
#include "kernels/kquants.h"
#include "kernels/number_tables.h"
#include "kernels/quad.h"

#include <math.h>
#include <string.h>

static uint16_t load16(const uint8_t *bytes)
{
    return (uint16_t)(bytes[0] | bytes[1] << 8);
}

/* Four bits of exponent and three of mantissa, no infinity: all ones are NaN. */
static float f8_e4m3_to_f32(uint8_t byte)
{
    int exponent = byte >> 3 & 15, mantissa = byte & 7;
    float magnitude =
        exponent > 0 ? ldexpf((float)(8 + mantissa), exponent - 10) : ldexpf((float)mantissa, -9);
    if ((byte & 127) == 127)
        magnitude = NAN;
    return byte & 128 ? -magnitude : magnitude;
}

static void dequantize_q8_0(const uint8_t *block, float *values)
{
    float d = f16_to_f32(load16(block));
    for (size_t i = 0; i < 32; i++)
        values[i] = d * (float)(int8_t)block[2 + i];
}

static void dequantize_q4_0(const uint8_t *block, float *values)
{
    float d = f16_to_f32(load16(block));
    for (size_t i = 0; i < 16; i++) {
        values[i] = d * (float)((block[2 + i] & 15) - 8);
        values[i + 16] = d * (float)((block[2 + i] >> 4) - 8);
    }
}

static void dequantize_q4_1(const uint8_t *block, float *values)
{
    float d = f16_to_f32(load16(block)), m = f16_to_f32(load16(block + 2));
    for (size_t i = 0; i < 16; i++) {
        values[i] = d * (float)(block[4 + i] & 15) + m;
        values[i + 16] = d * (float)(block[4 + i] >> 4) + m;
    }
}

/* Number i of a block of q5_0 or q5_1, whose fifth bits are in one word before the nibbles. */
static uint32_t five_bits(const uint8_t *fifth, size_t i)
{
    uint32_t nibble = fifth[4 + i % 16] >> (i / 16 * 4) & 15u;
    return nibble | (load_quad(fifth) >> i & 1) << 4;
}

static void dequantize_q5_0(const uint8_t *block, float *values)
{
    float d = f16_to_f32(load16(block));
    for (size_t i = 0; i < 32; i++)
        values[i] = d * (float)((int32_t)five_bits(block + 2, i) - 16);
}

static void dequantize_q5_1(const uint8_t *block, float *values)
{
    float d = f16_to_f32(load16(block)), m = f16_to_f32(load16(block + 2));
    for (size_t i = 0; i < 32; i++)
        values[i] = d * (float)five_bits(block + 4, i) + m;
}

/* iq4_nl and mxfp4: the nibbles stand for numbers of a table. */
static void dequantize_table(float d, const uint8_t *nibbles, const int8_t numbers[16],
                             float *values)
{
    for (size_t i = 0; i < 16; i++) {
        values[i] = d * (float)numbers[nibbles[i] & 15];
        values[i + 16] = d * (float)numbers[nibbles[i] >> 4];
    }
}

static void dequantize_kquant(lckv_dtype dtype, const uint8_t *block, float *values)
{
    struct kquant parts;
    kquant_read(dtype, block, &parts);
    kquant_values(dtype, &parts, values);
}

void blocks_dequantize(lckv_dtype dtype, const void *bytes, size_t n, float *values)
{
    const struct dtype_info *info = dtype_info(dtype);
    const uint8_t *at = bytes;
    for (size_t i = 0; i < n; i += info->block_elements, at += info->block_bytes) {
        switch (dtype) {
        case LCKV_DTYPE_F32:
            memcpy(values + i, at, sizeof *values);
            break;
        case LCKV_DTYPE_F16:
            values[i] = f16_to_f32(load16(at));
            break;
        case LCKV_DTYPE_BF16:
            values[i] = bf16_to_f32(load16(at));
            break;
        case LCKV_DTYPE_F8_E4M3:
            values[i] = f8_e4m3_to_f32(*at);
            break;
        case LCKV_DTYPE_Q8_0:
            dequantize_q8_0(at, values + i);
            break;
        case LCKV_DTYPE_Q4_0:
            dequantize_q4_0(at, values + i);
            break;
        case LCKV_DTYPE_Q4_1:
            dequantize_q4_1(at, values + i);
            break;
        case LCKV_DTYPE_Q5_0:
            dequantize_q5_0(at, values + i);
            break;
        case LCKV_DTYPE_Q5_1:
            dequantize_q5_1(at, values + i);
            break;
        case LCKV_DTYPE_IQ4_NL:
            dequantize_table(f16_to_f32(load16(at)), at + 2, iq4_numbers, values + i);
            break;
        case LCKV_DTYPE_MXFP4: /* the numbers are doubled: 2^(e - 128) */
            dequantize_table(ldexpf(1, at[0] - 128), at + 1, mxfp4_numbers, values + i);
            break;
        case LCKV_DTYPE_Q2_K:
        case LCKV_DTYPE_Q3_K:
        case LCKV_DTYPE_Q4_K:
        case LCKV_DTYPE_Q5_K:
        case LCKV_DTYPE_Q6_K:
        case LCKV_DTYPE_IQ4_XS:
            dequantize_kquant(dtype, at, values + i);
            break;
        default:
            values[i] = 0;
        }
    }
}
