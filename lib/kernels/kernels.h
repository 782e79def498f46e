/*
 * The operations of a forward pass, once for each kernel set: a constant table of functions.
 *
 * Packed weights are in matrix.h, keys and values in kv.h. Nothing outside this folder touches the
 * bytes of either. Every function is a pure function of its inputs: an element of a result is
 * summed in the same order whatever the number of rows, the tile and the thread.
 */
#ifndef LCKV_KERNELS_KERNELS_H
#define LCKV_KERNELS_KERNELS_H

#include "base/checked.h"
#include "kernels/activations.h"
#include "kernels/kv.h"
#include "kernels/matrix.h"

/*
 * Weight rows [begin, end) times all activation rows. Weight row n goes to out[row * stride + n -
 * begin]. `begin` is a multiple of packed_row_step, and so is `end` unless it is the matrix's; then
 * `out` has room, and may be written, up to the next multiple.
 */
typedef void (*multiply_function)(const struct matrix *matrix, const struct activations *x,
                                  size_t begin, size_t end, float *out, size_t stride);

struct kernels {
    const char *name;
    struct matrix_layout layout;

    multiply_function multiply_full[DTYPE_COUNT]; /* reads float32 activations */
    multiply_function multiply_int8[DTYPE_COUNT]; /* in fast precision; NULL: as full */
    multiply_function multiply_bf16;              /* bfloat16 weights in fast; NULL: as full */

    /* One row of `n` float32 (zeros up to whole blocks) into its panel of INPUT_INT8 or INPUT_BF16;
     * the latter is there if multiply_bf16 is. */
    void (*quantize)(const float *values, size_t n, struct panel_row to);
    void (*round_bf16)(const float *values, size_t n, struct panel_row to);

    void (*rms_norm)(const float *x, const float *weight, float epsilon, size_t n, float *out);
    void (*add)(float *x, const float *y, size_t n);        /* x += y */
    void (*swiglu)(float *gate, const float *up, size_t n); /* gate = silu(gate) * up */
    /* Rotates a head in place, element d paired with d + head_dim / 2, and scales it. */
    void (*rotate)(float *x, const float *cosines, const float *sines, float scale,
                   size_t head_dim);

    kv_store_function kv_store[KV_TYPES]; /* by enum kv_type */
    attend_function attend[KV_TYPES];
    attend_merge_function attend_merge;
    attend_function attend_bf16_fast; /* bfloat16 keys and values in fast; NULL: as full */

    /* The work on the `n` logits of a token, of the same bits in every set. The largest of them,
     * NaN if one is NaN; and exp((logit - top) / temperature), never less than exp(-708). */
    float (*largest)(const float *logits, size_t n);
    void (*weigh)(const float *logits, size_t n, float top, float temperature, double *weights);
};

/* Every set that this build knows, each with more instructions than the one before. */
const struct kernels *const *kernels_all(size_t *count);

/* Whether this processor (and operating system) can run the set. */
CHECKED bool kernels_available(const struct kernels *kernels);

/*
 * The set of that name, NULL or "": $LCKV_CPU, and if that is not set the fastest one here.
 * LCKV_UNSUPPORTED, with the names of those that would do, if it is unknown or cannot run here.
 */
CHECKED lckv_status kernels_choose(const char *name, const struct kernels **kernels);

/* The same without asking whether it can run here, to pack weights for another machine. */
CHECKED lckv_status kernels_find(const char *name, const struct kernels **kernels);

/* For work of the same bits in all sets: as kernels_choose for NULL, or the portable set. */
const struct kernels *kernels_any(void);

/* The product for a matrix, by its type and the precision, and the form of activations it reads. */
multiply_function kernels_multiply(const struct kernels *kernels, lckv_dtype dtype, bool fast);
enum input_form kernels_input(const struct kernels *kernels, lckv_dtype dtype, bool fast);

/* The same choice of attention. */
attend_function kernels_attend(const struct kernels *kernels, enum kv_type type, bool fast);

/*
 * Makes the forms of a row that `x` has room for from its float32 values; of columns
 * [begin, end), whole blocks.
 */
void kernels_prepare(const struct kernels *kernels, const struct activations *x, size_t row,
                     size_t begin, size_t end);

#endif
