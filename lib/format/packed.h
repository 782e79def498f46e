/*
 * The packed form of matrices: rows interleaved in groups, as the kernels of one set read them and
 * as packed GGUF files hold them. Here are sizes and type numbers; kernels/matrix.c packs,
 * docs/kernels.md draws the layouts.
 */
#ifndef LCKV_FORMAT_PACKED_H
#define LCKV_FORMAT_PACKED_H

#include "format/dtype.h"

#include <stddef.h>

#define PACKED_MAX_GROUP 32 /* rows */

/* Tensors of packed files begin at pages, so that they can be mapped and used where they are. */
#define PACKED_FILE_ALIGNMENT 4096

/* Where groups begin: cache lines, and the widest vector. */
#define PACKED_ALIGNMENT 64

/* What a kernel set wants of the packed form. All zero: not packed, rows as files store them. */
struct matrix_layout {
    uint32_t lanes;      /* of a vector, 8 or 16: one for each row */
    bool unsigned_bytes; /* q8_0 is stored as w + 128 */
};

/*
 * The block that covers `columns` columns of every row of a group. A head (scales and minimums) is
 * fields of 2, 4 and 1 byte, in this order; a body (the numbers) is fields of 2 or 4 bytes. A field
 * stands once for each row of the group, row after row.
 *
 * A group has the rows of one vector, or of two: products of floats add up faster in two vectors
 * than in one, and so read both from one stream.
 *
 * A group holds its blocks in units: the heads of `together` blocks, so many that bodies begin
 * where whole vectors do, then their bodies. Products read it from one end to the other. The last
 * unit may have fewer bodies, but has room for all heads.
 */
struct packed_form {
    uint8_t vectors; /* of rows in a group */
    uint16_t columns;
    uint8_t together;
    uint8_t head_halves, head_quads, head_bytes;
    uint8_t body_field_bytes, body_fields;
};

/* In a header, so that kernels have it as constants. */
static inline struct packed_form packed_form(lckv_dtype dtype)
{
    static const struct packed_form forms[DTYPE_COUNT] = {
        /* vectors, columns, together, {halves, quads, bytes} of heads, {bytes, fields} of bodies */
        [LCKV_DTYPE_F32] = {2, 1, 1, 0, 0, 0, 4, 1},
        [LCKV_DTYPE_F16] = {2, 1, 1, 0, 0, 0, 2, 1},
        [LCKV_DTYPE_BF16] = {2, 2, 1, 0, 0, 0, 4, 1}, /* pairs of columns, for vdpbf16ps */
        [LCKV_DTYPE_Q8_0] = {1, 32, 2, 1, 0, 0, 4, 8},
        [LCKV_DTYPE_Q4_0] = {1, 32, 2, 1, 0, 0, 4, 4},
        [LCKV_DTYPE_Q4_1] = {1, 32, 1, 2, 0, 0, 4, 4},
        [LCKV_DTYPE_Q4_K] = {1, 256, 1, 2, 3, 0, 4, 32},
        [LCKV_DTYPE_Q5_K] = {1, 256, 1, 2, 3, 0, 4, 40},
        [LCKV_DTYPE_Q6_K] = {1, 256, 2, 1, 0, 16, 4, 48},
    };
    return forms[dtype];
}

static inline uint32_t packed_group_rows(lckv_dtype dtype, struct matrix_layout layout)
{
    return layout.lanes * packed_form(dtype).vectors;
}

/* Work is cut at multiples of this many rows, which are whole groups of every type. */
static inline uint32_t packed_row_step(struct matrix_layout layout)
{
    return 2 * layout.lanes;
}

/* Bytes of a head and of a body for one row. */
static inline size_t packed_head_bytes(struct packed_form form)
{
    return 2u * form.head_halves + 4u * form.head_quads + form.head_bytes;
}

static inline size_t packed_body_bytes(struct packed_form form)
{
    return (size_t)form.body_field_bytes * form.body_fields;
}

/* Where in a group of `group_rows` rows a block's head and body stand. */
struct packed_block {
    size_t head, body;
};

static inline struct packed_block packed_block(struct packed_form form, size_t group_rows,
                                               size_t block)
{
    size_t head = packed_head_bytes(form), body = packed_body_bytes(form);
    size_t in_unit = block % form.together, unit = (block - in_unit) * (head + body);
    struct packed_block at = {(unit + in_unit * head) * group_rows,
                              (unit + form.together * head + in_unit * body) * group_rows};
    return at;
}

struct packed_size {
    uint32_t group_rows;
    uint32_t n_groups;  /* rows / group_rows, rounded up; lckv writes zeros for missing rows */
    size_t n_blocks;    /* of one row */
    size_t group_bytes; /* a multiple of 64 */
    size_t n_bytes;
};

/* False if the columns are none or no whole blocks of the type, or a size overflows. */
bool packed_measure(lckv_dtype dtype, uint64_t n_rows, uint64_t n_columns,
                    struct matrix_layout layout, struct packed_size *size);

/* Whether matrices of this type are the same bytes in both layouts. */
bool packed_same(lckv_dtype dtype, struct matrix_layout a, struct matrix_layout b);

/* GGUF type numbers of lckv's own. packed_from_gguf gives NULL for any other number. */
uint32_t packed_to_gguf(lckv_dtype dtype, struct matrix_layout layout);
bool packed_other_version(uint32_t gguf_type); /* lckv's, but not of this version's packed form */
const struct dtype_info *packed_from_gguf(uint32_t gguf_type, struct matrix_layout *layout);

#endif
