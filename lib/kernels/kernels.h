/*
 * A kernel set: a constant table of the functions that a forward pass computes with. Each set is
 * for processors with certain instructions.
 *
 * Only this folder touches the bytes of packed weights (matrix.h) and of keys and values (kv.h).
 * Every function is a pure function of its inputs: it sums an element of a result in the same order
 * whatever the number of rows, the tile and the thread.
 */
#ifndef LCKV_KERNELS_KERNELS_H
#define LCKV_KERNELS_KERNELS_H

#include "base/checked.h"
#include "kernels/activations.h"
#include "kernels/kv.h"
#include "kernels/matrix.h"

/*
 * Multiplies all activation rows by weight rows [begin, end). The result for weight row n goes to
 * out[row * stride + n - begin]. `begin` is a multiple of packed_row_step. So is `end`, unless it
 * is the end of the matrix: then the function may write to `out` up to the next multiple, and `out`
 * must have room for that.
 */
typedef void (*multiply_function)(const struct matrix *matrix, const struct activations *x,
                                  size_t begin, size_t end, float *out, size_t stride);

/* The function that the gates of a feed-forward part go through. */
enum activation {
    ACTIVATION_SILU,
    ACTIVATION_GELU_TANH, /* the approximation of gelu by tanh */
    ACTIVATION_GELU,
    ACTIVATIONS
};

struct kernels {
    const char *name;
    struct matrix_layout layout;

    multiply_function multiply_full[DTYPE_COUNT]; /* reads float32 activations */
    multiply_function multiply_int8[DTYPE_COUNT]; /* in fast precision; if NULL, multiply_full */
    multiply_function multiply_bf16;              /* the same for bfloat16 weights */
    bool in_tiles[DTYPE_COUNT]; /* whether the last two compute many rows in tiles of AMX */

    /*
     * Write one row of `n` float32 (zeros up to whole blocks) into its panel: quantize as
     * INPUT_INT8, round_bf16 as INPUT_BF16. A set that has multiply_bf16 has round_bf16 too.
     */
    void (*quantize)(const float *values, size_t n, struct panel_row to);
    void (*round_bf16)(const float *values, size_t n, struct panel_row to);

    void (*rms_norm)(const float *x, const float *weight, float epsilon, size_t n, float *out);
    void (*add)(float *x, const float *y, size_t n);                   /* x += y */
    void (*gate[ACTIVATIONS])(float *gate, const float *up, size_t n); /* gate = f(gate) * up */
    /* Rotates a head in place, element d paired with d + head_dim / 2, and scales it. */
    void (*rotate)(float *x, const float *cosines, const float *sines, float scale,
                   size_t head_dim);

    kv_store_function kv_store;
    attend_function attend_full, attend_fast; /* in a precision */
    attend_merge_function attend_merge;

    /*
     * Work on the `n` logits of a token, with the same bits in every set. `largest` gives the
     * largest logit, NaN if one is NaN. `weigh` gives exp((logit - top) / temperature) for each
     * logit, but never less than exp(-708).
     */
    float (*largest)(const float *logits, size_t n);
    void (*weigh)(const float *logits, size_t n, float top, float temperature, double *weights);
};

/* Gives every set of this build, each with more instructions than the one before. */
const struct kernels *const *kernels_all(size_t *count);

/* Whether this processor (and operating system) can run the set. */
CHECKED bool kernels_available(const struct kernels *kernels);

/*
 * Finds the set called `name`. If that is NULL or "", it finds the set that $LCKV_CPU names, and if
 * that is not set, the fastest set of this machine. A set that is unknown or cannot run here is
 * LCKV_UNSUPPORTED; the message names the sets that can.
 */
CHECKED lckv_status kernels_choose(const char *name, const struct kernels **kernels);

/* Does the same, but also finds sets that cannot run here, to pack weights for other machines. */
CHECKED lckv_status kernels_find(const char *name, const struct kernels **kernels);

/*
 * A set for work that has the same bits in all sets: what kernels_choose finds for NULL, or the
 * portable set if that fails.
 */
const struct kernels *kernels_any(void);

/* ACTIVATION_GELU in every set: one number after the other. */
void gelu_gate(float *gate, const float *up, size_t n);

/* The product for weights of a type in a precision, and the form of activations that it reads. */
multiply_function kernels_multiply(const struct kernels *kernels, lckv_dtype dtype, bool fast);
enum input_form kernels_input(const struct kernels *kernels, lckv_dtype dtype, bool fast);

/*
 * Fills, from the float32 values of a row, the other forms for which `x` has room, for columns
 * [begin, end). They are whole blocks, or end where the row does: the rest of its last block
 * becomes zeros.
 */
void kernels_prepare(const struct kernels *kernels, const struct activations *x, size_t row,
                     size_t begin, size_t end);

#endif
