/*
 * Template: what the other templates share. It forces inlining and unrolling, fetches memory ahead,
 * and cuts work into tiles and into parts that the caches hold.
 */
#include "kernels/kernels.h"

/* Sanitizers check every access: with all inlined and unrolled, that takes minutes to compile. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define INLINE static inline
#undef UNROLL
#define UNROLL
#else
#define INLINE static inline __attribute__((always_inline))
#endif

#if defined(UNROLL) /* the set's header says how */
#elif defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

/*
 * Weights are read from one end to the other, by tiles of `n_rows` (a constant) rows. A tile of
 * more rows computes longer on each cache line and needs more lines at hand. Lines come into the
 * second-level cache first, and into the small first-level cache shortly before their use.
 */
#define PREFETCH_BYTES(n_rows) (6144 + 512 * (n_rows))
#define PREFETCH_NEAR_BYTES 1024

INLINE void prefetch_ahead(const uint8_t *now, size_t n_rows)
{
    __builtin_prefetch(now + PREFETCH_BYTES(n_rows), 0, 2);
    __builtin_prefetch(now + PREFETCH_NEAR_BYTES);
}

/* Floats take less time for each byte, so one distance is enough. */
#define PREFETCH_FLOATS_BYTES(n_rows) (2048 + 256 * (n_rows))

INLINE void prefetch_floats_ahead(const uint8_t *now, size_t n_rows)
{
    __builtin_prefetch(now + PREFETCH_FLOATS_BYTES(n_rows));
}

/*
 * Runs `tile` for rows `m` to `n`. It takes `rows` of them at a time, a constant, so that compilers
 * unroll: TILE_ROWS (4 or 8) while there are as many, and then all that are left at once, because
 * every tile reads the weights again.
 */
#define FOR_TILES(m, n, tile)                            \
    do {                                                 \
        for (; (m) + TILE_ROWS <= (n); (m) += TILE_ROWS) \
            TILE_OF(TILE_ROWS, tile)                     \
        switch ((n) - (m)) {                             \
            CASES_TO_7(tile)                             \
            TILE_CASE(3, tile)                           \
            TILE_CASE(2, tile)                           \
            TILE_CASE(1, tile)                           \
        }                                                \
        (m) = (n);                                       \
    } while (0)

#define TILE_OF(number, tile)     \
    {                             \
        enum { rows = (number) }; \
        tile;                     \
    }

#define TILE_CASE(number, tile) \
    case number:                \
        TILE_OF(number, tile);  \
        break;

#if TILE_ROWS == 8
#define CASES_TO_7(tile) TILE_CASE(7, tile) TILE_CASE(6, tile) TILE_CASE(5, tile) TILE_CASE(4, tile)
#else
#define CASES_TO_7(tile)
#endif

/* The rows of activations, and of weights, that the second-level cache holds at once. */
#define ROWS_AT_ONCE 128
#define WEIGHT_ROWS_AT_ONCE (8 * LANES)

/* Computes a product in parts of that size; `part` is a constant. */
INLINE void multiply_in_parts(multiply_function part, const struct matrix *matrix,
                              const struct activations *x, size_t begin, size_t end, float *out,
                              size_t stride)
{
    if (x->n_rows <= ROWS_AT_ONCE) {
        part(matrix, x, begin, end, out, stride);
        return;
    }
    for (size_t n = begin; n < end; n += WEIGHT_ROWS_AT_ONCE) {
        size_t last = end - n < WEIGHT_ROWS_AT_ONCE ? end : n + WEIGHT_ROWS_AT_ONCE;
        for (size_t m = 0; m < x->n_rows; m += ROWS_AT_ONCE) {
            size_t n_rows = x->n_rows - m < ROWS_AT_ONCE ? x->n_rows - m : ROWS_AT_ONCE;
            struct activations rows = activations_rows(x, m, n_rows);
            part(matrix, &rows, n, last, out + m * stride + (n - begin), stride);
        }
    }
}

/* Defines product `kind` for one type: kind_multiply(), the template for all types, in parts. */
#define DEFINE_MULTIPLY(kind, name, dtype)                                                       \
    static void kind##_part_##name(const struct matrix *matrix, const struct activations *x,     \
                                   size_t begin, size_t end, float *out, size_t stride)          \
    {                                                                                            \
        kind##_multiply(dtype, matrix, x, begin, end, out, stride);                              \
    }                                                                                            \
    static void kind##_multiply_##name(const struct matrix *matrix, const struct activations *x, \
                                       size_t begin, size_t end, float *out, size_t stride)      \
    {                                                                                            \
        multiply_in_parts(kind##_part_##name, matrix, x, begin, end, out, stride);               \
    }
