/*
 * Template: storing keys and values, for a set's vectors.
 */
#include "kernels/kv.h"

/*
 * Up to LANES floats as the cache keeps them. The halves are the largest finite number for what
 * lies beyond: a value of infinity would turn 0 x inf into NaN.
 */
INLINE void to_kv(lckv_dtype dtype, const float *from, size_t n, uint8_t *to)
{
    float floats[LANES] = {0};
    uint16_t halves[LANES];
    memcpy(floats, from, n * sizeof *from);
    if (dtype == LCKV_DTYPE_F32) {
        memcpy(to, floats, sizeof floats);
        return;
    }
    if (dtype == LCKV_DTYPE_F16)
        v_store_f16(halves, v_load(floats));
    else
        v_store_bf16(halves, v_load(floats));
    memcpy(to, halves, sizeof halves);
}

INLINE void kv_store(lckv_dtype dtype, const struct kv_layout *layout, uint8_t *page,
                     uint32_t position, uint32_t head, const float *k, const float *v)
{
    size_t head_dim = layout->head_dim, element = dtype == LCKV_DTYPE_F32 ? 4 : 2;
    bool paired = dtype == LCKV_DTYPE_BF16;
    uint8_t *keys = page + head * layout->head_bytes, *values = keys + layout->head_bytes / 2;
    for (size_t d = 0; d < head_dim; d += LANES) {
        size_t n = head_dim - d < LANES ? head_dim - d : LANES;
        uint8_t key[4 * LANES], value[4 * LANES];
        to_kv(dtype, k + d, n, key);
        to_kv(dtype, v + d, n, value);
        for (size_t i = 0; i < n; i++) {
            memcpy(keys + kv_key_index(paired, head_dim, position, d + i) * element,
                   key + i * element, element);
            memcpy(values + kv_value_index(paired, head_dim, position, d + i) * element,
                   value + i * element, element);
        }
    }
}

#define DEFINE_KV_STORE(name, dtype)                                                              \
    static void kv_store_##name(const struct kv_layout *layout, uint8_t *page, uint32_t position, \
                                uint32_t head, const float *k, const float *v)                    \
    {                                                                                             \
        kv_store(dtype, layout, page, position, head, k, v);                                      \
    }

DEFINE_KV_STORE(f32, LCKV_DTYPE_F32)
DEFINE_KV_STORE(f16, LCKV_DTYPE_F16)
DEFINE_KV_STORE(bf16, LCKV_DTYPE_BF16)
