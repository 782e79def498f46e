/*
 * Template: finds the blocks of a strip of packed weights, by offsets that are constants of
 * packed_form, and fetches them ahead of use. A block has 32 columns here; in k-quants eight of
 * these blocks share their scales.
 */
#include "kernels/matrix.h"

INLINE size_t strip_rows(lckv_dtype dtype)
{
    return LANES * packed_form(dtype).vectors;
}

/* The vectors of a strip of any float type. */
#define FLOAT_VECTORS 2
#define FLOAT_STRIP (FLOAT_VECTORS * LANES)

/* The strip that begins with row `row`. */
INLINE const uint8_t *strip_at(lckv_dtype dtype, const struct matrix *matrix, size_t row)
{
    return matrix->data + row / strip_rows(dtype) * matrix->size.strip_bytes;
}

/* Bytes of the numbers of a block, and of its share of the scales. */
INLINE size_t body_bytes(lckv_dtype dtype)
{
    struct packed_form form = packed_form(dtype);
    return packed_body_bytes(form) * 32 * strip_rows(dtype) / form.columns;
}

INLINE size_t scales_bytes(lckv_dtype dtype)
{
    struct packed_form form = packed_form(dtype);
    return packed_scales_bytes(form) * 32 * strip_rows(dtype) / form.columns;
}

INLINE size_t block_bytes(lckv_dtype dtype)
{
    return scales_bytes(dtype) + body_bytes(dtype);
}

/* The blocks that share scales, and those of a bundle. In float types both are one block. */
INLINE size_t scales_blocks(lckv_dtype dtype)
{
    struct packed_form form = packed_form(dtype);
    return form.columns < 32 ? 1 : form.columns / 32u;
}

INLINE size_t bundle_blocks(lckv_dtype dtype)
{
    return packed_form(dtype).together * scales_blocks(dtype);
}

INLINE const uint8_t *scales_at(lckv_dtype dtype, const uint8_t *strip, size_t b)
{
    size_t in_bundle = b % bundle_blocks(dtype), bundle = b - in_bundle;
    return strip + bundle * block_bytes(dtype) +
           in_bundle / scales_blocks(dtype) * (scales_blocks(dtype) * scales_bytes(dtype));
}

INLINE const uint8_t *body_at(lckv_dtype dtype, const uint8_t *strip, size_t b)
{
    size_t in_bundle = b % bundle_blocks(dtype), bundle = b - in_bundle;
    return strip + bundle * block_bytes(dtype) + bundle_blocks(dtype) * scales_bytes(dtype) +
           in_bundle * body_bytes(dtype);
}

/*
 * Fetches what lies some way ahead of block `b`, for tiles of `n_rows` rows. The end of a strip is
 * followed by the strip that is read next. Two blocks are fetched at a time, since one may end in
 * the middle of a cache line.
 */
INLINE void prefetch_blocks(lckv_dtype dtype, const uint8_t *strip, size_t b, size_t n_rows)
{
    if (b % 2 == 0) {
        UNROLL for (size_t i = 0; i < 2 * block_bytes(dtype); i += 64)
            prefetch_ahead(strip + b * block_bytes(dtype) + i, n_rows);
    }
}
