/*
 * Sizes and type numbers of the packed form. See packed.h.
 */
#include "format/packed.h"

#include "base/memory.h"

/*
 * The upper half, 0x4c4b, is "KL" in the file's byte order, far from GGUF's own numbers, which
 * begin at 0. The lower half has bit 15 for unsigned bytes, five bits for the version of the packed
 * form, two for the lanes divided by eight, and the GGUF number of the element type.
 */
#define PACKED_GGUF_TYPES UINT32_C(0x4c4b0000)
#define PACKED_VERSION 3 /* counts up, to 31, when the same number would mean other bytes */

bool packed_measure(lckv_dtype dtype, uint64_t n_rows, uint64_t n_columns,
                    struct matrix_layout layout, struct packed_size *size)
{
    const struct dtype_info *info = dtype_info(dtype);
    if (info == NULL || n_rows > UINT32_MAX || n_columns > UINT32_MAX || n_columns == 0 ||
        n_columns % info->block_elements != 0)
        return false;
    struct packed_form form = packed_form(dtype);
    uint32_t strip_rows = packed_strip_rows(dtype, layout);
    struct packed_size made = {.strip_rows = strip_rows,
                               .n_strips = (uint32_t)((n_rows + strip_rows - 1) / strip_rows),
                               .n_blocks = (size_t)((n_columns + form.columns - 1) / form.columns)};
    size_t rows_of_blocks; /* of a strip; limited so that its bytes cannot overflow */
    if (!checked_multiply(made.n_blocks, strip_rows, &rows_of_blocks) ||
        rows_of_blocks > SIZE_MAX >> 10)
        return false;
    size_t strip_bytes = packed_block(form, strip_rows, made.n_blocks - 1).body +
                         packed_body_bytes(form) * strip_rows;
    made.strip_bytes = (strip_bytes + PACKED_ALIGNMENT - 1) / PACKED_ALIGNMENT * PACKED_ALIGNMENT;
    if (!checked_multiply(made.strip_bytes, made.n_strips, &made.n_bytes))
        return false;
    *size = made;
    return true;
}

bool packed_same(lckv_dtype dtype, struct matrix_layout a, struct matrix_layout b)
{
    return a.lanes == b.lanes && (dtype != LCKV_DTYPE_Q8_0 || a.unsigned_bytes == b.unsigned_bytes);
}

uint32_t packed_to_gguf(lckv_dtype dtype, struct matrix_layout layout)
{
    return PACKED_GGUF_TYPES | (uint32_t)layout.unsigned_bytes << 15 | PACKED_VERSION << 10 |
           layout.lanes / 8 << 8 | dtype_info(dtype)->gguf_type;
}

bool packed_other_version(uint32_t gguf_type)
{
    return (gguf_type & 0xffff0000) == PACKED_GGUF_TYPES &&
           (gguf_type >> 10 & 31) != PACKED_VERSION;
}

const struct dtype_info *packed_from_gguf(uint32_t gguf_type, struct matrix_layout *layout)
{
    struct matrix_layout read = {.lanes = (gguf_type >> 8 & 3) * 8,
                                 .unsigned_bytes = (gguf_type & 0x8000) != 0};
    if ((gguf_type & 0xffff0000) != PACKED_GGUF_TYPES || packed_other_version(gguf_type) ||
        (read.lanes != 8 && read.lanes != 16))
        return NULL;
    *layout = read;
    return dtype_from_gguf(gguf_type & 0xff);
}
