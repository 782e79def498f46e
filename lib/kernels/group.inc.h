/*
 * Template: where the blocks of a group of packed weights stand, as constants of packed_form, and
 * fetching them ahead of use. Blocks are 32 columns here; those of k-quants share heads by eight.
 */
#include "kernels/matrix.h"

INLINE const uint8_t *group_at(const struct matrix *matrix, size_t index)
{
    return matrix->data + index * matrix->size.group_bytes;
}

/* Bytes of a block: its numbers; its share of a head of scales and minimums. */
INLINE size_t body_bytes(lckv_dtype dtype)
{
    return dtype == LCKV_DTYPE_F32                               ? 128 * LANES
           : dtype == LCKV_DTYPE_F16 || dtype == LCKV_DTYPE_BF16 ? 64 * LANES
           : dtype == LCKV_DTYPE_Q8_0                            ? 32 * LANES
           : dtype == LCKV_DTYPE_Q6_K                            ? 24 * LANES
           : dtype == LCKV_DTYPE_Q5_K                            ? 20 * LANES
                                                                 : 16 * LANES;
}

INLINE size_t head_bytes(lckv_dtype dtype)
{
    return dtype == LCKV_DTYPE_F32 || dtype == LCKV_DTYPE_F16 || dtype == LCKV_DTYPE_BF16 ? 0
           : dtype == LCKV_DTYPE_Q4_1 ? 4 * LANES
           : dtype == LCKV_DTYPE_Q6_K ? 18 * LANES / 8
                                      : 2 * LANES;
}

INLINE size_t block_bytes(lckv_dtype dtype)
{
    return head_bytes(dtype) + body_bytes(dtype);
}

/* Blocks of a unit, and those that share a head. */
INLINE size_t unit_blocks(lckv_dtype dtype)
{
    return dtype == LCKV_DTYPE_Q6_K                               ? 16
           : dtype == LCKV_DTYPE_Q4_K || dtype == LCKV_DTYPE_Q5_K ? 8
           : dtype == LCKV_DTYPE_Q8_0 || dtype == LCKV_DTYPE_Q4_0 ? 2
                                                                  : 1;
}

INLINE size_t head_blocks(lckv_dtype dtype)
{
    return unit_blocks(dtype) < 8 ? 1 : 8;
}

INLINE const uint8_t *head_at(lckv_dtype dtype, const uint8_t *group, size_t b)
{
    size_t in_unit = b % unit_blocks(dtype), unit = b - in_unit;
    return group + unit * block_bytes(dtype) +
           in_unit / head_blocks(dtype) * (head_blocks(dtype) * head_bytes(dtype));
}

INLINE const uint8_t *body_at(lckv_dtype dtype, const uint8_t *group, size_t b)
{
    size_t in_unit = b % unit_blocks(dtype), unit = b - in_unit;
    return group + unit * block_bytes(dtype) + unit_blocks(dtype) * head_bytes(dtype) +
           in_unit * body_bytes(dtype);
}

/*
 * Fetches what lies some way ahead of block `b`, for tiles of `n_rows` rows: behind a group's end
 * comes the group that is read next. Two blocks at a time, since one may end in half a line.
 */
INLINE void prefetch_blocks(lckv_dtype dtype, const uint8_t *group, size_t b, size_t n_rows)
{
    if (b % 2 == 0) {
        UNROLL for (size_t i = 0; i < 2 * block_bytes(dtype); i += 64)
            prefetch_ahead(group + b * block_bytes(dtype) + i, n_rows);
    }
}
