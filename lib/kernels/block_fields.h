/*
 * Packs blocks of the types whose packed fields are the fields of files, only in another order:
 * all types but q4_K, q5_K and q6_K, for which see kquant_strips.h.
 */
#ifndef LCKV_KERNELS_BLOCK_FIELDS_H
#define LCKV_KERNELS_BLOCK_FIELDS_H

#include "base/checked.h"
#include "format/packed.h"

CHECKED bool block_has_fields(lckv_dtype dtype);

/* Packs one block of each of the `rows` rows of a strip, from blocks[lane], where files have it. */
void block_fields_pack(lckv_dtype dtype, const uint8_t *const *blocks, size_t rows, uint8_t *scales,
                       uint8_t *body);

/* The reverse for the row that stands in `lane`. */
void block_fields_unpack(lckv_dtype dtype, const uint8_t *scales, const uint8_t *body, size_t rows,
                         size_t lane, uint8_t *block);

#endif
