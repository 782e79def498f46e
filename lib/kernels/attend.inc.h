/*
 * Template: attention of a few queries over one KV head, for a set's vectors.
 *
 * Positions are taken in tiles of 128 and segments of 512 at absolute multiples. A running softmax
 * goes through the tiles of a segment; the results of the segments are merged in order. A query's
 * sums run over positions in ascending order and skip only what its span leaves out, so they do not
 * depend on the other queries of the call. Sub-tiles that no query attends to are not touched:
 * their pages may be gone.
 */
#include "kernels/kv.h"

/* Where a query stands: the running maximum, sum of exponentials and weighted sum of values. */
struct attend_state {
    float largest, sum;
    float *values; /* [attend_head_floats(head_dim)] */
};

struct attend_scratch {
    float *scores; /* [KV_MAX_QUERIES][KV_TILE]: then probabilities */
    float *keys;   /* [head_dim][KV_SUBTILE]: a sub-tile as float32 */
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

/* Scores of one sub-tile for up to ATTEND_ROWS queries; keys are float32 [head_dim][KV_SUBTILE]. */
INLINE void score_queries(const float *keys, const float *const *queries, size_t n, size_t head_dim,
                          float *scores)
{
    vf sums[ATTEND_ROWS][KV_SUBTILE / LANES];
    UNROLL for (size_t j = 0; j < n; j++)
    {
        UNROLL for (size_t v = 0; v < KV_SUBTILE / LANES; v++) sums[j][v] = v_set(0);
    }
    for (size_t d = 0; d < head_dim; d++) {
        UNROLL for (size_t v = 0; v < KV_SUBTILE / LANES; v++)
        {
            vf k = v_load(keys + d * KV_SUBTILE + v * LANES);
            UNROLL for (size_t j = 0; j < n; j++) sums[j][v] =
                v_fma(k, v_set(queries[j][d]), sums[j][v]);
        }
    }
    UNROLL for (size_t j = 0; j < n; j++)
    {
        UNROLL for (size_t v = 0; v < KV_SUBTILE / LANES; v++)
            v_store(scores + j * KV_TILE + v * LANES, sums[j][v]);
    }
}

static void score_subtile(const struct attend_job *job, struct attend_scratch *scratch,
                          uint64_t position, float *scores)
{
    size_t head_dim = job->layout->head_dim;
    const uint8_t *bytes = attend_keys(job, position);
    const float *keys = (const float *)(const void *)bytes;
    if (job->layout->type == KV_F16) {
        for (size_t i = 0; i < head_dim * KV_SUBTILE; i += LANES)
            v_store(scratch->keys + i, v_load_f16(bytes + 2 * i));
        keys = scratch->keys;
    }
    size_t j = 0;
    for (; j + ATTEND_ROWS <= job->n_queries; j += ATTEND_ROWS)
        score_queries(keys, job->queries + j, ATTEND_ROWS, head_dim, scores + j * KV_TILE);
    for (; ATTEND_ROWS > 4 && j + 4 <= job->n_queries; j += 4)
        score_queries(keys, job->queries + j, 4, head_dim, scores + j * KV_TILE);
    for (; j + 2 <= job->n_queries; j += 2)
        score_queries(keys, job->queries + j, 2, head_dim, scores + j * KV_TILE);
    for (; j < job->n_queries; j++)
        score_queries(keys, job->queries + j, 1, head_dim, scores + j * KV_TILE);
}

/*
 * Turns a query's scores of a tile into probabilities relative to the running maximum and rescales
 * what it has so far. Positions [from, to) of the tile count.
 */
static void softmax_tile(float *scores, size_t from, size_t to, struct attend_state *state,
                         size_t n_floats)
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
        v_store(scores + p, e);
        sum = v_add(sum, e);
    }
    float scale = exp_one(state->largest - now);
    state->sum = state->sum * scale + v_sum(sum);
    state->largest = now;
    for (size_t d = 0; d < n_floats; d += LANES)
        v_store(state->values + d, v_mul(v_load(state->values + d), v_set(scale)));
}

/* Adds probability times value for the 16 positions of a sub-tile, two vectors of head_dim at a
 * time. */
INLINE void add_values(lckv_dtype dtype, const uint8_t *bytes, size_t head_dim, const float *scores,
                       struct attend_state *states, size_t n)
{
    size_t n_floats = attend_head_floats(head_dim), element = dtype == LCKV_DTYPE_F16 ? 2 : 4;
    for (size_t d = 0; d < n_floats; d += 2 * LANES) {
        vf sums[ATTEND_ROWS][2];
        UNROLL for (size_t j = 0; j < n; j++)
        {
            sums[j][0] = v_load(states[j].values + d);
            sums[j][1] = v_load(states[j].values + d + LANES);
        }
        for (size_t p = 0; p < KV_SUBTILE; p++) {
            const uint8_t *at = bytes + (p * head_dim + d) * element;
            vf v[2];
            UNROLL for (size_t i = 0; i < 2; i++) v[i] =
                dtype == LCKV_DTYPE_F16 ? v_load_f16(at + i * 2 * LANES)
                                        : v_load((const float *)(const void *)(at + i * 4 * LANES));
            UNROLL for (size_t j = 0; j < n; j++)
            {
                vf probability = v_set(scores[j * KV_TILE + p]);
                sums[j][0] = v_fma(probability, v[0], sums[j][0]);
                sums[j][1] = v_fma(probability, v[1], sums[j][1]);
            }
        }
        UNROLL for (size_t j = 0; j < n; j++)
        {
            v_store(states[j].values + d, sums[j][0]);
            v_store(states[j].values + d + LANES, sums[j][1]);
        }
    }
}

INLINE void add_subtile(lckv_dtype dtype, const struct attend_job *job,
                        struct attend_scratch *scratch, uint64_t position, const float *scores)
{
    size_t head_dim = job->layout->head_dim, j = 0;
    const uint8_t *bytes = attend_values(job, position);
    for (; j + ATTEND_ROWS <= job->n_queries; j += ATTEND_ROWS)
        add_values(dtype, bytes, head_dim, scores + j * KV_TILE, scratch->segment + j, ATTEND_ROWS);
    for (; ATTEND_ROWS > 4 && j + 4 <= job->n_queries; j += 4)
        add_values(dtype, bytes, head_dim, scores + j * KV_TILE, scratch->segment + j, 4);
    for (; j + 2 <= job->n_queries; j += 2)
        add_values(dtype, bytes, head_dim, scores + j * KV_TILE, scratch->segment + j, 2);
    for (; j < job->n_queries; j++)
        add_values(dtype, bytes, head_dim, scores + j * KV_TILE, scratch->segment + j, 1);
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

INLINE void attend_tile(lckv_dtype dtype, const struct attend_job *job,
                        struct attend_scratch *scratch, uint64_t tile, uint64_t begin, uint64_t end)
{
    uint64_t first = clip(begin, tile, tile + KV_TILE) / KV_SUBTILE * KV_SUBTILE;
    uint64_t last = clip(end, tile, tile + KV_TILE);
    for (uint64_t p = first; p < last; p += KV_SUBTILE)
        score_subtile(job, scratch, p, scratch->scores + (p - tile));
    size_t n_floats = attend_head_floats(job->layout->head_dim);
    for (size_t j = 0; j < job->n_queries; j++) {
        uint64_t from = clip(job->begin[j], tile, tile + KV_TILE);
        uint64_t to = clip(job->end[j], tile, tile + KV_TILE);
        float *scores = scratch->scores + j * KV_TILE;
        if (from < to)
            softmax_tile(scores, from - tile, to - tile, &scratch->segment[j], n_floats);
        else
            memset(scores, 0, KV_TILE * sizeof *scores);
    }
    for (uint64_t p = first; p < last; p += KV_SUBTILE)
        add_subtile(dtype, job, scratch, p, scratch->scores + (p - tile));
}

INLINE void attend(lckv_dtype dtype, const struct attend_job *job)
{
    size_t n = job->n_queries, head_dim = job->layout->head_dim;
    size_t n_floats = attend_head_floats(head_dim);
    struct attend_scratch scratch;
    scratch.scores = job->scratch;
    scratch.keys = scratch.scores + KV_MAX_QUERIES * KV_TILE;
    float *values = scratch.keys + head_dim * KV_SUBTILE;
    uint64_t begin = UINT64_MAX, end = 0;
    for (size_t j = 0; j < n; j++) {
        scratch.segment[j].values = values + 2 * j * n_floats;
        scratch.total[j].values = values + (2 * j + 1) * n_floats;
        if (job->begin[j] < job->end[j]) {
            begin = job->begin[j] < begin ? job->begin[j] : begin;
            end = job->end[j] > end ? job->end[j] : end;
        }
    }
    clear_states(scratch.total, n, n_floats);
    for (uint64_t segment = begin / KV_SEGMENT * KV_SEGMENT; segment < end; segment += KV_SEGMENT) {
        clear_states(scratch.segment, n, n_floats);
        for (uint64_t tile = segment; tile < segment + KV_SEGMENT && tile < end; tile += KV_TILE) {
            if (tile + KV_TILE > begin)
                attend_tile(dtype, job, &scratch, tile, begin, end);
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

/* Up to LANES floats as the cache keeps them. */
INLINE void to_kv(lckv_dtype dtype, const float *from, size_t n, uint8_t *to)
{
    float floats[LANES] = {0};
    uint16_t halves[LANES];
    memcpy(floats, from, n * sizeof *from);
    if (dtype == LCKV_DTYPE_F16) {
        v_store_f16(halves, v_load(floats));
        memcpy(to, halves, sizeof halves);
    } else {
        memcpy(to, floats, sizeof floats);
    }
}

/*
 * Stores a head's key and value. The largest half is stored for what lies beyond: a value of
 * infinity would turn 0 x inf into NaN.
 */
INLINE void kv_store(lckv_dtype dtype, const struct kv_layout *layout, uint8_t *page,
                     uint32_t position, uint32_t head, const float *k, const float *v)
{
    size_t head_dim = layout->head_dim, element = dtype == LCKV_DTYPE_F16 ? 2 : 4;
    uint8_t *keys = page + head * layout->head_bytes;
    uint8_t *values = keys + layout->head_bytes / 2 + position * head_dim * element;
    keys += (position / KV_SUBTILE * KV_SUBTILE * head_dim + position % KV_SUBTILE) * element;
    for (size_t d = 0; d < head_dim; d += LANES) {
        size_t n = head_dim - d < LANES ? head_dim - d : LANES;
        uint8_t key[4 * LANES], value[4 * LANES];
        to_kv(dtype, k + d, n, key);
        to_kv(dtype, v + d, n, value);
        for (size_t i = 0; i < n; i++)
            memcpy(keys + (d + i) * KV_SUBTILE * element, key + i * element, element);
        memcpy(values + d * element, value, n * element);
    }
}

static void kv_store_f32(const struct kv_layout *layout, uint8_t *page, uint32_t position,
                         uint32_t head, const float *k, const float *v)
{
    kv_store(LCKV_DTYPE_F32, layout, page, position, head, k, v);
}

static void kv_store_f16(const struct kv_layout *layout, uint8_t *page, uint32_t position,
                         uint32_t head, const float *k, const float *v)
{
    kv_store(LCKV_DTYPE_F16, layout, page, position, head, k, v);
}

static void attend_f32(const struct attend_job *job)
{
    attend(LCKV_DTYPE_F32, job);
}

static void attend_f16(const struct attend_job *job)
{
    attend(LCKV_DTYPE_F16, job);
}
