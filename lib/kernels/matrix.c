/*
 * Packs rows, as files store them, into strips of interleaved rows, and reads them back. Each type
 * has one layout, whatever the number of rows in a strip. The products are in multiply*.inc.h.
 */
#include "kernels/matrix.h"

#include "base/status.h"
#include "kernels/blocks.h"
#include "kernels/kquants.h"

#include <string.h>

static uint32_t load_quad(const uint8_t *from)
{
    uint32_t quad;
    memcpy(&quad, from, 4);
    return quad;
}

static void store_quad(uint8_t *to, uint32_t quad)
{
    memcpy(to, &quad, 4);
}

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

/* ---- Blocks of k-quants: numbers taken apart and put together in quads */

/*
 * Numbers of up to eight bits stand as quads: for each lane four neighbouring columns, so that one
 * instruction multiplies and adds them. Where a byte holds two nibbles, the low one belongs to quad
 * q of a block of 32 columns, the high one to quad q + 4.
 *
 * Fifth and sixth bits stand behind the nibbles that they belong to. In q5_K one quad for each lane
 * follows the nibbles of 32 columns; bit k of its bytes belongs to quad k. In q6_K four quads for
 * each lane follow the nibbles of 64 columns; the pair of bits 2 k of quad w belongs to quad 4 k +
 * w.
 */
struct high_bits {
    size_t n_quads;  /* quads of such bits for each lane; 0: none */
    unsigned n_bits; /* such bits of a number */
    size_t columns;  /* columns that share the quads */
};

static struct high_bits high_bits(lckv_dtype dtype)
{
    if (dtype == LCKV_DTYPE_Q6_K)
        return (struct high_bits){4, 2, 64};
    if (dtype == LCKV_DTYPE_Q5_K)
        return (struct high_bits){1, 1, 32};
    return (struct high_bits){0, 0, 32};
}

/* The same byte four times. */
static uint32_t each_byte(uint32_t byte)
{
    return byte * UINT32_C(0x01010101);
}

/* Packs all numbers of a super-block into one lane, four at a time. */
static void pack_numbers(struct high_bits high, const uint8_t numbers[256], uint8_t *body,
                         size_t rows, size_t lane)
{
    const uint32_t nibbles = each_byte(15), mask = each_byte((1u << high.n_bits) - 1);
    uint8_t *to = body + 4 * lane;
    for (const uint8_t *from = numbers; from < numbers + 256; from += high.columns) {
        for (size_t i = 0; i < high.columns / 2; i += 4, to += 4 * rows) {
            const uint8_t *first = from + i / 16 * 32 + i % 16;
            store_quad(to, (load_quad(first) & nibbles) | (load_quad(first + 16) & nibbles) << 4);
        }
        for (size_t w = 0; w < high.n_quads; w++, to += 4 * rows) {
            uint32_t quad = 0;
            for (unsigned k = 0; k < 8 / high.n_bits; k++)
                quad |= (load_quad(from + 4 * (k * high.n_quads + w)) >> 4 & mask)
                        << (high.n_bits * k);
            store_quad(to, quad);
        }
    }
}

static void unpack_numbers(struct high_bits high, const uint8_t *body, size_t rows, size_t lane,
                           uint8_t numbers[256])
{
    const uint32_t nibbles = each_byte(15), mask = each_byte((1u << high.n_bits) - 1);
    const uint8_t *from = body + 4 * lane;
    for (uint8_t *to = numbers; to < numbers + 256; to += high.columns) {
        for (size_t i = 0; i < high.columns / 2; i += 4, from += 4 * rows) {
            uint8_t *first = to + i / 16 * 32 + i % 16;
            uint32_t both = load_quad(from);
            store_quad(first, both & nibbles);
            store_quad(first + 16, both >> 4 & nibbles);
        }
        for (size_t w = 0; w < high.n_quads; w++, from += 4 * rows) {
            uint32_t quad = load_quad(from);
            for (unsigned k = 0; k < 8 / high.n_bits; k++) {
                uint8_t *at = to + 4 * (k * high.n_quads + w);
                store_quad(at, load_quad(at) | (quad >> (high.n_bits * k) & mask) << 4);
            }
        }
    }
}

/*
 * The eight scales and eight minimums of q4_K and q5_K have six bits each. They stand in three
 * words, each of which holds five of the numbers and two bits of the sixteenth.
 */
static void pack_scales(const uint8_t numbers[16], uint8_t *words, size_t rows, size_t lane)
{
    for (size_t w = 0; w < 3; w++) {
        uint32_t word = (uint32_t)(numbers[15] >> (2 * w) & 3) << 30;
        for (size_t i = 0; i < 5; i++)
            word |= (uint32_t)numbers[5 * w + i] << (6 * i);
        store_quad(words + (w * rows + lane) * 4, word);
    }
}

static void unpack_scales(const uint8_t *words, size_t rows, size_t lane, uint8_t numbers[16])
{
    numbers[15] = 0;
    for (size_t w = 0; w < 3; w++) {
        uint32_t word = load_quad(words + (w * rows + lane) * 4);
        for (size_t i = 0; i < 5; i++)
            numbers[5 * w + i] = (uint8_t)(word >> (6 * i) & 63);
        numbers[15] = (uint8_t)(numbers[15] | (word >> 30) << (2 * w));
    }
}

static void pack_kquant(lckv_dtype dtype, uint8_t *scales, uint8_t *body, size_t rows, size_t lane,
                        const uint8_t *bytes)
{
    struct kquant block;
    kquant_read(dtype, bytes, &block);
    memcpy(scales + 2 * lane, &block.d, 2);
    if (dtype == LCKV_DTYPE_Q6_K) {
        for (size_t s = 0; s < 16; s++)
            scales[2 * rows + s * rows + lane] = block.scales[s];
    } else {
        memcpy(scales + 2 * rows + 2 * lane, &block.d_min, 2);
        pack_scales(block.scales, scales + 4 * rows, rows, lane);
    }
    pack_numbers(high_bits(dtype), block.numbers, body, rows, lane);
}

static void unpack_kquant(lckv_dtype dtype, const uint8_t *scales, const uint8_t *body, size_t rows,
                          size_t lane, float *values)
{
    struct kquant block;
    memcpy(&block.d, scales + 2 * lane, 2);
    if (dtype == LCKV_DTYPE_Q6_K) {
        for (size_t s = 0; s < 16; s++)
            block.scales[s] = scales[2 * rows + s * rows + lane];
    } else {
        memcpy(&block.d_min, scales + 2 * rows + 2 * lane, 2);
        unpack_scales(scales + 4 * rows, rows, lane, block.scales);
    }
    unpack_numbers(high_bits(dtype), body, rows, lane, block.numbers);
    kquant_values(dtype, &block, values);
}

/* ---- Strips */

/*
 * Copies quads of every lane, from byte `from` of its block on. This is the inner loop of opening a
 * model.
 */
static void pack_quads(uint8_t *to, const uint8_t *const *blocks, size_t rows, size_t from,
                       size_t n_quads, uint32_t flip)
{
    for (size_t q = 0; q < n_quads; q++) {
        for (size_t lane = 0; lane < rows; lane++)
            store_quad(to + (q * rows + lane) * 4, load_quad(blocks[lane] + from + 4 * q) ^ flip);
    }
}

static void pack_halves(uint8_t *to, const uint8_t *const *blocks, size_t rows, size_t from)
{
    for (size_t lane = 0; lane < rows; lane++)
        memcpy(to + 2 * lane, blocks[lane] + from, 2);
}

/*
 * Packs one block of every row. `odd_end`: it is a pair of bfloat16 of which the matrix has only
 * the first; the second stays as it is.
 */
static void pack_block(const struct matrix *matrix, const uint8_t *const *blocks, uint8_t *scales,
                       uint8_t *body, bool odd_end)
{
    size_t rows = matrix->size.strip_rows;
    switch (matrix->dtype) {
    case LCKV_DTYPE_F32:
        pack_quads(body, blocks, rows, 0, 1, 0);
        break;
    case LCKV_DTYPE_F16:
        pack_halves(body, blocks, rows, 0);
        break;
    case LCKV_DTYPE_BF16:
        for (size_t lane = 0; lane < rows; lane++)
            memcpy(body + 4 * lane, blocks[lane], odd_end ? 2 : 4);
        break;
    case LCKV_DTYPE_Q8_0:
        pack_halves(scales, blocks, rows, 0);
        pack_quads(body, blocks, rows, 2, 8,
                   matrix->layout.unsigned_bytes ? UINT32_C(0x80808080) : 0);
        break;
    case LCKV_DTYPE_Q4_0:
        pack_halves(scales, blocks, rows, 0);
        pack_quads(body, blocks, rows, 2, 4, 0);
        break;
    case LCKV_DTYPE_Q4_1:
        pack_halves(scales, blocks, rows, 0);
        pack_halves(scales + 2 * rows, blocks, rows, 2);
        pack_quads(body, blocks, rows, 4, 4, 0);
        break;
    default:
        for (size_t lane = 0; lane < rows; lane++)
            pack_kquant(matrix->dtype, scales, body, rows, lane, blocks[lane]);
    }
}

void matrix_pack_strip(const struct matrix *matrix, const uint8_t *const *rows, uint8_t *to)
{
    static const uint8_t zeros[256]; /* a block of any type whose values are all 0 */
    const struct packed_form form = packed_form(matrix->dtype);
    size_t n_rows = matrix->size.strip_rows;
    size_t file_bytes =
        matrix->dtype == LCKV_DTYPE_BF16 ? 4 : dtype_info(matrix->dtype)->block_bytes;
    const uint8_t *blocks[PACKED_MAX_STRIP];
    /* The last bundle, or a pair of bfloat16 in it, may not be full: the rest of it is zeros. */
    struct packed_block last = packed_block(form, n_rows, matrix->size.n_blocks - 1);
    size_t begin = last.scales + n_rows * packed_scales_bytes(form);
    memset(to + begin, 0, matrix->size.strip_bytes - begin);
    for (size_t b = 0; b < matrix->size.n_blocks; b++) {
        struct packed_block at = packed_block(form, n_rows, b);
        for (size_t lane = 0; lane < n_rows; lane++)
            blocks[lane] = rows[lane] != NULL ? rows[lane] + b * file_bytes : zeros;
        pack_block(matrix, blocks, to + at.scales, to + at.body,
                   b * form.columns + form.columns > matrix->n_columns);
    }
}

/* Turns one block of a row back into the form of files. */
static void file_block(const struct matrix *matrix, size_t lane, const uint8_t *scales,
                       const uint8_t *body, uint8_t *block)
{
    const struct packed_form form = packed_form(matrix->dtype);
    size_t rows = matrix->size.strip_rows, n_heads = form.scale_halves;
    size_t n_quads = form.body_field_bytes == 4 ? form.body_fields : 0;
    uint32_t flip = matrix->dtype == LCKV_DTYPE_Q8_0 && matrix->layout.unsigned_bytes
                        ? UINT32_C(0x80808080)
                        : 0;
    if (matrix->dtype == LCKV_DTYPE_F16)
        memcpy(block, body + 2 * lane, 2);
    for (size_t h = 0; h < n_heads; h++)
        memcpy(block + 2 * h, scales + 2 * h * rows + 2 * lane, 2);
    for (size_t q = 0; q < n_quads; q++)
        store_quad(block + 2 * n_heads + 4 * q, load_quad(body + (q * rows + lane) * 4) ^ flip);
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
        if (form.columns == 256) {
            unpack_kquant(matrix->dtype, strip + at.scales, strip + at.body, rows, lane,
                          values + first);
        } else {
            file_block(matrix, lane, strip + at.scales, strip + at.body, block);
            blocks_dequantize(matrix->dtype, block, left < form.columns ? left : form.columns,
                              values + first);
        }
    }
}
