/*
 * Super-blocks of 256 numbers, whose sub-blocks have scales of their own: the k-quants (q2_K to
 * q6_K) and iq4_xs. kquant_read takes a file's block apart, and kquant_values computes its values.
 */
#ifndef LCKV_KERNELS_KQUANTS_H
#define LCKV_KERNELS_KQUANTS_H

#include "format/dtype.h"

#include <stdint.h>

/*
 * q4_K, q5_K: value = d scales[c / 32] number - d_min scales[8 + c / 32], six-bit scales.
 * q6_K, q3_K: value = d (int8_t)scales[c / 16] (number - 32), or number - 4.
 * q2_K: value = d (scales[c / 16] & 15) number - d_min (scales[c / 16] >> 4).
 * iq4_xs: value = d (int8_t)scales[c / 32] (int8_t)number.
 */
struct kquant {
    uint16_t d, d_min; /* IEEE halves */
    uint8_t scales[16];
    uint8_t numbers[256];
};

void kquant_read(lckv_dtype dtype, const uint8_t *bytes, struct kquant *block);

/* Puts a block of q4_K, q5_K or q6_K together again. */
void kquant_write(lckv_dtype dtype, const struct kquant *block, uint8_t *bytes);

void kquant_values(lckv_dtype dtype, const struct kquant *block, float values[256]);

#endif
