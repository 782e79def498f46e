/*
 * Template: the products of attention with vdpbf16ps, for fast precision. Keys and values are
 * bfloat16 as they stand; queries and probabilities are rounded to bfloat16. One instruction takes
 * two columns or two positions.
 */
_Static_assert(LANES == KV_SUBTILE, "a vector of pairs is a sub-tile");

/* Does what score_queries does, with pairs of columns: keys are [head_dim / 2][KV_SUBTILE][2]. */
INLINE void score_pairs(const uint8_t *const *keys, size_t n_vectors, const float *queries,
                        size_t n, size_t n_pairs, struct fetch fetch, float *scores)
{
    vf sums[TILE_ROWS][ATTEND_VECTORS];
    UNROLL for (size_t j = 0; j < n; j++)
    {
        UNROLL for (size_t v = 0; v < n_vectors; v++) sums[j][v] = v_set(0);
    }
    for (size_t i = 0; i < n_pairs; i++) {
        vb k[ATTEND_VECTORS];
        fetch_step(&fetch, n_vectors, i);
        UNROLL for (size_t v = 0; v < n_vectors; v++) k[v] = vb_load(keys[v] + i * 4 * KV_SUBTILE);
        UNROLL for (size_t j = 0; j < n; j++)
        {
            vb query = vb_set_pair(queries + j * n_pairs + i);
            UNROLL for (size_t v = 0; v < n_vectors; v++) sums[j][v] =
                v_dot_bf16(sums[j][v], k[v], query);
        }
    }
    UNROLL for (size_t j = 0; j < n; j++)
    {
        UNROLL for (size_t v = 0; v < n_vectors; v++)
            v_store(scores + j * KV_TILE + v * LANES, sums[j][v]);
    }
}

/* Does what add_values does, with pairs of positions: values are [n_positions / 2][head_dim][2]. */
INLINE void add_value_pairs(const uint8_t *values, size_t n_positions, size_t head_dim,
                            const float *probabilities, struct attend_state *states, size_t n,
                            struct fetch fetch)
{
    size_t step = 0;
    for (size_t d = 0; d < head_dim; d += 2 * LANES) {
        vf sums[TILE_ROWS][2];
        UNROLL for (size_t j = 0; j < n; j++)
        {
            sums[j][0] = v_load(states[j].values + d);
            sums[j][1] = v_load(states[j].values + d + LANES);
        }
        for (size_t p = 0; p < n_positions / 2; p++) {
            const uint8_t *at = values + (p * head_dim + d) * 4;
            vb first = vb_load(at), second = vb_load(at + 4 * LANES);
            fetch_step(&fetch, 1, step++);
            UNROLL for (size_t j = 0; j < n; j++)
            {
                vb pair = vb_set_pair(probabilities + j * KV_TILE + p);
                sums[j][0] = v_dot_bf16(sums[j][0], first, pair);
                sums[j][1] = v_dot_bf16(sums[j][1], second, pair);
            }
        }
        UNROLL for (size_t j = 0; j < n; j++)
        {
            v_store(states[j].values + d, sums[j][0]);
            v_store(states[j].values + d + LANES, sums[j][1]);
        }
    }
}

/* Rounds a query to bfloat16. Its neighbouring columns are the pairs. */
static void pair_query(const float *query, size_t head_dim, float *pairs)
{
    for (size_t d = 0; d < head_dim; d += LANES) {
        size_t n = head_dim - d < LANES ? head_dim - d : LANES;
        float floats[LANES] = {0};
        uint16_t halves[LANES];
        memcpy(floats, query + d, n * sizeof *floats);
        v_store_bf16(halves, v_load(floats));
        memcpy((uint16_t *)(void *)pairs + d, halves, n * sizeof *halves);
    }
}
