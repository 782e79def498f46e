/*
 * Floats into super-blocks of q4_K, q5_K and q6_K.
 */
#ifndef LCKV_KERNELS_QUANTIZE_KQUANTS_H
#define LCKV_KERNELS_QUANTIZE_KQUANTS_H

#include "format/dtype.h"

/* Writes a block whose values are as near to the 256 given as a search finds them. */
void kquant_quantize(lckv_dtype dtype, const float values[256], uint8_t *bytes);

#endif
