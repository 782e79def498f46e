/*
 * The packed form of q4_K, q5_K and q6_K: numbers taken apart and put together in quads. See
 * kquant_strips.h.
 */
#include "kernels/kquant_strips.h"

#include "kernels/kquants.h"
#include "kernels/quad.h"

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

static void pack_lane(lckv_dtype dtype, const uint8_t *bytes, size_t rows, size_t lane,
                      uint8_t *scales, uint8_t *body)
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

void kquant_pack(lckv_dtype dtype, const uint8_t *const *blocks, size_t rows, uint8_t *scales,
                 uint8_t *body)
{
    for (size_t lane = 0; lane < rows; lane++)
        pack_lane(dtype, blocks[lane], rows, lane, scales, body);
}

void kquant_unpack_block(lckv_dtype dtype, const uint8_t *scales, const uint8_t *body, size_t rows,
                         size_t lane, struct kquant *block)
{
    memcpy(&block->d, scales + 2 * lane, 2);
    if (dtype == LCKV_DTYPE_Q6_K) {
        for (size_t s = 0; s < 16; s++)
            block->scales[s] = scales[2 * rows + s * rows + lane];
    } else {
        memcpy(&block->d_min, scales + 2 * rows + 2 * lane, 2);
        unpack_scales(scales + 4 * rows, rows, lane, block->scales);
    }
    unpack_numbers(high_bits(dtype), body, rows, lane, block->numbers);
}

void kquant_unpack(lckv_dtype dtype, const uint8_t *scales, const uint8_t *body, size_t rows,
                   size_t lane, float *values)
{
    struct kquant block;
    kquant_unpack_block(dtype, scales, body, rows, lane, &block);
    kquant_values(dtype, &block, values);
}
