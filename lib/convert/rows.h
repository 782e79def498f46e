/*
 * The data of one converted tensor: rows of its sources, put in order, averaged, and written in
 * another type, a few at a time.
 */
#ifndef LCKV_CONVERT_ROWS_H
#define LCKV_CONVERT_ROWS_H

#include "base/checked.h"
#include "format/gguf.h"

struct rows {
    const struct tensor **sources; /* of one shape; more than one: their mean */
    size_t n_sources;
    uint32_t split_head_dim;  /* not 0: rows (d, d + head_dim / 2) become neighbours */
    uint32_t paired_head_dim; /* not 0: the reverse */
    const float *values;      /* instead of sources: a ready vector of float32 */
};

/* Whether values can be put into this type; others are only copied. */
CHECKED bool rows_can_be(lckv_dtype dtype);

/* Gets the bytes written; anything but LCKV_OK ends the work. */
typedef lckv_status (*rows_progress)(void *user, size_t bytes);

/* Writes all rows as `to` says, packed or not. Sources of that very type are copied bit for bit. */
CHECKED lckv_status rows_write(const struct rows *rows, const struct checkpoint *in,
                               const struct gguf_tensor *to, const lckv_allocator *allocator,
                               struct gguf_writer *writer, rows_progress progress, void *user);

#endif
