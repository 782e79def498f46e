/*
 * The numbers that the nibbles of iq4_nl, iq4_xs and mxfp4 stand for.
 */
#ifndef LCKV_KERNELS_NUMBER_TABLES_H
#define LCKV_KERNELS_NUMBER_TABLES_H

#include <stdint.h>

/* Of iq4_nl and iq4_xs: closer to each other near 0, where most weights are. */
static const int8_t iq4_numbers[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                       1,    13,   25,  38,  53,  69,  89,  113};

/* Of mxfp4: twice the floats of four bits (a sign, two of exponent, one of mantissa). */
static const int8_t mxfp4_numbers[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

#endif
