/*
 * The bytes of keys and values. See kv_format.h.
 */
#include "plan/kv_format.h"

#include "base/memory.h"
#include "base/status.h"
#include "format/dtype.h"

static const lckv_dtype dtypes[KV_TYPES] = {[KV_F32] = LCKV_DTYPE_F32,
                                            [KV_F16] = LCKV_DTYPE_F16,
                                            [KV_BF16] = LCKV_DTYPE_BF16,
                                            [KV_Q8_0] = LCKV_DTYPE_Q8_0,
                                            [KV_Q4_0] = LCKV_DTYPE_Q4_0};

static lckv_status fail_dtype(const char *option, lckv_dtype dtype)
{
    const char *expected = "keys and values are kept as f32, f16, bf16, q8_0 or q4_0";
    const struct dtype_info *info = dtype_info(dtype);
    if (info == NULL)
        return fail(LCKV_UNSUPPORTED, "%s is %d; %s", option, dtype, expected);
    return fail(LCKV_UNSUPPORTED, "%s is %s; %s", option, info->name, expected);
}

static lckv_status kv_format_init(struct kv_format *format, const char *option, lckv_dtype dtype,
                                  uint32_t head_dim)
{
    int type = 0;
    while (type < KV_TYPES && dtypes[type] != dtype)
        type++;
    if (type == KV_TYPES)
        return fail_dtype(option, dtype);
    const struct dtype_info *info = dtype_info(dtype);
    if (head_dim % info->block_elements != 0)
        return fail(LCKV_UNSUPPORTED,
                    "%s is %s, which needs a head_dim that is a multiple of %u; this head_dim is "
                    "%u: choose f32, f16 or bf16",
                    option, info->name, info->block_elements, head_dim);
    format->type = (enum kv_type)type;
    format->dtype = dtype;
    format->block = info->block_elements;
    format->row_bytes = (uint64_t)head_dim / info->block_elements * info->block_bytes;
    return LCKV_OK;
}

/* Sets what depends on the number of positions, but for the bytes of a page. */
static void set_positions(struct kv_layout *layout, uint32_t page_positions)
{
    layout->page_positions = page_positions;
    layout->values_at = layout->keys.row_bytes * page_positions;
    layout->head_bytes = (layout->keys.row_bytes + layout->values.row_bytes) * page_positions;
}

/* Gives pages so many bytes, no fewer than they had, and as many positions as these hold. */
static void fit(struct kv_layout *layout, uint64_t page_bytes)
{
    const uint64_t fits = page_bytes / layout->position_bytes / KV_SUBTILE * KV_SUBTILE;
    set_positions(layout, fits < KV_MOST_PAGE_POSITIONS ? (uint32_t)fits : KV_MOST_PAGE_POSITIONS);
    layout->page_bytes = page_bytes;
}

lckv_status kv_layout_init(struct kv_layout *layout, lckv_dtype k_dtype, lckv_dtype v_dtype,
                           uint32_t n_kv_heads, uint32_t head_dim, uint32_t page_positions)
{
    if (k_dtype == LCKV_DTYPE_DEFAULT)
        k_dtype = LCKV_DTYPE_F16;
    if (v_dtype == LCKV_DTYPE_DEFAULT)
        v_dtype = k_dtype;
    lckv_status status = kv_format_init(&layout->keys, "kv_dtype", k_dtype, head_dim);
    if (status == LCKV_OK)
        status = kv_format_init(&layout->values, "v_dtype", v_dtype, head_dim);
    if (status != LCKV_OK)
        return status;
    if (page_positions % KV_SUBTILE != 0 || page_positions == 0 ||
        page_positions > KV_MOST_PAGE_POSITIONS)
        return fail(LCKV_INVALID_ARGUMENT,
                    "page_positions is %u, expected a multiple of %d up to %d", page_positions,
                    KV_SUBTILE, KV_MOST_PAGE_POSITIONS);
    layout->n_kv_heads = n_kv_heads;
    layout->head_dim = head_dim;
    set_positions(layout, page_positions);
    uint64_t row_bytes = layout->keys.row_bytes + layout->values.row_bytes;
    if (!checked_multiply64(row_bytes, n_kv_heads, &layout->position_bytes) ||
        !checked_multiply64(layout->head_bytes, n_kv_heads, &layout->page_bytes))
        return fail(LCKV_INVALID_ARGUMENT, "a page of %u KV heads of %u: its bytes exceed 64 bits",
                    n_kv_heads, head_dim);
    return LCKV_OK;
}

lckv_status kv_layouts_init(struct kv_layout layouts[KV_MAX_SHAPES], const struct kv_shapes *shapes,
                            lckv_dtype k_dtype, lckv_dtype v_dtype, uint32_t page_positions)
{
    uint64_t page_bytes = 0;
    for (uint32_t i = 0; i < shapes->n; i++) {
        lckv_status status = kv_layout_init(&layouts[i], k_dtype, v_dtype, shapes->of[i].n_kv_heads,
                                            shapes->of[i].head_dim, page_positions);
        if (status != LCKV_OK)
            return status;
        page_bytes = layouts[i].page_bytes > page_bytes ? layouts[i].page_bytes : page_bytes;
    }
    for (uint32_t i = 0; i < shapes->n; i++)
        fit(&layouts[i], page_bytes);
    return LCKV_OK;
}

lckv_status kv_shapes_add(struct kv_shapes *shapes, uint32_t n_kv_heads, uint32_t head_dim,
                          uint32_t *index)
{
    uint32_t i = 0;
    while (i < shapes->n &&
           (shapes->of[i].n_kv_heads != n_kv_heads || shapes->of[i].head_dim != head_dim))
        i++;
    if (i == KV_MAX_SHAPES)
        return fail(LCKV_UNSUPPORTED,
                    "the layers have keys and values of more than %d different shapes",
                    KV_MAX_SHAPES);
    shapes->of[i].n_kv_heads = n_kv_heads;
    shapes->of[i].head_dim = head_dim;
    shapes->n = i < shapes->n ? shapes->n : i + 1;
    *index = i;
    return LCKV_OK;
}
