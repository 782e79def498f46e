/*
 * Template: reads quantised keys and values (kv_blocks.h), and turns them into floats.
 */
#include "kernels/kv_blocks.h"

#define VALUE_PAIRS (KV_SUBTILE / 2) /* pairs of positions of a sub-tile */

INLINE float byte_scale(enum kv_type type)
{
    return type == KV_Q8_0 ? 1 : VQ_SCALE;
}

/* Undoes the rotation of a vector of keys, as kv_rotate does it, where they stand as floats. */
INLINE void rotate_keys_back(float *floats, size_t head_dim)
{
    for (size_t half = 1; half < KV_BLOCK; half *= 2) {
        for (size_t d = 0; d < head_dim; d++) {
            if (d & half)
                continue;
            float *first = floats + d * KV_SUBTILE, *second = first + half * KV_SUBTILE;
            const vf a = v_load(first), b = v_load(second);
            v_store(first, v_add(a, b));
            v_store(second, v_sub(a, b));
        }
    }
    for (size_t d = 0; d < head_dim; d++)
        v_store(floats + d * KV_SUBTILE,
                v_mul(v_load(floats + d * KV_SUBTILE), v_set(KV_ROTATION)));
}

/* Turns the keys of a sub-tile into floats [head_dim][KV_SUBTILE]. */
INLINE void key_blocks_to_floats(enum kv_type type, const uint8_t *subtile, size_t head_dim,
                                 float *floats)
{
    const uint8_t *numbers = subtile + kv_scales_bytes(head_dim);
    for (size_t lane = 0; lane < KV_SUBTILE; lane += LANES) {
        for (size_t d = 0; d < head_dim; d += 4) {
            const uint8_t *scales = subtile + kv_scale_at((uint32_t)lane, d / KV_BLOCK);
            const vf scale = v_mul(v_load_f16(scales), v_set(byte_scale(type)));
            vb quads = vb_load(numbers + kv_key_byte(type, (uint32_t)lane, d));
            if (type == KV_Q4_0)
                quads = vq_plain(d % KV_BLOCK < KV_BLOCK / 2 ? vq_low(quads) : vq_high(quads));
            UNROLL for (int i = 0; i < 4; i++) v_store(floats + (d + (size_t)i) * KV_SUBTILE + lane,
                                                       v_mul(v_from_byte(quads, i), scale));
        }
        if (kv_keys_are_rotated(type))
            rotate_keys_back(floats + lane, head_dim);
    }
}

/*
 * Loads a pair of positions of a block: two vectors of columns, as integers of 16 bits, 8 too large
 * in q4_0. Of AVX2's four vectors, `part` selects which two; `columns` tells where they begin.
 */
INLINE void load_value_pairs(enum kv_type type, const uint8_t *pair, size_t part, vb two[2])
{
    const uint8_t *at = pair + part * 2 * LANES * (type == KV_Q8_0 ? 2 : 1);
    if (type == KV_Q8_0) {
        two[0] = vb_load_i8_pairs(at);
        two[1] = vb_load_i8_pairs(at + 2 * LANES);
    } else {
        const vb both = vb_load_u8_pairs(at);
        two[0] = vb_low_nibbles(both);
        two[1] = vb_high_nibbles(both);
    }
}

/* The columns of the block at which vector `v` of a part begins. */
INLINE size_t value_column(enum kv_type type, size_t part, size_t v)
{
    return type == KV_Q8_0 ? (2 * part + v) * LANES : part * LANES + v * (KV_BLOCK / 2);
}

INLINE size_t pair_bytes(enum kv_type type)
{
    return type == KV_Q8_0 ? 2 * KV_BLOCK : KV_BLOCK;
}

/* Turns the values of whole sub-tiles into floats [n][head_dim]. */
INLINE void value_blocks_to_floats(enum kv_type type, const uint8_t *subtiles, size_t n,
                                   size_t row_bytes, size_t head_dim, float *floats)
{
    for (size_t p = 0; p < n; p += 2) {
        const uint8_t *subtile = subtiles + p / KV_SUBTILE * KV_SUBTILE * row_bytes;
        const uint32_t lane = p % KV_SUBTILE;
        for (size_t d = 0; d < head_dim; d += KV_BLOCK) {
            const uint8_t *pair =
                subtile + kv_scales_bytes(head_dim) + kv_value_byte(type, lane, d);
            float scales[LANES];
            v_store(scales, v_load_f16(subtile + kv_scale_at(lane / LANES * LANES, d / KV_BLOCK)));
            for (size_t part = 0; part < KV_BLOCK / (2 * LANES); part++) {
                vb two[2];
                load_value_pairs(type, pair, part, two);
                UNROLL for (size_t i = 0; i < 4; i++)
                {
                    const size_t second = i / 2, column = d + value_column(type, part, i % 2);
                    vf value = v_from_half(two[i % 2], (int)second);
                    if (type == KV_Q4_0)
                        value = v_sub(value, v_set(8));
                    v_store(floats + (p + second) * head_dim + column,
                            v_mul(value, v_set(scales[lane % LANES + second])));
                }
            }
        }
    }
}
