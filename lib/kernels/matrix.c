/*
 * Packs rows, as files store them, into strips of interleaved rows, and reads them back. Each type
 * has one layout, whatever the number of rows in a strip: block_fields.c and kquant_strips.c have
 * those of blocks. The products are in multiply*.inc.h.
 */
#include "kernels/matrix.h"

#include "base/status.h"
#include "kernels/block_fields.h"
#include "kernels/blocks.h"
#include "kernels/file_rows.h"
#include "kernels/kquant_strips.h"
#include "kernels/kquants.h"

#include <string.h>

static lckv_status measure(struct matrix *matrix, lckv_dtype dtype, uint32_t n_rows,
                           uint32_t n_columns, struct matrix_layout layout)
{
    struct matrix made = {
        .dtype = dtype, .n_rows = n_rows, .n_columns = n_columns, .layout = layout};
    if (!packed_measure(dtype, n_rows, n_columns, layout, &made.size))
        return fail(LCKV_INTERNAL, "a matrix of %u x %u cannot be packed as type %d", n_rows,
                    n_columns, (int)dtype);
    *matrix = made;
    return LCKV_OK;
}

lckv_status matrix_create(struct matrix *matrix, lckv_dtype dtype, uint32_t n_rows,
                          uint32_t n_columns, struct matrix_layout layout,
                          const lckv_allocator *allocator)
{
    struct matrix made = {0};
    lckv_status status = measure(&made, dtype, n_rows, n_columns, layout);
    if (status == LCKV_OK)
        status = memory_alloc_raw(allocator, made.size.n_bytes, "weights", &made.owned);
    made.data = made.owned;
    if (status == LCKV_OK)
        *matrix = made;
    return status;
}

lckv_status matrix_view(struct matrix *matrix, lckv_dtype dtype, uint32_t n_rows,
                        uint32_t n_columns, struct matrix_layout layout, const uint8_t *data)
{
    lckv_status status = measure(matrix, dtype, n_rows, n_columns, layout);
    if (status == LCKV_OK)
        matrix->data = data;
    return status;
}

void matrix_release(struct matrix *matrix, const lckv_allocator *allocator)
{
    memory_free(allocator, matrix->owned, matrix->size.n_bytes, 1);
    memset(matrix, 0, sizeof *matrix);
}

/* Whether bytes stand as w + 128. */
static bool is_flipped(const struct matrix *matrix)
{
    return matrix->dtype == LCKV_DTYPE_Q8_0 && matrix->layout.unsigned_bytes;
}

/* From w to w + 128, or back. */
static void flip(uint8_t *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        bytes[i] ^= 0x80;
}

/* Packs a pair of bfloat16 of every row, of which the matrix has only the first. */
static void pack_odd_end(const uint8_t *const *blocks, size_t rows, uint8_t *body)
{
    for (size_t lane = 0; lane < rows; lane++)
        memcpy(body + 4 * lane, blocks[lane], 2);
}

void matrix_pack_strip(const struct matrix *matrix, const uint8_t *const *rows, uint8_t *to)
{
    static const uint8_t zeros[256]; /* a block of any type whose values are all 0 */
    const struct packed_form form = packed_form(matrix->dtype);
    size_t n_rows = matrix->size.strip_rows;
    size_t file_bytes =
        matrix->dtype == LCKV_DTYPE_BF16 ? 4 : dtype_info(matrix->dtype)->block_bytes;
    const uint8_t *blocks[PACKED_MAX_STRIP]; /* the next of each row */
    size_t steps[PACKED_MAX_STRIP];
    for (size_t lane = 0; lane < n_rows; lane++) {
        blocks[lane] = rows[lane] != NULL ? rows[lane] : zeros;
        steps[lane] = rows[lane] != NULL ? file_bytes : 0;
    }
    /* The last bundle, or a pair of bfloat16 in it, may not be full: the rest of it is zeros. */
    struct packed_block last = packed_block(form, n_rows, matrix->size.n_blocks - 1);
    size_t begin = last.scales + n_rows * packed_scales_bytes(form);
    memset(to + begin, 0, matrix->size.strip_bytes - begin);
    const bool has_fields = block_has_fields(matrix->dtype), flipped = is_flipped(matrix);
    for (size_t b = 0; b < matrix->size.n_blocks; b++) {
        struct packed_block at = packed_block(form, n_rows, b);
        bool odd_end = b * form.columns + form.columns > matrix->n_columns;
        if (odd_end)
            pack_odd_end(blocks, n_rows, to + at.body);
        else if (has_fields)
            block_fields_pack(matrix->dtype, blocks, n_rows, to + at.scales, to + at.body);
        else
            kquant_pack(matrix->dtype, blocks, n_rows, to + at.scales, to + at.body);
        if (flipped)
            flip(to + at.body, n_rows * packed_body_bytes(form));
        for (size_t lane = 0; lane < n_rows; lane++)
            blocks[lane] += steps[lane];
    }
}

/* Turns one block of a row back into the form of files. */
static void file_block(const struct matrix *matrix, struct packed_block at, const uint8_t *strip,
                       size_t lane, uint8_t *block)
{
    const size_t rows = matrix->size.strip_rows;
    if (!block_has_fields(matrix->dtype)) {
        struct kquant super;
        kquant_unpack_block(matrix->dtype, strip + at.scales, strip + at.body, rows, lane, &super);
        kquant_write(matrix->dtype, &super, block);
        return;
    }
    block_fields_unpack(matrix->dtype, strip + at.scales, strip + at.body, rows, lane, block);
    if (is_flipped(matrix))
        flip(block + 2, packed_form(matrix->dtype).columns);
}

void matrix_file_row(const struct matrix *matrix, uint32_t row, uint8_t *bytes)
{
    const struct packed_form form = packed_form(matrix->dtype);
    const struct dtype_info *info = dtype_info(matrix->dtype);
    size_t rows = matrix->size.strip_rows;
    const uint8_t *strip = matrix->data + row / rows * matrix->size.strip_bytes;
    for (size_t b = 0; b < matrix->size.n_blocks; b++) {
        size_t first = b * form.columns, left = matrix->n_columns - first;
        size_t columns = left < form.columns ? left : form.columns; /* bfloat16 may end with one */
        uint8_t block[256];
        file_block(matrix, packed_block(form, rows, b), strip, row % rows, block);
        memcpy(bytes + first / info->block_elements * info->block_bytes, block,
               columns / info->block_elements * info->block_bytes);
    }
}

void matrix_unpack_row(const struct matrix *matrix, uint32_t row, float *values)
{
    const struct packed_form form = packed_form(matrix->dtype);
    size_t rows = matrix->size.strip_rows, lane = row % rows;
    const uint8_t *strip = matrix->data + row / rows * matrix->size.strip_bytes;
    for (size_t b = 0; b < matrix->size.n_blocks; b++) {
        struct packed_block at = packed_block(form, rows, b);
        size_t first = b * form.columns, left = matrix->n_columns - first;
        uint8_t block[256];
        if (block_has_fields(matrix->dtype)) {
            file_block(matrix, at, strip, lane, block);
            blocks_dequantize(matrix->dtype, block, left < form.columns ? left : form.columns,
                              values + first);
        } else {
            kquant_unpack(matrix->dtype, strip + at.scales, strip + at.body, rows, lane,
                          values + first);
        }
    }
}
