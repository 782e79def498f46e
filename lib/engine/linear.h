/*
 * Linear layers over the rows of a pass: each worker computes its share of the output columns.
 */
#ifndef LCKV_ENGINE_LINEAR_H
#define LCKV_ENGINE_LINEAR_H

#include "engine/forward.h"

/* Whether products with this matrix read 8-bit activations in this pass. */
bool linear_quantizes(const struct pass *pass, const struct matrix *matrix);

/* Quantises rows of `input`; products with the same block then read them. */
void linear_quantize(const struct pass *pass, const struct block *input, struct range rows);

/* Moves the quantised form of row `from` of `input` to row `to`. */
void linear_move_row(const struct pass *pass, const struct block *input, size_t from, size_t to);

/* out = input x matrix^T for all rows; linear_rows: for rows [first, first + n), to out's row 0. */
void linear(const struct worker *worker, const struct pass *pass, const struct matrix *matrix,
            const struct block *input, struct block *out);
void linear_rows(const struct worker *worker, const struct pass *pass, const struct matrix *matrix,
                 const struct block *input, size_t first, size_t n, struct block *out);

/* Adds bias [n] to rows; NULL adds nothing. */
void linear_bias(const struct pass *pass, struct block *block, const float *bias, size_t n,
                 struct range rows);

#endif
