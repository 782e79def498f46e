/*
 * From floats to blocks. See blocks.h.
 */
#include "kernels/blocks.h"

#include "kernels/halves.h"
#include "kernels/quad.h"
#include "kernels/quantize_kquants.h"

#include <math.h>
#include <string.h>

static void store16(uint8_t *bytes, uint16_t value)
{
    bytes[0] = (uint8_t)value;
    bytes[1] = (uint8_t)(value >> 8);
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

static uint8_t cut_number(int number, int most)
{
    return (uint8_t)(number < 0 ? 0 : number < most ? number : most);
}

/*
 * Numbers of q4_0 and q5_0, of which `zero` stands for 0. The value of the largest magnitude
 * becomes 0, so that its sign gets the wider side. Returns the scale.
 */
static float numbers_around_zero(const float *values, int zero, uint8_t numbers[32])
{
    float largest = 0, extreme = 0;
    for (size_t i = 0; i < 32; i++) {
        if (fabsf(values[i]) > largest) {
            largest = fabsf(values[i]);
            extreme = values[i];
        }
    }
    float d = extreme / -(float)zero, inverse = d != 0 ? 1.0f / d : 0;
    for (size_t i = 0; i < 32; i++) {
        int number = to_byte(values[i] * inverse + ((float)zero + 0.5f));
        numbers[i] = cut_number(number, 2 * zero - 1);
    }
    return d;
}

/* Numbers of q4_1 and q5_1, from the least value, which becomes 0, to the largest. */
static float numbers_from_least(const float *values, int most, uint8_t numbers[32], float *least)
{
    float largest = values[0];
    *least = values[0];
    for (size_t i = 1; i < 32; i++) {
        *least = fminf(*least, values[i]);
        largest = fmaxf(largest, values[i]);
    }
    float d = (largest - *least) / (float)most, inverse = d != 0 ? 1.0f / d : 0;
    for (size_t i = 0; i < 32; i++)
        numbers[i] = cut_number(to_byte((values[i] - *least) * inverse + 0.5f), most);
    return d;
}

static void store_nibbles(const uint8_t numbers[32], uint8_t *bytes)
{
    for (size_t i = 0; i < 16; i++)
        bytes[i] = (uint8_t)((numbers[i] & 15) | (numbers[i + 16] & 15) << 4);
}

static void store_five_bits(const uint8_t numbers[32], uint8_t *bytes)
{
    uint32_t fifth = 0;
    for (size_t i = 0; i < 32; i++)
        fifth |= (uint32_t)(numbers[i] >> 4) << i;
    store_quad(bytes, fifth);
    store_nibbles(numbers, bytes + 4);
}

static void quantize_around_zero(lckv_dtype dtype, const float *values, uint8_t *block)
{
    uint8_t numbers[32];
    bool five_bits = dtype == LCKV_DTYPE_Q5_0;
    store16(block, f32_to_f16(numbers_around_zero(values, five_bits ? 16 : 8, numbers)));
    if (five_bits)
        store_five_bits(numbers, block + 2);
    else
        store_nibbles(numbers, block + 2);
}

static void quantize_from_least(lckv_dtype dtype, const float *values, uint8_t *block)
{
    uint8_t numbers[32];
    float least;
    bool five_bits = dtype == LCKV_DTYPE_Q5_1;
    store16(block, f32_to_f16(numbers_from_least(values, five_bits ? 31 : 15, numbers, &least)));
    store16(block + 2, f32_to_f16(least));
    if (five_bits)
        store_five_bits(numbers, block + 4);
    else
        store_nibbles(numbers, block + 4);
}

bool blocks_can_quantize(lckv_dtype dtype)
{
    static const lckv_dtype dtypes[] = {LCKV_DTYPE_F32,  LCKV_DTYPE_F16,  LCKV_DTYPE_BF16,
                                        LCKV_DTYPE_Q8_0, LCKV_DTYPE_Q4_0, LCKV_DTYPE_Q4_1,
                                        LCKV_DTYPE_Q5_0, LCKV_DTYPE_Q5_1, LCKV_DTYPE_Q4_K,
                                        LCKV_DTYPE_Q5_K, LCKV_DTYPE_Q6_K};
    for (size_t i = 0; i < sizeof dtypes / sizeof dtypes[0]; i++) {
        if (dtypes[i] == dtype)
            return true;
    }
    return false;
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
        case LCKV_DTYPE_Q5_0:
            quantize_around_zero(dtype, values + i, at);
            break;
        case LCKV_DTYPE_Q4_1:
        case LCKV_DTYPE_Q5_1:
            quantize_from_least(dtype, values + i, at);
            break;
        case LCKV_DTYPE_Q4_K:
        case LCKV_DTYPE_Q5_K:
        case LCKV_DTYPE_Q6_K:
            kquant_quantize(dtype, values + i, at);
            break;
        default:
            break;
        }
    }
}
