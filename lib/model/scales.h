/*
 * Weights of eight bits, F8_E4M3, have their scales in tensors of their own: "x.weight_scale" or
 * "x.weight_scale_inv" beside "x.weight".
 */
#ifndef LCKV_MODEL_SCALES_H
#define LCKV_MODEL_SCALES_H

#include "base/checked.h"
#include "format/checkpoint.h"

/*
 * Reads the scales of such weights, and takes the tensors that hold them out of the table, as well
 * as the scales that others use for activations of eight bits ("x.input_scale"). A weight whose
 * scales are missing or do not fit gets a problem.
 */
CHECKED lckv_status scales_attach(struct checkpoint *checkpoint);

/* Turns row `row` of any tensor from file bytes into float32 [n]; a vector is one row. */
void scales_dequantize(const struct tensor *tensor, uint64_t row, const uint8_t *bytes, size_t n,
                       float *values);

#endif
