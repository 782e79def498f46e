/*
 * Keys and values in their pages: their layout, and how they are read back. kv_store.inc.h stores
 * them, and attend.inc.h attends to them.
 */
#include "kernels/kv.h"

#include "base/status.h"
#include "kernels/halves.h"
#include "kernels/kernels.h"

#include <string.h>

lckv_status kv_layout_init(struct kv_layout *layout, lckv_dtype dtype, uint32_t n_kv_heads,
                           uint32_t head_dim, uint32_t page_positions)
{
    if (dtype != LCKV_DTYPE_F32 && dtype != LCKV_DTYPE_F16 && dtype != LCKV_DTYPE_BF16) {
        const struct dtype_info *info = dtype_info(dtype);
        return fail(LCKV_UNSUPPORTED,
                    "kv_dtype is %s; keys and values are kept as f32, f16 or bf16",
                    info != NULL ? info->name : "unknown");
    }
    if (page_positions % KV_SUBTILE != 0 || page_positions == 0 || page_positions > 1024)
        return fail(LCKV_INVALID_ARGUMENT,
                    "page_positions is %u; expected a multiple of 16 up to 1024", page_positions);
    layout->type = dtype == LCKV_DTYPE_F32 ? KV_F32 : dtype == LCKV_DTYPE_F16 ? KV_F16 : KV_BF16;
    layout->n_kv_heads = n_kv_heads;
    layout->head_dim = head_dim;
    layout->page_positions = page_positions;
    layout->element_bytes = dtype == LCKV_DTYPE_F32 ? 4 : 2;
    layout->head_bytes = 2 * layout->element_bytes * head_dim * page_positions;
    layout->page_bytes = layout->head_bytes * n_kv_heads;
    return LCKV_OK;
}

static float get(const struct kv_layout *layout, const uint8_t *base, size_t index)
{
    float x;
    uint16_t half;
    if (layout->type == KV_F32) {
        memcpy(&x, base + 4 * index, 4);
        return x;
    }
    memcpy(&half, base + 2 * index, 2);
    return layout->type == KV_F16 ? f16_to_f32(half) : bf16_to_f32(half);
}

void kv_load(const struct kv_layout *layout, const uint8_t *page, uint32_t position, float *k,
             float *v)
{
    size_t head_dim = layout->head_dim;
    bool paired = layout->type == KV_BF16;
    for (uint32_t head = 0; head < layout->n_kv_heads; head++) {
        const uint8_t *keys = page + head * layout->head_bytes;
        const uint8_t *values = keys + layout->head_bytes / 2;
        for (size_t d = 0; d < head_dim; d++) {
            if (k != NULL)
                k[head * head_dim + d] =
                    get(layout, keys, kv_key_index(paired, head_dim, position, d));
            if (v != NULL)
                v[head * head_dim + d] =
                    get(layout, values, kv_value_index(paired, head_dim, position, d));
        }
    }
}

size_t attend_scratch_floats(uint32_t head_dim)
{
    size_t n_floats = attend_head_floats(head_dim);
    size_t scores = (size_t)KV_MAX_QUERIES * KV_TILE, queries = KV_MAX_QUERIES * n_floats / 2;
    return scores + ATTEND_POSITIONS * n_floats + queries + 2 * KV_MAX_QUERIES * n_floats;
}
