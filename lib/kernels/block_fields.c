/*
 * The fields of blocks in files, in the order of the packed form. See block_fields.h.
 */
#include "kernels/block_fields.h"

#include "kernels/quad.h"

/* `count` fields of `bytes` bytes each, which stand in a file's block from byte `from` on. */
struct run {
    uint8_t bytes, count, from;
};

/*
 * The runs of a block's scales and of its body, in the order of struct packed_form. A run without
 * fields ends each list.
 */
struct runs {
    struct run scales[4], body[3];
    bool has_fifth_bits; /* the last quad of the body has the fifth bits of q5_0 and q5_1 */
};

static const struct runs all_runs[DTYPE_COUNT] = {
    [LCKV_DTYPE_F32] = {{{0, 0, 0}}, {{4, 1, 0}}, false},
    [LCKV_DTYPE_F16] = {{{0, 0, 0}}, {{2, 1, 0}}, false},
    [LCKV_DTYPE_BF16] = {{{0, 0, 0}}, {{4, 1, 0}}, false},
    [LCKV_DTYPE_Q8_0] = {{{2, 1, 0}}, {{4, 8, 2}}, false},
    [LCKV_DTYPE_Q4_0] = {{{2, 1, 0}}, {{4, 4, 2}}, false},
    [LCKV_DTYPE_Q4_1] = {{{2, 2, 0}}, {{4, 4, 4}}, false},
    [LCKV_DTYPE_Q5_0] = {{{2, 1, 0}}, {{4, 4, 6}, {4, 1, 2}}, true},
    [LCKV_DTYPE_Q5_1] = {{{2, 2, 0}}, {{4, 4, 8}, {4, 1, 4}}, true},
    [LCKV_DTYPE_Q2_K] = {{{2, 2, 80}, {1, 16, 0}}, {{4, 16, 16}}, false},
    [LCKV_DTYPE_Q3_K] = {{{2, 1, 108}, {1, 12, 96}}, {{4, 16, 32}, {4, 8, 0}}, false},
    [LCKV_DTYPE_IQ4_NL] = {{{2, 1, 0}}, {{4, 4, 2}}, false},
    [LCKV_DTYPE_IQ4_XS] = {{{2, 1, 0}, {4, 1, 4}, {1, 2, 2}}, {{4, 32, 8}}, false},
    [LCKV_DTYPE_MXFP4] = {{{1, 1, 0}}, {{4, 4, 1}}, false},
};

bool block_has_fields(lckv_dtype dtype)
{
    return all_runs[dtype].body[0].count > 0;
}

/*
 * Files have the fifth bits of 32 columns in one word, bit c for column c. In a quad bit q of byte
 * i is that of column 4 q + i, so that all bytes of a lane are shifted alike.
 */
static uint32_t fifth_bits_as_quad(uint32_t word)
{
    uint32_t quad = 0;
    for (unsigned i = 0; i < 4; i++) {
        uint32_t bits = word >> i & 0x11111111; /* they stand four apart, and move together */
        bits = (bits | bits >> 3) & 0x03030303;
        bits = (bits | bits >> 6) & 0x000f000f;
        quad |= ((bits | bits >> 12) & 0xff) << (8 * i);
    }
    return quad;
}

static uint32_t fifth_bits_as_word(uint32_t quad)
{
    uint32_t word = 0;
    for (unsigned column = 0; column < 32; column++)
        word |= (quad >> (column % 4 * 8 + column / 4) & 1) << column;
    return word;
}

static uint8_t *pack_quads(struct run run, const uint8_t *const *blocks, size_t rows, uint8_t *to)
{
    size_t from = run.from;
    for (size_t q = 0; q < run.count; q++, from += 4, to += 4 * rows) {
        for (size_t lane = 0; lane < rows; lane++)
            store_quad(to + 4 * lane, load_quad(blocks[lane] + from));
    }
    return to;
}

static uint8_t *pack_halves(struct run run, const uint8_t *const *blocks, size_t rows, uint8_t *to)
{
    size_t from = run.from;
    for (size_t h = 0; h < run.count; h++, from += 2, to += 2 * rows) {
        for (size_t lane = 0; lane < rows; lane++)
            memcpy(to + 2 * lane, blocks[lane] + from, 2);
    }
    return to;
}

static uint8_t *pack_bytes(struct run run, const uint8_t *const *blocks, size_t rows, uint8_t *to)
{
    size_t from = run.from;
    for (size_t i = 0; i < run.count; i++, from++, to += rows) {
        for (size_t lane = 0; lane < rows; lane++)
            to[lane] = blocks[lane][from];
    }
    return to;
}

static uint8_t *pack_run(struct run run, const uint8_t *const *blocks, size_t rows, uint8_t *to)
{
    return run.bytes == 4   ? pack_quads(run, blocks, rows, to)
           : run.bytes == 2 ? pack_halves(run, blocks, rows, to)
                            : pack_bytes(run, blocks, rows, to);
}

/* This is the inner loop of opening a model. */
void block_fields_pack(lckv_dtype dtype, const uint8_t *const *blocks, size_t rows, uint8_t *scales,
                       uint8_t *body)
{
    const struct runs *runs = &all_runs[dtype];
    for (const struct run *run = runs->scales; run->count > 0; run++)
        scales = pack_run(*run, blocks, rows, scales);
    for (const struct run *run = runs->body; run->count > 0; run++)
        body = pack_run(*run, blocks, rows, body);
    for (size_t lane = 0; runs->has_fifth_bits && lane < rows; lane++) {
        uint8_t *fifth = body - 4 * rows + 4 * lane;
        store_quad(fifth, fifth_bits_as_quad(load_quad(fifth)));
    }
}

static const uint8_t *unpack_run(struct run run, const uint8_t *from, size_t rows, size_t lane,
                                 uint8_t *block)
{
    uint8_t *to = block + run.from;
    for (size_t f = 0; f < run.count; f++, from += run.bytes * rows, to += run.bytes)
        memcpy(to, from + lane * run.bytes, run.bytes);
    return from;
}

void block_fields_unpack(lckv_dtype dtype, const uint8_t *scales, const uint8_t *body, size_t rows,
                         size_t lane, uint8_t *block)
{
    const struct runs *runs = &all_runs[dtype];
    for (const struct run *run = runs->scales; run->count > 0; run++)
        scales = unpack_run(*run, scales, rows, lane, block);
    for (const struct run *run = runs->body; run->count > 0; run++)
        body = unpack_run(*run, body, rows, lane, block);
    if (runs->has_fifth_bits) {
        uint8_t *fifth = block + runs->body[1].from;
        store_quad(fifth, fifth_bits_as_word(load_quad(fifth)));
    }
}
