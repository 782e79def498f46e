/*
 * Template: the two products of attention, queries by keys and probabilities by values, for a few
 * queries and positions.
 */
#include "kernels/kv.h"

#define ATTEND_VECTORS 2 /* of positions that are scored together: at least a sub-tile */

/* Bytes from one column (of values) or position (of keys) to the next: bf16 stands in pairs. */
INLINE size_t type_pitch(enum kv_type type)
{
    return type == KV_F16 ? 2 : 4;
}

/* The state of a query: running maximum, sum of exponentials and weighted sum of values. */
struct attend_state {
    float largest, sum;
    float *values; /* [attend_head_floats(head_dim)] */
};

/* Consecutive cache lines. */
struct lines {
    const uint8_t *at;
    size_t n;
};

/*
 * What a product fetches into the second-level cache on the way, a share with each step: if it
 * asked for all at once, it would wait, since a core can have only few lines on their way.
 */
struct fetch {
    const uint8_t *ahead[ATTEND_VECTORS]; /* what is attended to soon */
    size_t n_bytes;                       /* from each of `ahead` with each step */
    struct lines next;                    /* what is read after attention, a line with each step */
};

/* Fetches with the first tile of queries only. */
INLINE struct fetch fetch_once(struct fetch fetch, size_t j)
{
    return j == 0 ? fetch : (struct fetch){.n_bytes = 0};
}

/* Fetches the share of one step, from the first `n_ahead` of `ahead`. */
INLINE void fetch_step(const struct fetch *fetch, size_t n_ahead, size_t step)
{
    UNROLL for (size_t v = 0; v < n_ahead; v++)
    {
        for (size_t i = 0; i < fetch->n_bytes; i += 64)
            __builtin_prefetch(fetch->ahead[v] + step * fetch->n_bytes + i, 0, 2);
    }
    if (step < fetch->next.n)
        __builtin_prefetch(fetch->next.at + 64 * step, 0, 2);
}

/*
 * Loads two neighbouring vectors as floats: vector `i` (even) and the next, of an array whose
 * vectors are `distance` elements apart.
 */
INLINE void load_two(enum kv_type type, const uint8_t *bytes, size_t i, size_t distance, vf two[2])
{
    if (type == KV_F32) {
        const float *floats = (const float *)(const void *)bytes;
        two[0] = v_load(floats + i * distance);
        two[1] = v_load(floats + (i + 1) * distance);
    } else if (type == KV_F16) {
        two[0] = v_load_f16(bytes + 2 * i * distance);
        two[1] = v_load_f16(bytes + 2 * (i + 1) * distance);
    } else {
        vb both = vb_load(bytes + 2 * i * distance);
        two[0] = v_from_bf16(both, 0);
        two[1] = v_from_bf16(both, 1);
    }
}

/* Turns the keys of a sub-tile into floats [head_dim][KV_SUBTILE]. */
INLINE void keys_to_floats(enum kv_type type, const uint8_t *bytes, size_t head_dim, float *floats)
{
    for (size_t d = 0; d < head_dim; d += 2) {
        for (size_t i = 0; i < KV_SUBTILE; i += LANES) {
            vf two[2];
            load_two(type, bytes + i * type_pitch(type), d, KV_SUBTILE, two);
            v_store(floats + d * KV_SUBTILE + i, two[0]);
            v_store(floats + (d + 1) * KV_SUBTILE + i, two[1]);
        }
    }
}

/* Turns the values of `n` positions into floats [n][n_floats]. */
INLINE void values_to_floats(enum kv_type type, const uint8_t *bytes, size_t n, size_t head_dim,
                             size_t n_floats, float *floats)
{
    for (size_t p = 0; p < n; p += 2) {
        for (size_t d = 0; d < n_floats; d += LANES) {
            vf two[2];
            load_two(type, bytes + d * type_pitch(type), p, head_dim, two);
            v_store(floats + p * n_floats + d, two[0]);
            v_store(floats + (p + 1) * n_floats + d, two[1]);
        }
    }
}

/*
 * Scores `n` queries for `n_vectors` vectors of positions, whose keys are [head_dim][KV_SUBTILE] of
 * type `type` (all three are constants). There is a step of `fetch` for every two columns.
 */
INLINE void score_queries(enum kv_type type, const uint8_t *const *keys, size_t n_vectors,
                          const float *const *queries, size_t n, size_t head_dim,
                          struct fetch fetch, float *scores)
{
    vf sums[TILE_ROWS][ATTEND_VECTORS];
    UNROLL for (size_t j = 0; j < n; j++)
    {
        UNROLL for (size_t v = 0; v < n_vectors; v++) sums[j][v] = v_set(0);
    }
    for (size_t d = 0; d < head_dim; d += 2) {
        vf k[ATTEND_VECTORS][2];
        fetch_step(&fetch, n_vectors * LANES / KV_SUBTILE, d / 2);
        UNROLL for (size_t v = 0; v < n_vectors; v++) load_two(type, keys[v], d, KV_SUBTILE, k[v]);
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
 * Adds probability times value for `n_positions` positions, two vectors of values at a time. The
 * values of the positions are `distance` elements of `type` apart. There is a step of `fetch` for
 * every two positions.
 */
INLINE void add_values(enum kv_type type, const uint8_t *values, size_t n_positions,
                       size_t distance, size_t n_floats, const float *scores,
                       struct attend_state *states, size_t n, struct fetch fetch)
{
    size_t step = 0;
    for (size_t d = 0; d < n_floats; d += 2 * LANES) {
        vf sums[TILE_ROWS][2];
        UNROLL for (size_t j = 0; j < n; j++)
        {
            sums[j][0] = v_load(states[j].values + d);
            sums[j][1] = v_load(states[j].values + d + LANES);
        }
        for (size_t p = 0; p < n_positions; p += 2) {
            vf first[2], second[2];
            fetch_step(&fetch, 1, step++);
            load_two(type, values + d * type_pitch(type), p, distance, first);
            load_two(type, values + (d + LANES) * type_pitch(type), p, distance, second);
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
