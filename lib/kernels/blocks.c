/*
 * Element types as files store them. See blocks.h.
 */
#include "kernels/blocks.h"

#include "kernels/halves.h"
#include "kernels/kquants.h"

#include <math.h>
#include <string.h>

static uint16_t load16(const uint8_t *bytes)
{
    return (uint16_t)(bytes[0] | bytes[1] << 8);
}

static void store16(uint8_t *bytes, uint16_t value)
{
    bytes[0] = (uint8_t)value;
    bytes[1] = (uint8_t)(value >> 8);
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
        case LCKV_DTYPE_Q8_0:
            dequantize_q8_0(at, values + i);
            break;
        case LCKV_DTYPE_Q4_0:
            dequantize_q4_0(at, values + i);
            break;
        case LCKV_DTYPE_Q4_1:
            dequantize_q4_1(at, values + i);
            break;
        case LCKV_DTYPE_Q4_K:
        case LCKV_DTYPE_Q5_K:
        case LCKV_DTYPE_Q6_K:
            dequantize_kquant(dtype, at, values + i);
            break;
        default:
            values[i] = 0;
        }
    }
}

/*
 * Rounds towards zero. Numbers that no byte can hold become the nearest that one can; NaN becomes
 * 0.
 */
static int8_t to_byte(float x)
{
    return x >= 127 ? 127 : x <= -128 ? -128 : x == x ? (int8_t)x : 0;
}

static void quantize_q8_0(const float *values, uint8_t *block)
{
    float largest = 0;
    for (size_t i = 0; i < 32; i++)
        largest = fmaxf(largest, fabsf(values[i]));
    float d = largest / 127.0f, inverse = d != 0 ? 1.0f / d : 0;
    store16(block, f32_to_f16(d));
    for (size_t i = 0; i < 32; i++)
        block[2 + i] = (uint8_t)to_byte(roundf(values[i] * inverse));
}

/* The value of the largest magnitude becomes -8, so that its sign gets the wider side. */
static void quantize_q4_0(const float *values, uint8_t *block)
{
    float largest = 0, extreme = 0;
    for (size_t i = 0; i < 32; i++) {
        if (fabsf(values[i]) > largest) {
            largest = fabsf(values[i]);
            extreme = values[i];
        }
    }
    float d = extreme / -8, inverse = d != 0 ? 1.0f / d : 0;
    uint8_t numbers[32];
    for (size_t i = 0; i < 32; i++) {
        int number = to_byte(values[i] * inverse + 8.5f);
        numbers[i] = (uint8_t)(number < 0 ? 0 : number < 15 ? number : 15);
    }
    store16(block, f32_to_f16(d));
    for (size_t i = 0; i < 16; i++)
        block[2 + i] = (uint8_t)(numbers[i] | numbers[i + 16] << 4);
}

void blocks_quantize(lckv_dtype dtype, const float *values, size_t n, void *bytes)
{
    const struct dtype_info *info = dtype_info(dtype);
    uint8_t *at = bytes;
    for (size_t i = 0; i < n; i += info->block_elements, at += info->block_bytes) {
        switch (dtype) {
        case LCKV_DTYPE_F32:
            memcpy(at, values + i, sizeof *values);
            break;
        case LCKV_DTYPE_F16:
            store16(at, f32_to_f16(values[i]));
            break;
        case LCKV_DTYPE_BF16:
            store16(at, f32_to_bf16(values[i]));
            break;
        case LCKV_DTYPE_Q8_0:
            quantize_q8_0(values + i, at);
            break;
        case LCKV_DTYPE_Q4_0:
            quantize_q4_0(values + i, at);
            break;
        default:
            break;
        }
    }
}
