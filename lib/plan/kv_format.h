/*
 * How many bytes keys and values take: in which types a cache keeps them, and how a page is laid
 * out. The planner, the cache and the kernels all ask here, so that they agree. kernels/kv.h tells
 * where each number stands.
 */
#ifndef LCKV_PLAN_KV_FORMAT_H
#define LCKV_PLAN_KV_FORMAT_H

#include "base/checked.h"
#include "lckv.h"

#include <stddef.h>
#include <stdint.h>

#define KV_SUBTILE 16 /* positions that stand together: keys are interleaved, one in each lane */
#define KV_MOST_PAGE_POSITIONS 1024

enum kv_type { KV_F32, KV_F16, KV_BF16, KV_Q8_0, KV_Q4_0, KV_TYPES };

/* How keys, or values, are kept. */
struct kv_format {
    enum kv_type type;
    lckv_dtype dtype;
    uint32_t block;     /* numbers along head_dim that share a scale; 1: there are no scales */
    uint64_t row_bytes; /* of one head at one position, scales included */
};

/* The different shapes that keys and values of one position have in the layers of a model. */
#define KV_MAX_SHAPES 4

struct kv_shapes {
    uint32_t n;
    struct {
        uint32_t n_kv_heads, head_dim;
    } of[KV_MAX_SHAPES];
};

/* The index of a shape, which is added if it is new. LCKV_UNSUPPORTED if there are too many. */
CHECKED lckv_status kv_shapes_add(struct kv_shapes *shapes, uint32_t n_kv_heads, uint32_t head_dim,
                                  uint32_t *index);

/*
 * A page holds the keys and values of `page_positions` positions of one slot: for every KV head its
 * keys and then its values. Both stand in sub-tiles of 16 positions, of 16 row_bytes each.
 */
struct kv_layout {
    struct kv_format keys, values;
    uint32_t n_kv_heads, head_dim, page_positions;
    uint64_t position_bytes; /* keys and values of all heads at one position */
    uint64_t values_at;      /* bytes of the keys of a head, behind which its values begin */
    uint64_t head_bytes;     /* keys and values of one head of a page */
    uint64_t page_bytes;     /* from page to page; a little may be left over */
};

/*
 * `k_dtype` 0 is f16, and `v_dtype` 0 is the type of the keys. LCKV_UNSUPPORTED if keys and values
 * are not kept in a type, or if head_dim is not a multiple of its block; LCKV_INVALID_ARGUMENT
 * unless page_positions is a multiple of 16 from 16 to 1024, and if the bytes of a page exceed 64
 * bits.
 */
CHECKED lckv_status kv_layout_init(struct kv_layout *layout, lckv_dtype k_dtype, lckv_dtype v_dtype,
                                   uint32_t n_kv_heads, uint32_t head_dim, uint32_t page_positions);

/*
 * Lays out the pages of all shapes. They are equally large, so that any slot of a cache may take
 * any page: `page_positions` are those of the largest keys and values, and pages of smaller ones
 * have more positions.
 */
CHECKED lckv_status kv_layouts_init(struct kv_layout layouts[KV_MAX_SHAPES],
                                    const struct kv_shapes *shapes, lckv_dtype k_dtype,
                                    lckv_dtype v_dtype, uint32_t page_positions);

#endif
