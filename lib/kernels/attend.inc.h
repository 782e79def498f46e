/*
 * Template: attention of a few queries over one KV head, for a set's vectors.
 *
 * Positions are taken in tiles of 128 and segments of 512 at absolute multiples. A running softmax
 * goes through the tiles of a segment; the results of the segments are merged in order. A query's
 * sums run over positions in ascending order and skip only what its span leaves out, so they do not
 * depend on the other queries of the call. Sub-tiles before the first span and behind the last are
 * not touched: their pages may be gone.
 *
 * Keys and values become floats once for all queries. Where the set has HAS_DOT_BF16 there is
 * another form, `paired`, for fast precision: bfloat16 keys and values as they stand, times queries
 * and probabilities that are rounded to bfloat16, two columns or positions in one instruction.
 */
#include "kernels/kv.h"

#define ATTEND_VECTORS 2 /* of positions that are scored beside each other: a sub-tile at least */

/* Where a query stands: the running maximum, sum of exponentials and weighted sum of values. */
struct attend_state {
    float largest, sum;
    float *values; /* [attend_head_floats(head_dim)] */
};

/* Of the job's scratch. */
struct attend_scratch {
    float *scores; /* [KV_MAX_QUERIES][KV_TILE]: then probabilities */
    float *floats; /* [2][KV_SUBTILE][attend_head_floats(head_dim)]: keys of two sub-tiles, or the
                    * values of one */
    float *paired_queries; /* [KV_MAX_QUERIES][head_dim / 2] pairs */
    struct attend_state segment[KV_MAX_QUERIES], total[KV_MAX_QUERIES];
};

static const uint8_t *attend_keys(const struct attend_job *job, uint64_t position)
{
    const struct kv_layout *layout = job->layout;
    const uint8_t *page = job->pages[position / layout->page_positions - job->first_page];
    size_t in_page = position % layout->page_positions;
    return page + job->kv_head * layout->head_bytes +
           in_page * layout->head_dim * layout->element_bytes;
}

static const uint8_t *attend_values(const struct attend_job *job, uint64_t position)
{
    return attend_keys(job, position) + job->layout->head_bytes / 2;
}

/* A sub-tile's keys, or its values, that will be read soon. */
static void attend_prefetch(const struct kv_layout *layout, const uint8_t *at)
{
    for (size_t i = 0; i < KV_SUBTILE * layout->head_dim * layout->element_bytes; i += 64)
        __builtin_prefetch(at + i);
}

/* A sub-tile's keys as floats [head_dim][KV_SUBTILE]: in place for f32, otherwise in `buffer`. */
INLINE const float *keys_as_floats(lckv_dtype dtype, const uint8_t *bytes, size_t head_dim,
                                   float *buffer)
{
    size_t n = head_dim * KV_SUBTILE;
    if (dtype == LCKV_DTYPE_F32)
        return (const float *)(const void *)bytes;
    if (dtype == LCKV_DTYPE_F16) {
        for (size_t i = 0; i < n; i += LANES)
            v_store(buffer + i, v_load_f16(bytes + 2 * i));
        return buffer;
    }
    for (size_t d = 0; d < head_dim; d += 2) {
        for (size_t i = 0; i < KV_SUBTILE; i += LANES) {
            vb both = vb_load(bytes + (d / 2 * KV_SUBTILE + i) * 4);
            v_store(buffer + d * KV_SUBTILE + i, v_from_bf16(both, 0));
            v_store(buffer + (d + 1) * KV_SUBTILE + i, v_from_bf16(both, 1));
        }
    }
    return buffer;
}

/* A sub-tile's values as floats [KV_SUBTILE][stride], in place for f32. */
INLINE const float *values_as_floats(lckv_dtype dtype, const uint8_t *bytes, size_t head_dim,
                                     float *buffer, size_t *stride)
{
    size_t n_floats = attend_head_floats(head_dim);
    *stride = dtype == LCKV_DTYPE_F32 ? head_dim : n_floats;
    if (dtype == LCKV_DTYPE_F32)
        return (const float *)(const void *)bytes;
    for (size_t p = 0; p < KV_SUBTILE; p += 2) {
        for (size_t d = 0; d < n_floats; d += LANES) {
            float *even = buffer + p * n_floats + d, *odd = even + n_floats;
            if (dtype == LCKV_DTYPE_F16) {
                v_store(even, v_load_f16(bytes + (p * head_dim + d) * 2));
                v_store(odd, v_load_f16(bytes + ((p + 1) * head_dim + d) * 2));
            } else {
                vb both = vb_load(bytes + (p / 2 * head_dim + d) * 4);
                v_store(even, v_from_bf16(both, 0));
                v_store(odd, v_from_bf16(both, 1));
            }
        }
    }
    return buffer;
}

/*
 * Scores of `n` queries for `n_vectors` vectors of positions, whose keys are [head_dim][KV_SUBTILE]
 * each (both constants).
 */
INLINE void score_queries(const float *const *keys, size_t n_vectors, const float *const *queries,
                          size_t n, size_t head_dim, float *scores)
{
    vf sums[TILE_ROWS][ATTEND_VECTORS];
    UNROLL for (size_t j = 0; j < n; j++)
    {
        UNROLL for (size_t v = 0; v < n_vectors; v++) sums[j][v] = v_set(0);
    }
    for (size_t d = 0; d < head_dim; d++) {
        vf k[ATTEND_VECTORS];
        UNROLL for (size_t v = 0; v < n_vectors; v++) k[v] = v_load(keys[v] + d * KV_SUBTILE);
        UNROLL for (size_t j = 0; j < n; j++)
        {
            vf query = v_set(queries[j][d]);
            UNROLL for (size_t v = 0; v < n_vectors; v++) sums[j][v] =
                v_fma(k[v], query, sums[j][v]);
        }
    }
    UNROLL for (size_t j = 0; j < n; j++)
    {
        UNROLL for (size_t v = 0; v < n_vectors; v++)
            v_store(scores + j * KV_TILE + v * LANES, sums[j][v]);
    }
}

/* Adds probability times value for the positions of a sub-tile, two vectors of values at a time. */
INLINE void add_values(const float *values, size_t stride, size_t n_floats, const float *scores,
                       struct attend_state *states, size_t n)
{
    for (size_t d = 0; d < n_floats; d += 2 * LANES) {
        vf sums[TILE_ROWS][2];
        UNROLL for (size_t j = 0; j < n; j++)
        {
            sums[j][0] = v_load(states[j].values + d);
            sums[j][1] = v_load(states[j].values + d + LANES);
        }
        for (size_t p = 0; p < KV_SUBTILE; p++) {
            vf first = v_load(values + p * stride + d),
               second = v_load(values + p * stride + d + LANES);
            UNROLL for (size_t j = 0; j < n; j++)
            {
                vf probability = v_set(scores[j * KV_TILE + p]);
                sums[j][0] = v_fma(probability, first, sums[j][0]);
                sums[j][1] = v_fma(probability, second, sums[j][1]);
            }
        }
        UNROLL for (size_t j = 0; j < n; j++)
        {
            v_store(states[j].values + d, sums[j][0]);
            v_store(states[j].values + d + LANES, sums[j][1]);
        }
    }
}

#ifdef HAS_DOT_BF16
_Static_assert(LANES == KV_SUBTILE, "a vector of pairs is a sub-tile");

/* score_queries with pairs of columns: keys are [head_dim / 2][KV_SUBTILE][2]. */
INLINE void score_pairs(const uint8_t *const *keys, size_t n_vectors, const float *queries,
                        size_t n, size_t n_pairs, float *scores)
{
    vf sums[TILE_ROWS][ATTEND_VECTORS];
    UNROLL for (size_t j = 0; j < n; j++)
    {
        UNROLL for (size_t v = 0; v < n_vectors; v++) sums[j][v] = v_set(0);
    }
    for (size_t i = 0; i < n_pairs; i++) {
        vb k[ATTEND_VECTORS];
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

/* add_values with pairs of positions: values are [KV_SUBTILE / 2][head_dim][2]. */
INLINE void add_value_pairs(const uint8_t *values, size_t head_dim, const float *probabilities,
                            struct attend_state *states, size_t n)
{
    for (size_t d = 0; d < head_dim; d += 2 * LANES) {
        vf sums[TILE_ROWS][2];
        UNROLL for (size_t j = 0; j < n; j++)
        {
            sums[j][0] = v_load(states[j].values + d);
            sums[j][1] = v_load(states[j].values + d + LANES);
        }
        for (size_t p = 0; p < KV_SUBTILE / 2; p++) {
            const uint8_t *at = values + (p * head_dim + d) * 4;
            vb first = vb_load(at), second = vb_load(at + 4 * LANES);
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
#endif

/* Scores of all queries for `n_vectors` (a constant) vectors of positions from `position` on. */
INLINE void score_positions(lckv_dtype dtype, bool paired, const struct attend_job *job,
                            struct attend_scratch *scratch, uint64_t position, size_t n_vectors,
                            float *scores)
{
    size_t head_dim = job->layout->head_dim, n = job->n_queries, j = 0;
    const uint8_t *bytes[ATTEND_VECTORS];
    const float *keys[ATTEND_VECTORS];
    UNROLL for (size_t v = 0; v < n_vectors; v++)
    {
        size_t in_subtile = v * LANES % KV_SUBTILE, subtile = v * LANES / KV_SUBTILE;
        if (in_subtile == 0) {
            bytes[v] = attend_keys(job, position + v * LANES);
            attend_prefetch(job->layout, bytes[v] + job->layout->head_bytes / 2);
            if (!paired)
                keys[v] = keys_as_floats(dtype, bytes[v], head_dim,
                                         scratch->floats + subtile * KV_SUBTILE * head_dim);
        } else {
            keys[v] = keys[v - 1] + LANES;
        }
    }
#ifdef HAS_DOT_BF16
    if (paired) {
        FOR_TILES(TILE_ROWS, j, n,
                  score_pairs(bytes, n_vectors, scratch->paired_queries + j * head_dim / 2, rows,
                              head_dim / 2, scores + j * KV_TILE));
        return;
    }
#endif
    FOR_TILES(
        TILE_ROWS, j, n,
        score_queries(keys, n_vectors, job->queries + j, rows, head_dim, scores + j * KV_TILE));
}

/*
 * Turns a query's scores of a tile into probabilities relative to the running maximum and rescales
 * what it has so far. Positions [from, to) of the tile count.
 */
INLINE void softmax_tile(bool paired, float *scores, size_t from, size_t to,
                         struct attend_state *state, size_t n_floats)
{
    for (size_t p = 0; p < from; p++)
        scores[p] = -INFINITY;
    for (size_t p = to; p < KV_TILE; p++)
        scores[p] = -INFINITY;
    vf largest = v_load(scores);
    for (size_t p = LANES; p < KV_TILE; p += LANES)
        largest = v_max(largest, v_load(scores + p));
    float now = v_largest(largest) > state->largest ? v_largest(largest) : state->largest;
    vf sum = v_set(0);
    for (size_t p = 0; p < KV_TILE; p += LANES) {
        vf e = v_exp(v_sub(v_load(scores + p), v_set(now)));
        sum = v_add(sum, e);
        if (paired) /* in place: behind what is yet to be read */
            v_store_bf16((uint16_t *)(void *)scores + p, e);
        else
            v_store(scores + p, e);
    }
    float scale = exp_one(state->largest - now);
    state->sum = state->sum * scale + v_sum(sum);
    state->largest = now;
    for (size_t d = 0; d < n_floats; d += LANES)
        v_store(state->values + d, v_mul(v_load(state->values + d), v_set(scale)));
}

/* Adds what the values of a sub-tile give, whose first position is `in_tile` of the tile. */
INLINE void add_subtile(lckv_dtype dtype, bool paired, const struct attend_job *job,
                        struct attend_scratch *scratch, uint64_t position, size_t in_tile)
{
    size_t head_dim = job->layout->head_dim, n = job->n_queries, j = 0, stride;
    const uint8_t *bytes = attend_values(job, position);
#ifdef HAS_DOT_BF16
    if (paired) {
        const float *pairs = scratch->scores + in_tile / 2;
        FOR_TILES(
            TILE_ROWS, j, n,
            add_value_pairs(bytes, head_dim, pairs + j * KV_TILE, scratch->segment + j, rows));
        return;
    }
#endif
    (void)paired; /* of sets without that form */
    const float *scores = scratch->scores + in_tile;
    const float *values = values_as_floats(dtype, bytes, head_dim, scratch->floats, &stride);
    FOR_TILES(TILE_ROWS, j, n,
              add_values(values, stride, attend_head_floats(head_dim), scores + j * KV_TILE,
                         scratch->segment + j, rows));
}

/* A segment's result into the query's total; nothing if the query attends to none of it. */
static void merge_segment(struct attend_state *total, const struct attend_state *segment,
                          size_t n_floats)
{
    if (!(segment->sum > 0))
        return;
    float largest = segment->largest > total->largest ? segment->largest : total->largest;
    float old = exp_one(total->largest - largest), new = exp_one(segment->largest - largest);
    total->largest = largest;
    total->sum = total->sum * old + segment->sum * new;
    for (size_t d = 0; d < n_floats; d += LANES)
        v_store(total->values + d, v_add(v_mul(v_load(total->values + d), v_set(old)),
                                         v_mul(v_load(segment->values + d), v_set(new))));
}

static void clear_states(struct attend_state *states, size_t n, size_t n_floats)
{
    for (size_t j = 0; j < n; j++) {
        states[j].largest = -INFINITY;
        states[j].sum = 0;
        memset(states[j].values, 0, n_floats * sizeof(float));
    }
}

static uint64_t clip(uint64_t x, uint64_t low, uint64_t high)
{
    return x < low ? low : x > high ? high : x;
}

INLINE void attend_tile(lckv_dtype dtype, bool paired, const struct attend_job *job,
                        struct attend_scratch *scratch, uint64_t tile, uint64_t begin, uint64_t end)
{
    uint64_t first = clip(begin, tile, tile + KV_TILE) / KV_SUBTILE * KV_SUBTILE;
    uint64_t last = clip(end, tile, tile + KV_TILE), p = first;
    const uint64_t step = (uint64_t)ATTEND_VECTORS * LANES;
    for (; p + step <= (last + KV_SUBTILE - 1) / KV_SUBTILE * KV_SUBTILE; p += step)
        score_positions(dtype, paired, job, scratch, p, ATTEND_VECTORS,
                        scratch->scores + (p - tile));
    for (; p < last; p += KV_SUBTILE)
        score_positions(dtype, paired, job, scratch, p, KV_SUBTILE / LANES,
                        scratch->scores + (p - tile));
    size_t n_floats = attend_head_floats(job->layout->head_dim);
    for (size_t j = 0; j < job->n_queries; j++) {
        uint64_t from = clip(job->begin[j], tile, tile + KV_TILE);
        uint64_t to = clip(job->end[j], tile, tile + KV_TILE);
        float *scores = scratch->scores + j * KV_TILE;
        if (from < to)
            softmax_tile(paired, scores, from - tile, to - tile, &scratch->segment[j], n_floats);
        else
            memset(scores, 0, KV_TILE * sizeof *scores);
    }
    for (p = first; p < last; p += KV_SUBTILE) {
        if (p + KV_TILE < end)
            attend_prefetch(job->layout, attend_keys(job, p + KV_TILE));
        add_subtile(dtype, paired, job, scratch, p, (size_t)(p - tile));
    }
}

/* The parts of the scratch, as attend_scratch_floats counts them. */
static void attend_begin(const struct attend_job *job, struct attend_scratch *scratch)
{
    size_t head_dim = job->layout->head_dim, n_floats = attend_head_floats(head_dim);
    scratch->scores = job->scratch;
    scratch->floats = scratch->scores + KV_MAX_QUERIES * KV_TILE;
    scratch->paired_queries = scratch->floats + 2 * KV_SUBTILE * n_floats;
    float *values = scratch->paired_queries + KV_MAX_QUERIES * n_floats / 2;
    for (size_t j = 0; j < job->n_queries; j++) {
        scratch->segment[j].values = values + 2 * j * n_floats;
        scratch->total[j].values = values + (2 * j + 1) * n_floats;
    }
    clear_states(scratch->total, job->n_queries, n_floats);
}

/* A query as bfloat16, behind each other: pairs of columns. */
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

INLINE void attend(lckv_dtype dtype, bool paired, const struct attend_job *job)
{
    size_t n = job->n_queries, head_dim = job->layout->head_dim;
    size_t n_floats = attend_head_floats(head_dim);
    struct attend_scratch scratch;
    uint64_t begin = UINT64_MAX, end = 0;
    attend_begin(job, &scratch);
    for (size_t j = 0; j < n; j++) {
        if (paired)
            pair_query(job->queries[j], head_dim, scratch.paired_queries + j * head_dim / 2);
        if (job->begin[j] < job->end[j]) {
            begin = job->begin[j] < begin ? job->begin[j] : begin;
            end = job->end[j] > end ? job->end[j] : end;
        }
    }
    for (uint64_t segment = begin / KV_SEGMENT * KV_SEGMENT; segment < end; segment += KV_SEGMENT) {
        clear_states(scratch.segment, n, n_floats);
        for (uint64_t tile = segment; tile < segment + KV_SEGMENT && tile < end; tile += KV_TILE) {
            if (tile + KV_TILE > begin)
                attend_tile(dtype, paired, job, &scratch, tile, begin, end);
        }
        for (size_t j = 0; j < n; j++)
            merge_segment(&scratch.total[j], &scratch.segment[j], n_floats);
    }
    for (size_t j = 0; j < n; j++) {
        const struct attend_state *total = &scratch.total[j];
        float inverse = total->sum > 0 ? 1.0f / total->sum : 0;
        for (size_t d = 0; d < head_dim; d++)
            job->out[j][d] = total->sum > 0 ? total->values[d] * inverse : 0;
    }
}

#define DEFINE_ATTEND(name, dtype, paired)                  \
    static void attend_##name(const struct attend_job *job) \
    {                                                       \
        attend(dtype, paired, job);                         \
    }

DEFINE_ATTEND(f32, LCKV_DTYPE_F32, false)
DEFINE_ATTEND(f16, LCKV_DTYPE_F16, false)
DEFINE_ATTEND(bf16, LCKV_DTYPE_BF16, false)
#ifdef HAS_DOT_BF16
DEFINE_ATTEND(bf16_paired, LCKV_DTYPE_BF16, true)
#endif
