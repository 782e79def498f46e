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
INLINE void to_kv(lckv_dtype dtype, const float *from, size_t n, uint8_t *to)
{
    float floats[LANES] = {0};
    uint16_t halves[LANES];
    memcpy(floats, from, n * sizeof *from);
    if (dtype == LCKV_DTYPE_F32) {
        for (size_t i = 0; i < LANES; i++)
            floats[i] = floats[i] > FLT_MAX ? FLT_MAX : floats[i] < -FLT_MAX ? -FLT_MAX : floats[i];
        memcpy(to, floats, sizeof floats);
        return;
    }
    if (dtype == LCKV_DTYPE_F16)
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
INLINE void kv_store(lckv_dtype dtype, const struct kv_layout *layout, uint8_t *page,
                     uint32_t position, uint32_t head, const float *k, const float *v)
{
    size_t head_dim = layout->head_dim, element = dtype == LCKV_DTYPE_F32 ? 4 : 2;
    bool paired = dtype == LCKV_DTYPE_BF16, is_nan = false;
    uint8_t *keys = page + head * layout->head_bytes, *values = keys + layout->head_bytes / 2;
    for (size_t d = 0; d < head_dim; d++)
        is_nan = is_nan || isnan(v[d]);
    for (size_t d = 0; d < head_dim; d += LANES) {
        size_t n = head_dim - d < LANES ? head_dim - d : LANES;
        float k_numbers[LANES], v_numbers[LANES];
        uint8_t key[4 * LANES], value[4 * LANES];
        for (size_t i = 0; i < n; i++) {
            k_numbers[i] = is_nan ? NAN : k[d + i];
            v_numbers[i] = isnan(v[d + i]) ? 0 : v[d + i];
        }
        to_kv(dtype, k_numbers, n, key);
        to_kv(dtype, v_numbers, n, value);
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
