/*
 * Template: the two products of attention, queries by keys and probabilities by values, for a few
 * queries and positions.
 */
#include "kernels/kv.h"

#define ATTEND_VECTORS 2 /* of positions that are scored beside each other: a sub-tile at least */

INLINE size_t element_bytes(lckv_dtype dtype)
{
    return dtype == LCKV_DTYPE_F32 ? 4 : 2;
}

/* Bytes from one column (of values) or position (of keys) to the next: bf16 stands in pairs. */
INLINE size_t dtype_pitch(lckv_dtype dtype)
{
    return dtype == LCKV_DTYPE_F16 ? 2 : 4;
}

/* Where a query stands: the running maximum, sum of exponentials and weighted sum of values. */
struct attend_state {
    float largest, sum;
    float *values; /* [attend_head_floats(head_dim)] */
};

/*
 * Fetches `n_bytes` of what will be read soon, into the second-level cache. A step of a product
 * fetches its share: all at once they would wait for the few lines that a core can have on its way.
 */
INLINE void attend_prefetch(const uint8_t *at, size_t n_bytes)
{
    for (size_t i = 0; i < n_bytes; i += 64)
        __builtin_prefetch(at + i, 0, 2);
}

/*
 * Two vectors of neighbours, as floats: vector `i` (even) and the next of an array of vectors that
 * are `distance` elements apart.
 */
INLINE void load_two(lckv_dtype dtype, const uint8_t *bytes, size_t i, size_t distance, vf two[2])
{
    if (dtype == LCKV_DTYPE_F32) {
        const float *floats = (const float *)(const void *)bytes;
        two[0] = v_load(floats + i * distance);
        two[1] = v_load(floats + (i + 1) * distance);
    } else if (dtype == LCKV_DTYPE_F16) {
        two[0] = v_load_f16(bytes + 2 * i * distance);
        two[1] = v_load_f16(bytes + 2 * (i + 1) * distance);
    } else {
        vb both = vb_load(bytes + 2 * i * distance);
        two[0] = v_from_bf16(both, 0);
        two[1] = v_from_bf16(both, 1);
    }
}

/* A sub-tile's keys as floats [head_dim][KV_SUBTILE]. */
INLINE void keys_to_floats(lckv_dtype dtype, const uint8_t *bytes, size_t head_dim, float *floats)
{
    for (size_t d = 0; d < head_dim; d += 2) {
        for (size_t i = 0; i < KV_SUBTILE; i += LANES) {
            vf two[2];
            load_two(dtype, bytes + i * dtype_pitch(dtype), d, KV_SUBTILE, two);
            v_store(floats + d * KV_SUBTILE + i, two[0]);
            v_store(floats + (d + 1) * KV_SUBTILE + i, two[1]);
        }
    }
}

/* The values of `n` positions as floats [n][n_floats]. */
INLINE void values_to_floats(lckv_dtype dtype, const uint8_t *bytes, size_t n, size_t head_dim,
                             size_t n_floats, float *floats)
{
    for (size_t p = 0; p < n; p += 2) {
        for (size_t d = 0; d < n_floats; d += LANES) {
            vf two[2];
            load_two(dtype, bytes + d * dtype_pitch(dtype), p, head_dim, two);
            v_store(floats + p * n_floats + d, two[0]);
            v_store(floats + (p + 1) * n_floats + d, two[1]);
        }
    }
}

/*
 * Scores of `n` queries for `n_vectors` vectors of positions, whose keys are [head_dim][KV_SUBTILE]
 * of `dtype` each (all three constants). Meanwhile `ahead_bytes` for each column are fetched from
 * `ahead` on, one for each sub-tile.
 */
INLINE void score_queries(lckv_dtype dtype, const uint8_t *const *keys, size_t n_vectors,
                          const float *const *queries, size_t n, size_t head_dim,
                          const uint8_t *const *ahead, size_t ahead_bytes, float *scores)
{
    vf sums[TILE_ROWS][ATTEND_VECTORS];
    UNROLL for (size_t j = 0; j < n; j++)
    {
        UNROLL for (size_t v = 0; v < n_vectors; v++) sums[j][v] = v_set(0);
    }
    for (size_t d = 0; d < head_dim; d += 2) {
        vf k[ATTEND_VECTORS][2];
        UNROLL for (size_t v = 0; v < n_vectors; v += KV_SUBTILE / LANES)
            attend_prefetch(ahead[v] + d * ahead_bytes, 2 * ahead_bytes);
        UNROLL for (size_t v = 0; v < n_vectors; v++) load_two(dtype, keys[v], d, KV_SUBTILE, k[v]);
        UNROLL for (size_t i = 0; i < 2; i++)
        {
            UNROLL for (size_t j = 0; j < n; j++)
            {
                vf query = v_set(queries[j][d + i]);
                UNROLL for (size_t v = 0; v < n_vectors; v++) sums[j][v] =
                    v_fma(k[v][i], query, sums[j][v]);
            }
        }
    }
    UNROLL for (size_t j = 0; j < n; j++)
    {
        UNROLL for (size_t v = 0; v < n_vectors; v++)
            v_store(scores + j * KV_TILE + v * LANES, sums[j][v]);
    }
}

/*
 * Adds probability times value for `n_positions` positions, whose values are `distance` elements of
 * `dtype` apart, two vectors of values at a time. Meanwhile `ahead_bytes` are fetched for each two
 * positions.
 */
INLINE void add_values(lckv_dtype dtype, const uint8_t *values, size_t n_positions, size_t distance,
                       size_t n_floats, const float *scores, struct attend_state *states, size_t n,
                       const uint8_t *ahead, size_t ahead_bytes)
{
    for (size_t d = 0; d < n_floats; d += 2 * LANES) {
        vf sums[TILE_ROWS][2];
        UNROLL for (size_t j = 0; j < n; j++)
        {
            sums[j][0] = v_load(states[j].values + d);
            sums[j][1] = v_load(states[j].values + d + LANES);
        }
        for (size_t p = 0; p < n_positions; p += 2) {
            vf first[2], second[2];
            attend_prefetch(ahead, ahead_bytes);
            ahead += ahead_bytes;
            load_two(dtype, values + d * dtype_pitch(dtype), p, distance, first);
            load_two(dtype, values + (d + LANES) * dtype_pitch(dtype), p, distance, second);
            UNROLL for (size_t i = 0; i < 2; i++)
            {
                UNROLL for (size_t j = 0; j < n; j++)
                {
                    vf probability = v_set(scores[j * KV_TILE + p + i]);
                    sums[j][0] = v_fma(probability, first[i], sums[j][0]);
                    sums[j][1] = v_fma(probability, second[i], sums[j][1]);
                }
            }
        }
        UNROLL for (size_t j = 0; j < n; j++)
        {
            v_store(states[j].values + d, sums[j][0]);
            v_store(states[j].values + d + LANES, sums[j][1]);
        }
    }
}
