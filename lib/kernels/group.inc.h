/*
 * Template: where the blocks of a group of packed weights stand, as constants of packed_form, and
 * fetching them ahead of use. Blocks are 32 columns here; those of k-quants share heads by eight.
 */
#include "kernels/matrix.h"

INLINE size_t group_rows(lckv_dtype dtype)
{
    return LANES * packed_form(dtype).vectors;
}

/* Of every float type. */
#define FLOAT_VECTORS 2
#define FLOAT_GROUP (FLOAT_VECTORS * LANES)

/* The group of row `row`, the first of one. */
INLINE const uint8_t *group_at(lckv_dtype dtype, const struct matrix *matrix, size_t row)
{
    return matrix->data + row / group_rows(dtype) * matrix->size.group_bytes;
}

/* Bytes of a block: its numbers; its share of a head of scales and minimums. */
INLINE size_t body_bytes(lckv_dtype dtype)
{
    struct packed_form form = packed_form(dtype);
    return packed_body_bytes(form) * 32 * group_rows(dtype) / form.columns;
}

INLINE size_t head_bytes(lckv_dtype dtype)
{
    struct packed_form form = packed_form(dtype);
    return packed_head_bytes(form) * 32 * group_rows(dtype) / form.columns;
}

INLINE size_t block_bytes(lckv_dtype dtype)
{
    return head_bytes(dtype) + body_bytes(dtype);
}

/* Blocks that share a head, and those of a unit; floats have neither. */
INLINE size_t head_blocks(lckv_dtype dtype)
{
    struct packed_form form = packed_form(dtype);
    return form.columns < 32 ? 1 : form.columns / 32u;
}

INLINE size_t unit_blocks(lckv_dtype dtype)
{
    return packed_form(dtype).together * head_blocks(dtype);
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
