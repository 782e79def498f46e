/*
 * Template: storing quantised keys and values. kv_blocks.h tells where their numbers stand.
 */
#include "kernels/kv_blocks.h"

/* The largest and the least number of a block, as multiples of its scale. */
INLINE float largest_number(enum kv_type type)
{
    return type == KV_Q8_0 ? 127.0f : 7.0f;
}

INLINE float least_number(enum kv_type type)
{
    return type == KV_Q8_0 ? -127.0f : -8.0f;
}

/*
 * Rounds the numbers of a block to whole multiples of a scale, to the nearest. Gives the sum of the
 * squares of what is lost.
 */
INLINE float round_to_scale(enum kv_type type, const float *block, float scale, float *rounded)
{
    const vf inverse = v_set(scale != 0 ? 1.0f / scale : 0);
    vf loss = v_set(0);
    for (size_t i = 0; i < KV_BLOCK; i += LANES) {
        const vf x = v_load(block + i);
        const vf n = v_min(v_set(largest_number(type)),
                           v_max(v_set(least_number(type)), v_round(v_mul(x, inverse))));
        const vf lost = v_sub(x, v_mul(n, v_set(scale)));
        loss = v_fma(lost, lost, loss);
        v_store(rounded + i, n);
    }
    return v_sum(loss);
}

/* The number of the largest magnitude. */
INLINE float most_extreme(const float *block)
{
    float most = 0;
    for (size_t i = 0; i < KV_BLOCK; i++)
        most = fabsf(block[i]) > fabsf(most) ? block[i] : most;
    return most;
}

/*
 * Rounds a block, and gives its scale as f16. In q8_0 the largest magnitude becomes 127 or -127. In
 * q4_0 it becomes -8 or, if that loses less, a number beyond the range, which is then cut: the
 * others are rounded to smaller steps.
 */
INLINE uint16_t round_block(enum kv_type type, const float *block, float *rounded)
{
    static const float steps[] = {-8, -8.5f, -7.5f, -9, -7, -9.5f, -10};
    const float extreme = most_extreme(block);
    if (type == KV_Q8_0) {
        const uint16_t half = f32_to_f16(fabsf(extreme) / 127.0f);
        round_to_scale(type, block, f16_to_f32(half), rounded);
        return half;
    }
    uint16_t best = 0;
    float least_loss = INFINITY;
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        float candidate[KV_BLOCK];
        const uint16_t half = f32_to_f16(extreme / steps[i]);
        const float loss = round_to_scale(type, block, f16_to_f32(half), candidate);
        if (loss < least_loss) {
            least_loss = loss;
            best = half;
            memcpy(rounded, candidate, sizeof candidate);
        }
    }
    return best;
}

/* Numbers beyond the largest that the type can hold become that. True if there is NaN. */
INLINE bool copy_block(enum kv_type type, const float *from, float *block)
{
    const float most = 65504.0f * largest_number(type);
    bool is_nan = false;
    for (size_t i = 0; i < KV_BLOCK; i++) {
        is_nan |= isnan(from[i]);
        block[i] = from[i] > most ? most : from[i] < -most ? -most : from[i];
    }
    return is_nan;
}

INLINE void put_block(enum kv_type type, bool is_key, const float *rounded, uint16_t scale,
                      size_t first, size_t head_dim, uint32_t lane, uint8_t *subtile)
{
    const size_t n_bytes = type == KV_Q8_0 ? KV_BLOCK : KV_BLOCK / 2;
    uint8_t *numbers = subtile + kv_scales_bytes(head_dim);
    memcpy(subtile + kv_scale_at(lane, first / KV_BLOCK), &scale, sizeof scale);
    for (size_t i = 0; i < n_bytes; i++) {
        const int number = (int)rounded[i];
        const int byte = type == KV_Q8_0 ? number : (number + 8) | ((int)rounded[i + 16] + 8) << 4;
        numbers[is_key ? kv_key_byte(type, lane, first + i)
                       : kv_value_byte(type, lane, first + i)] = (uint8_t)byte;
    }
}

/* A block with NaN gets NaN as its scale, and so does every block of a key that becomes NaN. */
INLINE void store_key_blocks(enum kv_type type, uint8_t *subtile, uint32_t lane, size_t head_dim,
                             const float *k, bool is_nan)
{
    for (size_t d = 0; d < head_dim; d += KV_BLOCK) {
        float block[KV_BLOCK], rounded[KV_BLOCK] = {0};
        const bool odd = copy_block(type, k + d, block) || is_nan;
        if (kv_keys_are_rotated(type)) {
            kv_rotate(block, KV_BLOCK);
            copy_block(type, block, block); /* numbers may have become too large again */
        }
        const uint16_t scale = odd ? f32_to_f16(NAN) : round_block(type, block, rounded);
        put_block(type, true, rounded, scale, d, head_dim, lane, subtile);
    }
}

INLINE void store_value_blocks(enum kv_type type, uint8_t *subtile, uint32_t lane, size_t head_dim,
                               const float *v)
{
    for (size_t d = 0; d < head_dim; d += KV_BLOCK) {
        float block[KV_BLOCK], rounded[KV_BLOCK];
        if (copy_block(type, v + d, block)) {
            for (size_t i = 0; i < KV_BLOCK; i++)
                block[i] = isnan(block[i]) ? 0 : block[i];
        }
        const uint16_t scale = round_block(type, block, rounded);
        put_block(type, false, rounded, scale, d, head_dim, lane, subtile);
    }
}
