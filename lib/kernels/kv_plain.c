/*
 * Keys and values as plain bytes: the row of one head at one position, its elements in order, out
 * of any layout and back into any.
 */
#include "kernels/kv.h"
#include "kernels/kv_blocks.h"

#include <string.h>

/*
 * Copies a row between its sub-tile and plain bytes, one of which is only read. Inline, so that the
 * compiler knows the element's size and where each element stands.
 */
static inline void copy_row(bool to_page, bool is_key, size_t element, bool paired, size_t head_dim,
                            uint8_t *subtile, uint32_t lane, uint8_t *plain)
{
    for (size_t d = 0; d < head_dim; d++) {
        const size_t index =
            is_key ? kv_key_index(paired, lane, d) : kv_value_index(paired, head_dim, lane, d);
        uint8_t *stored = subtile + index * element;
        memcpy(to_page ? stored : plain, to_page ? plain : stored, element);
        plain += element;
    }
}

/*
 * The same for a quantised row: its scales, and then its numbers. In q4_0, columns 16 apart share a
 * byte.
 */
static void copy_blocks(bool to_page, bool is_key, enum kv_type type, size_t head_dim,
                        uint8_t *subtile, uint32_t lane, uint8_t *plain)
{
    const size_t n_columns = type == KV_Q8_0 ? KV_BLOCK : KV_BLOCK / 2;
    for (size_t block = 0; block < head_dim / KV_BLOCK; block++, plain += 2) {
        uint8_t *scale = subtile + kv_scale_at(lane, block);
        memcpy(to_page ? scale : plain, to_page ? plain : scale, 2);
    }
    subtile += kv_scales_bytes(head_dim);
    for (size_t d = 0; d < head_dim;
         d += d % KV_BLOCK + 1 < n_columns ? 1 : KV_BLOCK - d % KV_BLOCK) {
        uint8_t *stored =
            subtile + (is_key ? kv_key_byte(type, lane, d) : kv_value_byte(type, lane, d));
        *(to_page ? stored : plain) = *(to_page ? plain : stored);
        plain++;
    }
}

static void copy_key(bool to_page, enum kv_type type, size_t head_dim, uint8_t *subtile,
                     uint32_t lane, uint8_t *plain)
{
    if (kv_is_quantised(type))
        copy_blocks(to_page, true, type, head_dim, subtile, lane, plain);
    else if (type == KV_F32)
        copy_row(to_page, true, 4, false, head_dim, subtile, lane, plain);
    else if (type == KV_F16)
        copy_row(to_page, true, 2, false, head_dim, subtile, lane, plain);
    else
        copy_row(to_page, true, 2, true, head_dim, subtile, lane, plain);
}

static void copy_value(bool to_page, enum kv_type type, size_t head_dim, uint8_t *subtile,
                       uint32_t lane, uint8_t *plain)
{
    if (kv_is_quantised(type))
        copy_blocks(to_page, false, type, head_dim, subtile, lane, plain);
    else if (type == KV_F32)
        copy_row(to_page, false, 4, false, head_dim, subtile, lane, plain);
    else if (type == KV_F16)
        copy_row(to_page, false, 2, false, head_dim, subtile, lane, plain);
    else
        copy_row(to_page, false, 2, true, head_dim, subtile, lane, plain);
}

static void copy_plain(bool to_page, const struct kv_layout *layout, uint8_t *page,
                       uint32_t position, uint32_t head, uint8_t *plain)
{
    const struct kv_subtile at = kv_subtile(layout, head, position);
    const uint32_t lane = position % KV_SUBTILE;
    copy_key(to_page, layout->keys.type, layout->head_dim, page + at.keys, lane, plain);
    copy_value(to_page, layout->values.type, layout->head_dim, page + at.values, lane,
               plain + layout->keys.row_bytes);
}

void kv_export(const struct kv_layout *layout, const uint8_t *page, uint32_t position,
               uint32_t head, uint8_t *to)
{
    copy_plain(false, layout, (uint8_t *)(uintptr_t)page, position, head, to);
}

/* Whether all floats, or the scales of a quantised row, are finite. */
static bool all_finite(enum kv_type type, const uint8_t *plain, size_t head_dim)
{
    const size_t n = kv_is_quantised(type) ? head_dim / KV_BLOCK : head_dim;
    const size_t size = type == KV_F32 ? 4 : 2;
    for (size_t i = 0; i < n; i++) {
        uint32_t bits = 0;
        memcpy(&bits, plain + i * size, size);
        const uint32_t exponent = type == KV_F32    ? 0x7F800000
                                  : type == KV_BF16 ? 0x7F80
                                                    : 0x7C00; /* of f16, and of scales */
        if ((bits & exponent) == exponent)
            return false;
    }
    return true;
}

bool kv_import(const struct kv_layout *layout, uint8_t *page, uint32_t position, uint32_t head,
               const uint8_t *from)
{
    if (!all_finite(layout->values.type, from + layout->keys.row_bytes, layout->head_dim))
        return false;
    copy_plain(true, layout, page, position, head, (uint8_t *)(uintptr_t)from);
    return true;
}
