/*
 * The operations of a forward pass, once for each kernel set: a constant table of functions.
 *
 * Packed weights are matrix.h's, keys and values kv.h's. Nothing outside this folder touches the
 * bytes of either. Every function is a pure function of its inputs: an element of a result is
 * summed in the same order whatever the number of rows, the tile and the thread.
 */
#ifndef LCKV_KERNELS_KERNELS_H
#define LCKV_KERNELS_KERNELS_H

#include "kernels/kv.h"
#include "kernels/matrix.h"

#include <stdbool.h>

/* out[row * stride + n] for weight rows n of groups [group_begin, group_end), all activation rows.
 */
typedef void (*multiply_function)(const struct matrix *matrix, const struct activations *x,
                                  size_t group_begin, size_t group_end, float *out, size_t stride);

struct kernels {
    const char *name;
    uint32_t group_rows; /* weight rows that are interleaved: the lanes of a vector */

    multiply_function multiply_full[LCKV_DTYPE_Q6_K + 1]; /* float32 activations */
    multiply_function multiply_fast[LCKV_DTYPE_Q6_K + 1]; /* NULL: as full */

    /* One row of `n` float32 (padded with zeros to whole blocks) to 8-bit blocks of
     * ACTIVATION_BLOCK. */
    void (*quantize)(const float *values, size_t n, int8_t *quants, float *scales, int32_t *sums);

    void (*rms_norm)(const float *x, const float *weight, float epsilon, size_t n, float *out);
    void (*add)(float *x, const float *y, size_t n);        /* x += y */
    void (*swiglu)(float *gate, const float *up, size_t n); /* gate = silu(gate) * up */
    /* Rotates `n_heads` heads in place, element d paired with d + head_dim / 2. */
    void (*rotate)(float *x, const float *cosines, const float *sines, size_t n_heads,
                   size_t head_dim);

    attend_function attend[2]; /* by enum kv_type */
};

/* Every set that this build knows, best last; `count` gets their number. */
const struct kernels *const *kernels_all(size_t *count);

/* Whether this processor (and operating system) can run the set. */
bool kernels_available(const struct kernels *kernels);

/*
 * The set of that name, NULL or "": $LCKV_CPU, and if that is not set the best available one.
 * LCKV_UNSUPPORTED, with the names of those that would do, if it is unknown or cannot run here.
 */
lckv_status kernels_choose(const char *name, const struct kernels **kernels);

/* The product for a matrix, by its type and the precision. */
multiply_function kernels_multiply(const struct kernels *kernels, lckv_dtype dtype, bool fast);

/* Whether products of this type read 8-bit activations in fast precision. */
bool kernels_quantizes(const struct kernels *kernels, lckv_dtype dtype);

#endif
