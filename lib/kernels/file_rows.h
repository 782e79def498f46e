/*
 * Rows of packed matrices in the form of files, which they had before they were packed.
 */
#ifndef LCKV_KERNELS_FILE_ROWS_H
#define LCKV_KERNELS_FILE_ROWS_H

#include "kernels/matrix.h"

/* Writes a row as a file that is not packed stores it. */
void matrix_file_row(const struct matrix *matrix, uint32_t row, uint8_t *bytes);

#endif
