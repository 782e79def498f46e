/*
 * Makes the data of one converted tensor. It reads rows of the sources, a few at a time, puts them
 * in order, averages them and writes them in another type.
 */
#ifndef LCKV_CONVERT_ROWS_H
#define LCKV_CONVERT_ROWS_H

#include "base/checked.h"
#include "format/gguf.h"

struct rows {
    const struct tensor **sources; /* all of one shape; the mean of several is written */
    size_t n_sources;
    bool stacked;             /* not their mean: one is written behind the other */
    uint32_t split_head_dim;  /* not 0: rows (d, d + head_dim / 2) become neighbours */
    uint32_t paired_head_dim; /* not 0: neighbours become such rows */
    uint32_t n_own_rows;      /* not 0: from this one on, each row is the first one again */
    float added;              /* to each number of a vector */
    const float *values;      /* not NULL: written instead of the sources, a float32 vector */
};

/* Is told how many bytes were written. If it returns anything but LCKV_OK, the work ends. */
typedef lckv_status (*rows_progress)(void *user, size_t bytes);

/* Writes all rows as `to` says, packed or not. A single source of that type is copied exactly. */
CHECKED lckv_status rows_write(const struct rows *rows, const struct checkpoint *in,
                               const struct gguf_tensor *to, const lckv_allocator *allocator,
                               struct gguf_writer *writer, rows_progress progress, void *user);

#endif
