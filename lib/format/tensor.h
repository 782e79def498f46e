/*
 * One tensor of a file: its name, type, shape and place.
 *
 * Files may hold tensors of any type and shape that no layer reads. So a tensor that cannot be read
 * is listed with its problem. It does not keep the file from being opened, and is refused only if
 * it is needed.
 */
#ifndef LCKV_FORMAT_TENSOR_H
#define LCKV_FORMAT_TENSOR_H

#include "base/arena.h"
#include "base/checked.h"
#include "base/text.h"
#include "format/dtype.h"
#include "format/packed.h"

#define TENSOR_MAX_DIMS 4

/*
 * The scales of a matrix of f8_e4m3: a grid, of which each element is multiplied with all weights
 * of its part of the matrix.
 */
struct tensor_scales {
    uint64_t n_rows, n_columns;        /* of the grid */
    uint64_t row_height, column_width; /* weight rows and columns of a part */
    const float *values;
};

struct tensor {
    struct text name;
    lckv_dtype dtype;                   /* DTYPE_UNKNOWN: lckv does not compute with the type */
    struct matrix_layout layout;        /* lanes 0: not packed */
    uint32_t n_dims;                    /* with a problem: any number */
    uint64_t shape[TENSOR_MAX_DIMS];    /* outermost first: [rows, columns]; unused ones are 1 */
    const char *problem;                /* why it cannot be read, or NULL */
    uint32_t file;                      /* index into checkpoint.files */
    uint64_t offset;                    /* in that file; offset + n_bytes is within it */
    uint64_t n_bytes;                   /* with a problem: 0 */
    const struct tensor_scales *scales; /* of f8_e4m3, else NULL */
};

/* The element type of a matrix that is made of the tensor: f8_e4m3 becomes bf16. */
lckv_dtype tensor_matrix_dtype(const struct tensor *tensor);

/* Notes why the tensor cannot be read. The text is copied to the arena. */
__attribute__((format(printf, 3, 4))) CHECKED lckv_status tensor_set_problem(struct tensor *tensor,
                                                                             struct arena *arena,
                                                                             const char *format,
                                                                             ...);

/*
 * Computes n_bytes of a tensor that has no problem so far. Too few or too many dimensions, a
 * dimension of 0, or rows that are not whole blocks become its problem; a size that overflows gives
 * LCKV_BAD_FORMAT. `file` names the file in messages.
 */
CHECKED lckv_status tensor_measure(struct tensor *tensor, struct arena *arena, const char *file);

/* LCKV_UNSUPPORTED, with a message, if the tensor has a problem. */
CHECKED lckv_status tensor_check(const struct tensor *tensor, const char *file);

#endif
