/*
 * Packing: rows as files store them into groups of interleaved rows, and back.
 *
 * One layout for each type, for any number of rows a group; the products are multiply.inc.h's.
 */
#include "kernels/matrix.h"

#include "base/status.h"
#include "kernels/blocks.h"

#include <string.h>

/* The bytes that `group_rows` interleaved rows take for one block of the type. */
static size_t packed_block_bytes(lckv_dtype dtype, uint32_t group_rows)
{
    if (dtype == LCKV_DTYPE_BF16)
        return (size_t)group_rows * 4; /* a pair of columns */
    return (size_t)group_rows * dtype_info(dtype)->block_bytes;
}

static size_t packed_blocks(lckv_dtype dtype, uint32_t n_columns)
{
    size_t elements = dtype == LCKV_DTYPE_BF16 ? 2 : dtype_info(dtype)->block_elements;
    return (n_columns + elements - 1) / elements;
}

lckv_status matrix_create(struct matrix *matrix, lckv_dtype dtype, uint32_t n_rows,
                          uint32_t n_columns, uint32_t group_rows, const lckv_allocator *allocator)
{
    const struct dtype_info *info = dtype_info(dtype);
    if (info == NULL || n_columns % info->block_elements != 0)
        return fail(LCKV_INTERNAL, "a matrix of %u columns cannot be packed as type %d", n_columns,
                    (int)dtype);
    struct matrix made = {.dtype = dtype,
                          .n_rows = n_rows,
                          .n_columns = n_columns,
                          .group_rows = group_rows,
                          .n_groups = (n_rows + group_rows - 1) / group_rows};
    if (!checked_multiply(packed_blocks(dtype, n_columns), packed_block_bytes(dtype, group_rows),
                          &made.group_bytes) ||
        !checked_multiply(made.group_bytes, made.n_groups, &made.n_bytes))
        return fail(LCKV_OUT_OF_MEMORY, "a matrix of %u x %u is too large", n_rows, n_columns);
    lckv_status status = memory_alloc(allocator, made.n_bytes, 1, "weights", &made.data);
    if (status == LCKV_OK)
        *matrix = made;
    return status;
}

void matrix_release(struct matrix *matrix, const lckv_allocator *allocator)
{
    memory_free(allocator, matrix->data, matrix->n_bytes, 1);
    memset(matrix, 0, sizeof *matrix);
}

/*
 * Integer types stand as quads: for each lane four neighbouring columns, so that one instruction
 * multiplies and adds them. Where a byte holds two nibbles, the low one belongs to quad j, the high
 * one to the quad 16 columns further on.
 */
struct q6_k {
    uint8_t low[128], high[64];
    int8_t scales[16];
    uint8_t d[2];
};

/* The 256 six-bit numbers of a file's block, in order. */
static void q6_k_numbers(const struct q6_k *block, uint8_t numbers[256])
{
    for (size_t half = 0; half < 2; half++) {
        const uint8_t *low = block->low + 64 * half, *high = block->high + 32 * half;
        for (size_t i = 0; i < 32; i++) {
            uint8_t *out = numbers + 128 * half + i;
            out[0] = (uint8_t)((low[i] & 15) | ((high[i] & 3) << 4));
            out[32] = (uint8_t)((low[i + 32] & 15) | ((high[i] >> 2 & 3) << 4));
            out[64] = (uint8_t)((low[i] >> 4) | ((high[i] >> 4 & 3) << 4));
            out[96] = (uint8_t)((low[i + 32] >> 4) | ((high[i] >> 6 & 3) << 4));
        }
    }
}

static void q6_k_from_numbers(struct q6_k *block, const uint8_t numbers[256])
{
    for (size_t half = 0; half < 2; half++) {
        for (size_t i = 0; i < 32; i++) {
            const uint8_t *in = numbers + 128 * half + i;
            block->low[64 * half + i] = (uint8_t)((in[0] & 15) | (in[64] & 15) << 4);
            block->low[64 * half + i + 32] = (uint8_t)((in[32] & 15) | (in[96] & 15) << 4);
            block->high[32 * half + i] = (uint8_t)(in[0] >> 4 | (in[32] >> 4) << 2 |
                                                   (in[64] >> 4) << 4 | (in[96] >> 4) << 6);
        }
    }
}

static void pack_q6_k(uint8_t *packed, size_t rows, size_t lane, const uint8_t *bytes)
{
    struct q6_k block;
    uint8_t numbers[256];
    memcpy(&block, bytes, sizeof block);
    q6_k_numbers(&block, numbers);
    memcpy(packed + 2 * lane, block.d, 2);
    uint8_t *scales = packed + 2 * rows, *low = scales + 16 * rows, *high = low + 128 * rows;
    for (size_t s = 0; s < 16; s++)
        scales[s * rows + lane] = (uint8_t)block.scales[s];
    for (size_t c = 0; c < 256; c++) {
        size_t in32 = c % 32, quad = in32 % 16 / 4, second = in32 / 16;
        uint8_t *to_low = low + ((c / 32 * 4 + quad) * rows + lane) * 4 + c % 4;
        uint8_t *to_high = high + ((c / 64 * 4 + quad) * rows + lane) * 4 + c % 4;
        *to_low = (uint8_t)(*to_low | (numbers[c] & 15) << (4 * second));
        *to_high = (uint8_t)(*to_high | (numbers[c] >> 4) << (2 * (c % 64 / 16)));
    }
}

static void unpack_q6_k(const uint8_t *packed, size_t rows, size_t lane, uint8_t *bytes)
{
    struct q6_k block;
    uint8_t numbers[256];
    memcpy(block.d, packed + 2 * lane, 2);
    const uint8_t *scales = packed + 2 * rows, *low = scales + 16 * rows, *high = low + 128 * rows;
    for (size_t s = 0; s < 16; s++)
        block.scales[s] = (int8_t)scales[s * rows + lane];
    for (size_t c = 0; c < 256; c++) {
        size_t in32 = c % 32, quad = in32 % 16 / 4, second = in32 / 16;
        uint8_t from_low = low[((c / 32 * 4 + quad) * rows + lane) * 4 + c % 4];
        uint8_t from_high = high[((c / 64 * 4 + quad) * rows + lane) * 4 + c % 4];
        numbers[c] = (uint8_t)((from_low >> (4 * second) & 15) |
                               (from_high >> (2 * (c % 64 / 16)) & 3) << 4);
    }
    q6_k_from_numbers(&block, numbers);
    memcpy(bytes, &block, sizeof block);
}

/* Copies one block between its file form and its lane of a packed group, either way. */
static void move_block(lckv_dtype dtype, uint8_t *packed, size_t rows, size_t lane, uint8_t *bytes,
                       bool pack)
{
    size_t head, n_quads; /* bytes of scales and minimums, then quads of four bytes */
    switch (dtype) {
    case LCKV_DTYPE_Q8_0:
        head = 2, n_quads = 8;
        break;
    case LCKV_DTYPE_Q4_0:
        head = 2, n_quads = 4;
        break;
    case LCKV_DTYPE_Q4_1:
        head = 4, n_quads = 4;
        break;
    case LCKV_DTYPE_F32:
        head = 0, n_quads = 1;
        break;
    case LCKV_DTYPE_F16:
        head = 2, n_quads = 0;
        break;
    case LCKV_DTYPE_Q6_K:
        if (pack)
            pack_q6_k(packed, rows, lane, bytes);
        else
            unpack_q6_k(packed, rows, lane, bytes);
        return;
    default:
        return;
    }
    for (size_t h = 0; h < head; h += 2) {
        uint8_t *there = packed + h * rows + 2 * lane;
        memcpy(pack ? there : bytes + h, pack ? bytes + h : there, 2);
    }
    for (size_t q = 0; q < n_quads; q++) {
        uint8_t *there = packed + head * rows + (q * rows + lane) * 4;
        uint8_t *here = bytes + head + 4 * q;
        memcpy(pack ? there : here, pack ? here : there, 4);
    }
}

void matrix_pack_row(struct matrix *matrix, uint32_t row, const void *bytes)
{
    const struct dtype_info *info = dtype_info(matrix->dtype);
    size_t rows = matrix->group_rows, lane = row % rows;
    uint8_t *group = matrix->data + row / rows * matrix->group_bytes;
    const uint8_t *source = bytes;
    if (matrix->dtype == LCKV_DTYPE_BF16) { /* blocks of one column, packed as pairs */
        for (size_t c = 0; c < matrix->n_columns; c++)
            memcpy(group + c / 2 * 4 * rows + 4 * lane + c % 2 * 2, source + 2 * c, 2);
        return;
    }
    size_t block_bytes = packed_block_bytes(matrix->dtype, matrix->group_rows);
    for (size_t b = 0; b < packed_blocks(matrix->dtype, matrix->n_columns); b++) {
        uint8_t block[sizeof(struct q6_k)];
        memcpy(block, source + b * info->block_bytes, info->block_bytes);
        move_block(matrix->dtype, group + b * block_bytes, rows, lane, block, true);
    }
}

void matrix_unpack_row(const struct matrix *matrix, uint32_t row, float *values)
{
    const struct dtype_info *info = dtype_info(matrix->dtype);
    size_t rows = matrix->group_rows, lane = row % rows;
    uint8_t *group = matrix->data + row / rows * matrix->group_bytes;
    if (matrix->dtype == LCKV_DTYPE_BF16) {
        for (size_t c = 0; c < matrix->n_columns; c++)
            blocks_dequantize(LCKV_DTYPE_BF16, group + c / 2 * 4 * rows + 4 * lane + c % 2 * 2, 1,
                              values + c);
        return;
    }
    size_t block_bytes = packed_block_bytes(matrix->dtype, matrix->group_rows);
    for (size_t b = 0; b < packed_blocks(matrix->dtype, matrix->n_columns); b++) {
        uint8_t block[sizeof(struct q6_k)];
        move_block(matrix->dtype, group + b * block_bytes, rows, lane, block, false);
        blocks_dequantize(matrix->dtype, block, info->block_elements,
                          values + b * info->block_elements);
    }
}
