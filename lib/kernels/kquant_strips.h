/*
 * Packs super-blocks of q4_K, q5_K and q6_K, whose numbers and scales stand in files in an order
 * that no vector can use.
 */
#ifndef LCKV_KERNELS_KQUANT_STRIPS_H
#define LCKV_KERNELS_KQUANT_STRIPS_H

#include "format/packed.h"
#include "kernels/kquants.h"

/* Packs one block of each of the `rows` rows of a strip, from blocks[lane], where files have it. */
void kquant_pack(lckv_dtype dtype, const uint8_t *const *blocks, size_t rows, uint8_t *scales,
                 uint8_t *body);

/* Takes out the block that stands in `lane`. */
void kquant_unpack_block(lckv_dtype dtype, const uint8_t *scales, const uint8_t *body, size_t rows,
                         size_t lane, struct kquant *block);

/* Computes the values of the block that stands in `lane`. */
void kquant_unpack(lckv_dtype dtype, const uint8_t *scales, const uint8_t *body, size_t rows,
                   size_t lane, float *values);

#endif
