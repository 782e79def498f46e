/*
 * Where quantised keys and values stand in a sub-tile: first the scales, [head_dim / 32][16] of
 * f16, then the numbers. A key in q8_0 is cut into quads, four columns of 16 positions each; a
 * value in q8_0 stands beside that of the next position:
 *
 *     keys    [head_dim / 4][16][4]         values    [head_dim / 32][8][32][2]
 *
 * In q4_0 a byte holds two columns of one position, 16 columns apart, the first in its low bits.
 * So no byte belongs to two positions, which threads may store at the same time:
 *
 *     keys    [head_dim / 32][4][16][4]     values    [head_dim / 32][8][16][2]
 *
 * Blocks of keys in q4_0 are rotated before they are rounded. Some columns of keys are many times
 * larger than their neighbours, and with 16 steps from the least number to the largest such a
 * column would leave its neighbours two or three. The rotation spreads it over the block. Queries
 * are rotated alike, so that scores stay what they are.
 */
#ifndef LCKV_KERNELS_KV_BLOCKS_H
#define LCKV_KERNELS_KV_BLOCKS_H

#include "plan/kv_format.h"

#include <stdbool.h>

#define KV_BLOCK 32                      /* columns that share a scale */
#define KV_ROTATION 0.17677669529663687f /* 1 / sqrt(KV_BLOCK) */
#define KV_SCALES_BYTES (2 * KV_SUBTILE) /* the scales of a block of 16 positions */

static inline bool kv_is_quantised(enum kv_type type)
{
    return type == KV_Q8_0 || type == KV_Q4_0;
}

static inline bool kv_keys_are_rotated(enum kv_type type)
{
    return type == KV_Q4_0;
}

/*
 * Multiplies each block of a head by the Hadamard matrix of its size, divided by sqrt(KV_BLOCK), so
 * that it is a rotation. Doing it twice undoes it.
 */
static inline void kv_rotate(float *head, size_t head_dim)
{
    for (float *block = head; block < head + head_dim; block += KV_BLOCK) {
        for (size_t half = 1; half < KV_BLOCK; half *= 2) {
            for (size_t i = 0; i < KV_BLOCK; i++) {
                if (i & half)
                    continue;
                const float a = block[i], b = block[i + half];
                block[i] = a + b;
                block[i + half] = a - b;
            }
        }
        for (size_t i = 0; i < KV_BLOCK; i++)
            block[i] *= KV_ROTATION;
    }
}

/* Bytes of the scales of a sub-tile; so many bytes into it, its numbers begin. */
static inline size_t kv_scales_bytes(size_t head_dim)
{
    return head_dim / KV_BLOCK * KV_SCALES_BYTES;
}

/* The scale of a lane for the columns of a block. */
static inline size_t kv_scale_at(uint32_t lane, size_t block)
{
    return block * KV_SCALES_BYTES + 2 * lane;
}

/* The byte of column d of a lane, counted from the first number. */
static inline size_t kv_key_byte(enum kv_type type, uint32_t lane, size_t d)
{
    size_t quad = type == KV_Q8_0 ? d / 4 : d / KV_BLOCK * 4 + d % 16 / 4;
    return (quad * KV_SUBTILE + lane) * 4 + d % 4;
}

static inline size_t kv_value_byte(enum kv_type type, uint32_t lane, size_t d)
{
    size_t columns = type == KV_Q8_0 ? KV_BLOCK : KV_BLOCK / 2, pair = lane / 2;
    return ((d / KV_BLOCK * (KV_SUBTILE / 2) + pair) * columns + d % columns) * 2 + lane % 2;
}

#endif
