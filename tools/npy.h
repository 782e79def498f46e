/*
 * Writes a two-dimensional float32 array as a NumPy .npy file (version 1.0, C order), row by row.
 */
#ifndef TOOLS_NPY_H
#define TOOLS_NPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Writes the header of a float32 [n_rows, n_columns]; the rows follow with npy_write. */
bool npy_begin(FILE *file, uint64_t n_rows, uint64_t n_columns);
bool npy_write(FILE *file, const float *values, size_t n_values);

#endif
