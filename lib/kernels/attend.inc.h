/*
 * Template: attention of a few queries over one KV head, for a set's vectors.
 *
 * Positions are taken in tiles of 128 and segments of 1024, both at absolute multiples. A running
 * softmax goes through the tiles of a segment. The results of the segments are merged in order,
 * here or, if several threads share them, by attend_merge. A query's sums run over positions in
 * ascending order and skip only what its span leaves out, so they do not depend on the other
 * queries of the call. Sub-tiles before the first span and behind the last are not touched: their
 * pages may be gone.
 *
 * If there are more queries than a tile takes, keys and values become floats once for all of them.
 * `paired` selects the products of x86/attend_bf16.inc.h.
 */
#include "kernels/attend_products.inc.h"

#ifdef HAS_DOT_BF16
#include "kernels/x86/attend_bf16.inc.h"
#endif

/* The parts of the job's scratch. */
struct attend_scratch {
    float *scores; /* [KV_MAX_QUERIES][KV_TILE], which become probabilities */
    float *floats; /* [ATTEND_POSITIONS][attend_head_floats(head_dim)]: values, or the keys of two
                    * sub-tiles */
    float *paired_queries; /* [KV_MAX_QUERIES][head_dim / 2] pairs */
    struct attend_state segment[KV_MAX_QUERIES], total[KV_MAX_QUERIES];
};

static const uint8_t *attend_keys(const struct attend_job *job, uint64_t position)
{
    const struct kv_layout *layout = job->layout;
    size_t id = job->pages[position / layout->page_positions - job->first_page];
    const uint8_t *page = job->base + id * layout->page_bytes;
    size_t in_page = position % layout->page_positions;
    return page + job->kv_head * layout->head_bytes +
           in_page * layout->head_dim * layout->element_bytes;
}

static const uint8_t *attend_values(const struct attend_job *job, uint64_t position)
{
    return attend_keys(job, position) + job->layout->head_bytes / 2;
}

/*
 * Scores all queries for `n_vectors` (a constant) vectors of positions from `position` on.
 * Meanwhile it fetches the values of these positions, and lines of `next`.
 */
INLINE void score_positions(lckv_dtype dtype, bool paired, const struct attend_job *job,
                            struct attend_scratch *scratch, uint64_t position, size_t n_vectors,
                            struct lines next, float *scores)
{
    size_t head_dim = job->layout->head_dim, n = job->n_queries, j = 0;
    struct fetch fetch = {.n_bytes = 2 * KV_SUBTILE * element_bytes(dtype), .next = next};
    const uint8_t *keys[ATTEND_VECTORS];
    bool convert = dtype != LCKV_DTYPE_F32 && !paired && n > TILE_ROWS;
    UNROLL for (size_t v = 0; v < n_vectors; v++)
    {
        size_t in_subtile = v * LANES % KV_SUBTILE, subtile = v * LANES / KV_SUBTILE;
        const uint8_t *first = attend_keys(job, position + subtile * KV_SUBTILE);
        float *floats = scratch->floats + subtile * KV_SUBTILE * head_dim;
        fetch.ahead[subtile] = first + job->layout->head_bytes / 2;
        if (convert && in_subtile == 0)
            keys_to_floats(dtype, first, head_dim, floats);
        keys[v] = convert ? (const uint8_t *)(floats + in_subtile)
                          : first + in_subtile * dtype_pitch(dtype);
    }
#ifdef HAS_DOT_BF16
    if (paired) {
        FOR_TILES(TILE_ROWS, j, n,
                  score_pairs(keys, n_vectors, scratch->paired_queries + j * head_dim / 2, rows,
                              head_dim / 2, fetch_once(fetch, j), scores + j * KV_TILE));
        return;
    }
#endif
    if (convert)
        FOR_TILES(TILE_ROWS, j, n,
                  score_queries(LCKV_DTYPE_F32, keys, n_vectors, job->queries + j, rows, head_dim,
                                fetch_once(fetch, j), scores + j * KV_TILE));
    else
        FOR_TILES(TILE_ROWS, j, n,
                  score_queries(dtype, keys, n_vectors, job->queries + j, rows, head_dim,
                                fetch_once(fetch, j), scores + j * KV_TILE));
}

/*
 * Raises the running maximum to the largest score of a tile. What a query has so far is relative to
 * this maximum, and is rescaled when it grows. Positions outside [from, to) of the tile get
 * -INFINITY.
 */
INLINE void raise_largest(float *scores, size_t from, size_t to, struct attend_state *state,
                          size_t n_floats)
{
    for (size_t p = 0; p < from; p++)
        scores[p] = -INFINITY;
    for (size_t p = to; p < KV_TILE; p++)
        scores[p] = -INFINITY;
    vf lanes = v_load(scores);
    UNROLL for (size_t p = LANES; p < KV_TILE; p += LANES) lanes = v_max(lanes, v_load(scores + p));
    float largest = v_largest(lanes);
    if (!(largest > state->largest))
        return;
    float scale = exp_one(state->largest - largest);
    state->largest = largest;
    state->sum *= scale;
    for (size_t d = 0; d < n_floats; d += LANES)
        v_store(state->values + d, v_mul(v_load(state->values + d), v_set(scale)));
}

/* Turns the scores of a whole tile into probabilities relative to the running maximum. */
INLINE void softmax_tile(bool paired, float *scores, struct attend_state *state)
{
    vf sum = v_set(0);
    UNROLL for (size_t p = 0; p < KV_TILE; p += LANES)
    {
        vf e = v_exp(v_sub(v_load(scores + p), v_set(state->largest)));
        sum = v_add(sum, e);
        if (paired) /* in place: only over scores that have been read */
            v_store_bf16((uint16_t *)(void *)scores + p, e);
        else
            v_store(scores + p, e);
    }
    state->sum += v_sum(sum);
}

/*
 * Adds the values of `n_positions` positions from `position` on, times their probabilities. The
 * first of them is number `in_tile` of the tile. Meanwhile it fetches the keys of as many positions
 * of the next tile, and lines of `next`.
 */
INLINE void add_positions(lckv_dtype dtype, bool paired, const struct attend_job *job,
                          struct attend_scratch *scratch, uint64_t position, size_t n_positions,
                          size_t in_tile, uint64_t end, struct lines next)
{
    size_t head_dim = job->layout->head_dim, n_floats = attend_head_floats(head_dim);
    size_t n = job->n_queries, j = 0;
    const uint8_t *values = attend_values(job, position);
    const struct fetch fetch = {
        .ahead = {attend_keys(job, position + KV_TILE < end ? position + KV_TILE : position)},
        .n_bytes = 4 * LANES * element_bytes(dtype),
        .next = next};
#ifdef HAS_DOT_BF16
    if (paired) {
        const float *pairs = scratch->scores + in_tile / 2;
        FOR_TILES(TILE_ROWS, j, n,
                  add_value_pairs(values, n_positions, head_dim, pairs + j * KV_TILE,
                                  scratch->segment + j, rows, fetch_once(fetch, j)));
        return;
    }
#endif
    (void)paired; /* for sets without that form */
    const float *scores = scratch->scores + in_tile;
    if (dtype == LCKV_DTYPE_F32 || n <= TILE_ROWS) {
        FOR_TILES(TILE_ROWS, j, n,
                  add_values(dtype, values, n_positions, head_dim, n_floats, scores + j * KV_TILE,
                             scratch->segment + j, rows, fetch_once(fetch, j)));
        return;
    }
    values_to_floats(dtype, values, n_positions, head_dim, n_floats, scratch->floats);
    values = (const uint8_t *)scratch->floats;
    FOR_TILES(TILE_ROWS, j, n,
              add_values(LCKV_DTYPE_F32, values, n_positions, n_floats, n_floats,
                         scores + j * KV_TILE, scratch->segment + j, rows, fetch_once(fetch, j)));
}

/* Merges a segment's result into the query's total, unless the query attends to none of it. */
static void merge_segment(struct attend_state *total, const float *values, float segment_largest,
                          float segment_sum, size_t n_floats)
{
    if (segment_sum == 0)
        return;
    float largest = segment_largest > total->largest ? segment_largest : total->largest;
    float old = exp_one(total->largest - largest), new = exp_one(segment_largest - largest);
    total->largest = largest;
    total->sum = total->sum * old + segment_sum * new;
    for (size_t d = 0; d < n_floats; d += LANES)
        v_store(total->values + d, v_add(v_mul(v_load(total->values + d), v_set(old)),
                                         v_mul(v_load(values + d), v_set(new))));
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

/* The lines of the job's `next` that a tile fetches. */
static struct lines tile_next(const struct attend_job *job, uint64_t tile, uint64_t end)
{
    uint64_t later = (end - tile - 1) / KV_TILE * ATTEND_NEXT_BYTES; /* for the tiles behind it */
    if (job->next_bytes <= later)
        return (struct lines){NULL, 0};
    size_t last = job->next_bytes - (size_t)later;
    size_t first = last > ATTEND_NEXT_BYTES ? last - ATTEND_NEXT_BYTES : 0;
    return (struct lines){job->next + first, (last - first) / 64};
}

static struct lines part_of_lines(struct lines lines, size_t first, size_t n)
{
    if (lines.n <= first)
        return (struct lines){NULL, 0};
    return (struct lines){lines.at + 64 * first, n < lines.n - first ? n : lines.n - first};
}

INLINE void attend_tile(lckv_dtype dtype, bool paired, const struct attend_job *job,
                        struct attend_scratch *scratch, uint64_t tile, uint64_t begin, uint64_t end)
{
    uint64_t first = clip(begin, tile, tile + KV_TILE) / KV_SUBTILE * KV_SUBTILE;
    uint64_t last = clip(end, tile, tile + KV_TILE), p = first, n;
    uint64_t beyond = (last + KV_SUBTILE - 1) / KV_SUBTILE * KV_SUBTILE;
    const uint64_t step = (uint64_t)ATTEND_VECTORS * LANES;
    const struct lines next = tile_next(job, tile, end);
    for (; p + step <= beyond; p += step)
        score_positions(dtype, paired, job, scratch, p, ATTEND_VECTORS,
                        part_of_lines(next, p - tile, step), scratch->scores + (p - tile));
    for (; p < last; p += KV_SUBTILE)
        score_positions(dtype, paired, job, scratch, p, KV_SUBTILE / LANES,
                        part_of_lines(next, p - tile, KV_SUBTILE), scratch->scores + (p - tile));
    size_t n_floats = attend_head_floats(job->layout->head_dim);
    for (size_t j = 0; j < job->n_queries; j++) {
        uint64_t from = clip(job->begin[j], tile, tile + KV_TILE);
        uint64_t to = clip(job->end[j], tile, tile + KV_TILE);
        float *scores = scratch->scores + j * KV_TILE;
        if (from < to) {
            raise_largest(scores, from - tile, to - tile, &scratch->segment[j], n_floats);
            softmax_tile(paired, scores, &scratch->segment[j]);
        } else {
            memset(scores, 0, KV_TILE * sizeof *scores);
        }
    }
    for (p = first; p < beyond; p += n) {
        uint64_t in_page = job->layout->page_positions - p % job->layout->page_positions;
        n = beyond - p < in_page ? beyond - p : in_page;
        n = n < ATTEND_POSITIONS ? n : ATTEND_POSITIONS;
        add_positions(dtype, paired, job, scratch, p, (size_t)n, (size_t)(p - tile), end,
                      part_of_lines(next, KV_TILE + (p - tile), n));
    }
}

/* Lays out the scratch, as attend_scratch_floats counts it. */
static void attend_begin(const struct attend_job *job, struct attend_scratch *scratch)
{
    size_t head_dim = job->layout->head_dim, n_floats = attend_head_floats(head_dim);
    scratch->scores = job->scratch;
    scratch->floats = scratch->scores + KV_MAX_QUERIES * KV_TILE;
    scratch->paired_queries = scratch->floats + ATTEND_POSITIONS * n_floats;
    float *values = scratch->paired_queries + KV_MAX_QUERIES * n_floats / 2;
    for (size_t j = 0; j < job->n_queries; j++) {
        scratch->segment[j].values = values + 2 * j * n_floats;
        scratch->total[j].values = values + (2 * j + 1) * n_floats;
    }
    clear_states(scratch->total, job->n_queries, n_floats);
}

static void store_partial(const struct attend_state *state, size_t n_floats, float *part)
{
    memcpy(part, state->values, n_floats * sizeof *part);
    part[n_floats] = state->largest;
    part[n_floats + 1] = state->sum;
}

static void divide(const struct attend_state *total, size_t head_dim, float *out)
{
    float inverse = total->sum == 0 ? 0 : 1.0f / total->sum;
    for (size_t d = 0; d < head_dim; d++)
        out[d] = total->values[d] * inverse;
}

INLINE void attend(lckv_dtype dtype, bool paired, const struct attend_job *job)
{
    size_t n = job->n_queries, head_dim = job->layout->head_dim;
    size_t n_floats = attend_head_floats(head_dim);
    struct attend_scratch scratch;
    uint64_t begin = UINT64_MAX, end = 0;
    attend_begin(job, &scratch);
    for (size_t j = 0; j < n; j++) {
#ifdef HAS_DOT_BF16
        if (paired)
            pair_query(job->queries[j], head_dim, scratch.paired_queries + j * head_dim / 2);
#endif
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
            merge_segment(&scratch.total[j], scratch.segment[j].values, scratch.segment[j].largest,
                          scratch.segment[j].sum, n_floats);
    }
    for (size_t j = 0; j < n; j++) {
        if (job->partials)
            store_partial(&scratch.total[j], n_floats, job->out[j]);
        else
            divide(&scratch.total[j], head_dim, job->out[j]);
    }
}

static void attend_merge(const float *partials, size_t n_partials, size_t head_dim, float *scratch,
                         float *out)
{
    size_t n_floats = attend_head_floats(head_dim);
    struct attend_state total = {.values = scratch};
    clear_states(&total, 1, n_floats);
    for (size_t i = 0; i < n_partials; i++) {
        const float *part = partials + i * attend_partial_floats(head_dim);
        merge_segment(&total, part, part[n_floats], part[n_floats + 1], n_floats);
    }
    divide(&total, head_dim, out);
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
