/*
 * The packed form of matrices: weight rows are interleaved in strips, as the kernels of one set
 * read them and as packed GGUF files hold them. This file has sizes and type numbers;
 * kernels/matrix.c packs; docs/kernels.md draws the layouts.
 */
#ifndef LCKV_FORMAT_PACKED_H
#define LCKV_FORMAT_PACKED_H

#include "base/checked.h"
#include "format/dtype.h"

#include <stddef.h>

#define PACKED_MAX_STRIP 32 /* rows */

/* Tensors of packed files begin at pages, so that they can be mapped and used where they are. */
#define PACKED_FILE_ALIGNMENT 4096

/* Strips begin at multiples of this, a cache line and the widest vector. */
#define PACKED_ALIGNMENT 64

/* The packed form that a kernel set reads. All zero: not packed, rows as files store them. */
struct matrix_layout {
    uint32_t lanes;      /* of a vector, 8 or 16; each lane holds numbers of one row */
    bool unsigned_bytes; /* q8_0 is stored as w + 128 */
};

/*
 * A block covers `columns` columns of every row of a strip. Its scales (scales and minimums) are
 * fields of 2, 4 and 1 byte, in this order; its body (the numbers) is fields of 2 or 4 bytes. Each
 * field is stored for all rows of the strip, row after row, before the next field.
 *
 * A strip has the rows of one vector, or of two: products of floats are faster if they add up two
 * vectors at a time, and both then come from one stream.
 *
 * A strip holds its blocks in bundles: first the scales of `together` blocks, then their bodies.
 * `together` is so large that bodies begin at whole vectors. Products read a strip from one end to
 * the other. The last bundle may have fewer bodies, but has room for all scales.
 */
struct packed_form {
    uint8_t vectors; /* a strip has the rows of so many */
    uint16_t columns;
    uint8_t together;
    uint8_t scale_halves, scale_quads, scale_bytes;
    uint8_t body_field_bytes, body_fields;
};

/* It is in the header so that kernels get its results as constants. */
static inline struct packed_form packed_form(lckv_dtype dtype)
{
    static const struct packed_form forms[DTYPE_COUNT] = {
        /* vectors, columns, together; halves, quads, bytes of scales; bytes, fields of a body */
        [LCKV_DTYPE_F32] = {2, 1, 1, 0, 0, 0, 4, 1},
        [LCKV_DTYPE_F16] = {2, 1, 1, 0, 0, 0, 2, 1},
        [LCKV_DTYPE_BF16] = {2, 2, 1, 0, 0, 0, 4, 1}, /* pairs of columns, for vdpbf16ps */
        [LCKV_DTYPE_Q8_0] = {1, 32, 2, 1, 0, 0, 4, 8},
        [LCKV_DTYPE_Q4_0] = {1, 32, 2, 1, 0, 0, 4, 4},
        [LCKV_DTYPE_Q4_1] = {1, 32, 1, 2, 0, 0, 4, 4},
        [LCKV_DTYPE_Q4_K] = {1, 256, 1, 2, 3, 0, 4, 32},
        [LCKV_DTYPE_Q5_K] = {1, 256, 1, 2, 3, 0, 4, 40},
        [LCKV_DTYPE_Q6_K] = {1, 256, 2, 1, 0, 16, 4, 48},
        [LCKV_DTYPE_Q5_0] = {1, 32, 2, 1, 0, 0, 4, 5},
        [LCKV_DTYPE_Q5_1] = {1, 32, 1, 2, 0, 0, 4, 5},
        [LCKV_DTYPE_Q2_K] = {1, 256, 1, 2, 0, 16, 4, 16},
        [LCKV_DTYPE_Q3_K] = {1, 256, 2, 1, 0, 12, 4, 24},
        [LCKV_DTYPE_IQ4_NL] = {1, 32, 2, 1, 0, 0, 4, 4},
        [LCKV_DTYPE_IQ4_XS] = {1, 256, 1, 1, 1, 2, 4, 32},
        [LCKV_DTYPE_MXFP4] = {1, 32, 4, 0, 0, 1, 4, 4},
    };
    return forms[dtype];
}

static inline uint32_t packed_strip_rows(lckv_dtype dtype, struct matrix_layout layout)
{
    return layout.lanes * packed_form(dtype).vectors;
}

/* Work is divided at multiples of this many rows, which are whole strips of every type. */
static inline uint32_t packed_row_step(struct matrix_layout layout)
{
    return 2 * layout.lanes;
}

/* The bytes of a block's scales, and of its body, for one row. */
static inline size_t packed_scales_bytes(struct packed_form form)
{
    return 2u * form.scale_halves + 4u * form.scale_quads + form.scale_bytes;
}

static inline size_t packed_body_bytes(struct packed_form form)
{
    return (size_t)form.body_field_bytes * form.body_fields;
}

/* Where in a strip of `strip_rows` rows a block's scales and body stand. */
struct packed_block {
    size_t scales, body;
};

static inline struct packed_block packed_block(struct packed_form form, size_t strip_rows,
                                               size_t block)
{
    size_t scales = packed_scales_bytes(form), body = packed_body_bytes(form);
    size_t in_bundle = block % form.together, bundle = (block - in_bundle) * (scales + body);
    struct packed_block at = {(bundle + in_bundle * scales) * strip_rows,
                              (bundle + form.together * scales + in_bundle * body) * strip_rows};
    return at;
}

struct packed_size {
    uint32_t strip_rows;
    uint32_t n_strips;  /* rows / strip_rows, rounded up; lckv writes zeros for missing rows */
    size_t n_blocks;    /* of one row */
    size_t strip_bytes; /* a multiple of 64 */
    size_t n_bytes;
};

/* False if there are no columns, if they are not whole blocks, or if a size overflows. */
CHECKED bool packed_measure(lckv_dtype dtype, uint64_t n_rows, uint64_t n_columns,
                            struct matrix_layout layout, struct packed_size *size);

/* Whether matrices of this type have the same bytes in both layouts. */
CHECKED bool packed_same(lckv_dtype dtype, struct matrix_layout a, struct matrix_layout b);

/*
 * GGUF type numbers of lckv's own. packed_from_gguf gives NULL for any other number, and
 * packed_other_version says whether that number is one of another version's packed form.
 */
uint32_t packed_to_gguf(lckv_dtype dtype, struct matrix_layout layout);
CHECKED bool packed_other_version(uint32_t gguf_type);
const struct dtype_info *packed_from_gguf(uint32_t gguf_type, struct matrix_layout *layout);

#endif
