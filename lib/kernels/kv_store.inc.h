/*
 * Template: storing keys and values, for a set's vectors.
 */
#include "kernels/kv.h"

#include <float.h>
#include <math.h>

/*
 * Writes up to LANES floats in the type of the cache. Numbers beyond the largest of the type become
 * that.
 */
INLINE void to_kv(enum kv_type type, const float *from, size_t n, uint8_t *to)
{
    float floats[LANES] = {0};
    uint16_t halves[LANES];
    memcpy(floats, from, n * sizeof *from);
    if (type == KV_F32) {
        for (size_t i = 0; i < LANES; i++)
            floats[i] = floats[i] > FLT_MAX ? FLT_MAX : floats[i] < -FLT_MAX ? -FLT_MAX : floats[i];
        memcpy(to, floats, sizeof floats);
        return;
    }
    if (type == KV_F16)
        v_store_f16(halves, v_load(floats));
    else
        v_store_bf16(halves, v_load(floats));
    memcpy(to, halves, sizeof halves);
}

/*
 * Attention multiplies the values of positions that a query does not attend to by 0, and does not
 * look at their scores. So no value may be infinite, and NaN among the values of a position is
 * stored as 0 and makes the key NaN instead: queries that attend to the position get NaN, and no
 * others do.
 */
INLINE void store_key(enum kv_type type, uint8_t *subtile, uint32_t lane, size_t head_dim,
                      const float *k, bool is_nan)
{
    const size_t element = type == KV_F32 ? 4 : 2;
    for (size_t d = 0; d < head_dim; d += LANES) {
        size_t n = head_dim - d < LANES ? head_dim - d : LANES;
        float numbers[LANES];
        uint8_t bytes[4 * LANES];
        for (size_t i = 0; i < n; i++)
            numbers[i] = is_nan ? NAN : k[d + i];
        to_kv(type, numbers, n, bytes);
        for (size_t i = 0; i < n; i++)
            memcpy(subtile + kv_key_index(type == KV_BF16, lane, d + i) * element,
                   bytes + i * element, element);
    }
}

INLINE void store_value(enum kv_type type, uint8_t *subtile, uint32_t lane, size_t head_dim,
                        const float *v)
{
    const size_t element = type == KV_F32 ? 4 : 2;
    for (size_t d = 0; d < head_dim; d += LANES) {
        size_t n = head_dim - d < LANES ? head_dim - d : LANES;
        float numbers[LANES];
        uint8_t bytes[4 * LANES];
        for (size_t i = 0; i < n; i++)
            numbers[i] = isnan(v[d + i]) ? 0 : v[d + i];
        to_kv(type, numbers, n, bytes);
        for (size_t i = 0; i < n; i++)
            memcpy(subtile + kv_value_index(type == KV_BF16, head_dim, lane, d + i) * element,
                   bytes + i * element, element);
    }
}

#include "kernels/kv_store_blocks.inc.h"

#define DEFINE_KV_STORE(name, type, store_key, store_value)                                        \
    static void store_key_##name(uint8_t *subtile, uint32_t lane, size_t head_dim, const float *k, \
                                 bool is_nan)                                                      \
    {                                                                                              \
        store_key(type, subtile, lane, head_dim, k, is_nan);                                       \
    }                                                                                              \
    static void store_value_##name(uint8_t *subtile, uint32_t lane, size_t head_dim,               \
                                   const float *v)                                                 \
    {                                                                                              \
        store_value(type, subtile, lane, head_dim, v);                                             \
    }

DEFINE_KV_STORE(f32, KV_F32, store_key, store_value)
DEFINE_KV_STORE(f16, KV_F16, store_key, store_value)
DEFINE_KV_STORE(bf16, KV_BF16, store_key, store_value)
DEFINE_KV_STORE(q8_0, KV_Q8_0, store_key_blocks, store_value_blocks)
DEFINE_KV_STORE(q4_0, KV_Q4_0, store_key_blocks, store_value_blocks)

static void kv_store(const struct kv_layout *layout, uint8_t *page, uint32_t position,
                     uint32_t head, const float *k, const float *v)
{
    static void (*const keys[KV_TYPES])(uint8_t *, uint32_t, size_t, const float *,
                                        bool) = {[KV_F32] = store_key_f32,
                                                 [KV_F16] = store_key_f16,
                                                 [KV_BF16] = store_key_bf16,
                                                 [KV_Q8_0] = store_key_q8_0,
                                                 [KV_Q4_0] = store_key_q4_0};
    static void (*const values[KV_TYPES])(uint8_t *, uint32_t, size_t,
                                          const float *) = {[KV_F32] = store_value_f32,
                                                            [KV_F16] = store_value_f16,
                                                            [KV_BF16] = store_value_bf16,
                                                            [KV_Q8_0] = store_value_q8_0,
                                                            [KV_Q4_0] = store_value_q4_0};
    const struct kv_subtile at = kv_subtile(layout, head, position);
    const uint32_t lane = position % KV_SUBTILE;
    bool is_nan = false;
    for (size_t d = 0; d < layout->head_dim; d++)
        is_nan = is_nan || isnan(v[d]);
    keys[layout->keys.type](page + at.keys, lane, layout->head_dim, k, is_nan);
    values[layout->values.type](page + at.values, lane, layout->head_dim, v);
}
