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

/*
 * A tile that is the only one fetches the weights that it comes to soon. Where several tiles use a
 * stretch one after the other, all but the first find it in the caches, and memory would be idle
 * while they compute. So there each fetches its share of the next stretch, some bytes with each
 * step of its loop.
 */
struct shares {
    const uint8_t *begin; /* of the share of a panel's first tile */
    size_t step_bytes;    /* 0: there is only one tile */
    size_t tile_bytes;
};

/*
 * The shares of the panel that begins with row m of `n_rows`. `next` is the stretch that follows;
 * this one has `n_steps` of `step_bytes` each.
 */
INLINE struct shares shares_of_panel(const uint8_t *next, size_t n_steps, size_t step_bytes,
                                     size_t m, size_t n_rows)
{
    size_t n_tiles = (n_rows + TILE_ROWS - 1) / TILE_ROWS;
    size_t bytes = n_tiles == 1 ? 0 : (step_bytes + n_tiles - 1) / n_tiles;
    return (struct shares){next + m / TILE_ROWS * n_steps * bytes, bytes, n_steps * bytes};
}

/* Fetches the bytes of step `step` for the tile that begins with row `row` of the panel. */
INLINE void prefetch_share(struct shares shares, size_t row, size_t step)
{
    const uint8_t *at =
        shares.begin + row / TILE_ROWS * shares.tile_bytes + step * shares.step_bytes;
    for (size_t i = 0; i < shares.step_bytes; i += 64)
        __builtin_prefetch(at + i, 0, 2);
}
