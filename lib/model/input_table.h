/*
 * The table of the embeddings that layers have for themselves: for each token a row with those of
 * all layers. It may be larger than all other weights together, and a token reads one row of it. So
 * it stays as the file has it, in its own type: mapped if that is possible, else in memory.
 */
#ifndef LCKV_MODEL_INPUT_TABLE_H
#define LCKV_MODEL_INPUT_TABLE_H

#include "base/checked.h"
#include "base/memory.h"
#include "format/checkpoint.h"

struct input_table {
    const struct tensor *tensor; /* of the model's checkpoint; NULL: there is no table */
    const uint8_t *rows;         /* NULL if the model has no weights */
    size_t row_bytes, n_columns;
    uint32_t n_tokens; /* rows that belong to tokens; other tokens have the first row */
    bool is_mapped;    /* the rows lie in the file, or would if the model had weights */
    uint8_t *owned;    /* the rows, if they are in memory */
};

/*
 * Opens the tensor, which has been checked, as `weights` says: mapped, in memory for
 * LCKV_WEIGHTS_COPIED or for files that cannot be mapped, or only described for LCKV_WEIGHTS_NONE.
 */
CHECKED lckv_status input_table_open(struct input_table *table, struct checkpoint *checkpoint,
                                     const struct tensor *tensor, uint32_t n_tokens,
                                     lckv_weights weights, const lckv_allocator *allocator);
void input_table_close(struct input_table *table, const lckv_allocator *allocator);

/* The bytes of the whole table; 0 if there is none. */
CHECKED uint64_t input_table_bytes(const struct input_table *table);

/* Writes the row of a token as floats, [n_columns]. */
void input_table_row(const struct input_table *table, lckv_token token, float *values);

#endif
