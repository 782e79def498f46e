/*
 * Keys and values in their pages: their layout, and how they are read back. kv_store.inc.h stores
 * them, and attend.inc.h attends to them.
 */
#include "kernels/kv.h"

#include "kernels/halves.h"
#include "kernels/kv_blocks.h"

#include <string.h>

/* Element number `index` of a sub-tile, or of a row, of floats. */
static float get(enum kv_type type, const uint8_t *subtile, size_t index)
{
    float x;
    uint16_t half;
    if (type == KV_F32) {
        memcpy(&x, subtile + 4 * index, 4);
        return x;
    }
    memcpy(&half, subtile + 2 * index, 2);
    return type == KV_F16 ? f16_to_f32(half) : bf16_to_f32(half);
}

/* The number of column d of a lane of a quantised sub-tile, which stands in byte `byte`. */
static float get_number(enum kv_type type, const uint8_t *subtile, size_t head_dim, uint32_t lane,
                        size_t d, size_t byte)
{
    uint16_t scale;
    memcpy(&scale, subtile + kv_scale_at(lane, d / KV_BLOCK), 2);
    const uint8_t bits = subtile[kv_scales_bytes(head_dim) + byte];
    int number = type == KV_Q8_0 ? (int8_t)bits : (d % KV_BLOCK < 16 ? bits & 15 : bits >> 4) - 8;
    return (float)number * f16_to_f32(scale);
}

static void load_key(enum kv_type type, const uint8_t *subtile, uint32_t lane, size_t head_dim,
                     float *k)
{
    for (size_t d = 0; d < head_dim; d++)
        k[d] = kv_is_quantised(type)
                   ? get_number(type, subtile, head_dim, lane, d, kv_key_byte(type, lane, d))
                   : get(type, subtile, kv_key_index(type == KV_BF16, lane, d));
    if (kv_keys_are_rotated(type))
        kv_rotate(k, head_dim);
}

static void load_value(enum kv_type type, const uint8_t *subtile, uint32_t lane, size_t head_dim,
                       float *v)
{
    for (size_t d = 0; d < head_dim; d++)
        v[d] = kv_is_quantised(type)
                   ? get_number(type, subtile, head_dim, lane, d, kv_value_byte(type, lane, d))
                   : get(type, subtile, kv_value_index(type == KV_BF16, head_dim, lane, d));
}

void kv_load_head(const struct kv_layout *layout, const uint8_t *page, uint32_t position,
                  uint32_t head, float *k, float *v)
{
    const struct kv_subtile at = kv_subtile(layout, head, position);
    const uint32_t lane = position % KV_SUBTILE;
    if (k != NULL)
        load_key(layout->keys.type, page + at.keys, lane, layout->head_dim, k);
    if (v != NULL)
        load_value(layout->values.type, page + at.values, lane, layout->head_dim, v);
}

void kv_load(const struct kv_layout *layout, const uint8_t *page, uint32_t position, float *k,
             float *v)
{
    for (uint32_t head = 0; head < layout->n_kv_heads; head++) {
        const size_t at = (size_t)head * layout->head_dim;
        kv_load_head(layout, page, position, head, k != NULL ? k + at : NULL,
                     v != NULL ? v + at : NULL);
    }
}

size_t attend_scratch_floats(uint32_t head_dim)
{
    size_t n_floats = attend_head_floats(head_dim);
    size_t scores = (size_t)KV_MAX_QUERIES * KV_TILE, queries = KV_MAX_QUERIES * n_floats / 2;
    return scores + ATTEND_POSITIONS * n_floats + queries + 2 * KV_MAX_QUERIES * n_floats;
}
