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
 * What becomes of keys depends on their type only, and what becomes of values on theirs. So each
 * type has its own functions for a tile, which a call chooses once (attend_tile.inc.h).
 */
#include "kernels/attend_fast.inc.h"

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

static void attend_tile(const struct key_part *keys, const struct value_part *values,
                        const struct attend_job *job, struct attend_scratch *scratch,
                        uint64_t begin, uint64_t end, uint64_t at)
{
    const uint64_t last = clip(end, at, at + KV_TILE);
    const struct attend_tile tile = {.begin = at,
                                     .first =
                                         clip(begin, at, at + KV_TILE) / KV_SUBTILE * KV_SUBTILE,
                                     .beyond = (last + KV_SUBTILE - 1) / KV_SUBTILE * KV_SUBTILE,
                                     .end = end,
                                     .next = tile_next(job, at, end)};
    keys->score(job, scratch, &tile);
    const size_t n_floats = attend_head_floats(job->layout->head_dim);
    for (size_t j = 0; j < job->n_queries; j++) {
        uint64_t from = clip(job->begin[j], at, at + KV_TILE);
        uint64_t to = clip(job->end[j], at, at + KV_TILE);
        float *scores = scratch->scores + j * KV_TILE;
        if (from < to) {
            raise_largest(scores, from - at, to - at, &scratch->segment[j], n_floats);
            if (values->paired)
                softmax_tile(true, scores, &scratch->segment[j]);
            else
                softmax_tile(false, scores, &scratch->segment[j]);
        } else {
            memset(scores, 0, KV_TILE * sizeof *scores);
        }
    }
    values->add(job, scratch, &tile);
}

/* Lays out the scratch, as attend_scratch_floats counts it. */
static void attend_begin(const struct attend_job *job, size_t columns,
                         struct attend_scratch *scratch)
{
    size_t head_dim = job->layout->head_dim, n_floats = attend_head_floats(head_dim);
    scratch->scores = job->scratch;
    scratch->floats = scratch->scores + KV_MAX_QUERIES * KV_TILE;
    scratch->rounded_queries = scratch->floats + ATTEND_POSITIONS * n_floats;
    float *values = scratch->rounded_queries + KV_MAX_QUERIES * n_floats / 2;
    for (size_t j = 0; j < job->n_queries; j++) {
        scratch->segment[j].values = values + 2 * j * n_floats;
        scratch->total[j].values = values + (2 * j + 1) * n_floats;
    }
    clear_states(scratch->total, job->n_queries, n_floats);
    /* A step scores some columns of a sub-tile, or adds two positions of 2 * LANES columns. */
    scratch->values_share = columns * KV_SUBTILE * job->layout->values.row_bytes / head_dim;
    scratch->keys_share = 4 * LANES * job->layout->keys.row_bytes / n_floats;
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

static void attend(const struct key_part *keys, const struct value_part *values,
                   const struct attend_job *job)
{
    size_t n = job->n_queries, head_dim = job->layout->head_dim;
    size_t n_floats = attend_head_floats(head_dim);
    struct attend_scratch scratch;
    uint64_t begin = UINT64_MAX, end = 0;
    attend_begin(job, keys->step_columns, &scratch);
    if (keys->prepare != NULL)
        keys->prepare(job, &scratch);
    for (size_t j = 0; j < n && job->before != NULL; j++) {
        const float *part = job->before + j * attend_partial_floats(head_dim);
        merge_segment(&scratch.total[j], part, part[n_floats], part[n_floats + 1], n_floats);
    }
    for (size_t j = 0; j < n; j++) {
        if (job->begin[j] < job->end[j]) {
            begin = job->begin[j] < begin ? job->begin[j] : begin;
            end = job->end[j] > end ? job->end[j] : end;
        }
    }
    for (uint64_t segment = begin / KV_SEGMENT * KV_SEGMENT; segment < end; segment += KV_SEGMENT) {
        clear_states(scratch.segment, n, n_floats);
        for (uint64_t tile = segment; tile < segment + KV_SEGMENT && tile < end; tile += KV_TILE) {
            if (tile + KV_TILE > begin)
                attend_tile(keys, values, job, &scratch, begin, end, tile);
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

#define FLOAT_KEYS [KV_F32] = {2, NULL, score_f32}, [KV_F16] = {2, NULL, score_f16}
#define FLOAT_VALUES [KV_F32] = {false, add_f32}, [KV_F16] = {false, add_f16}
#define FAST_KEYS \
    [KV_Q8_0] = {4, round_queries, score_q8_0_fast}, [KV_Q4_0] = {4, round_queries, score_q4_0_fast}
#define FAST_VALUES [KV_Q8_0] = {false, add_q8_0_fast}, [KV_Q4_0] = {false, add_q4_0_fast}

static void attend_full(const struct attend_job *job)
{
    static const struct key_part keys[KV_TYPES] = {
        FLOAT_KEYS, [KV_BF16] = {2, NULL, score_bf16}, [KV_Q8_0] = {2, NULL, score_q8_0},
        [KV_Q4_0] = {2, NULL, score_q4_0}};
    static const struct value_part values[KV_TYPES] = {
        FLOAT_VALUES, [KV_BF16] = {false, add_bf16}, [KV_Q8_0] = {false, add_q8_0},
        [KV_Q4_0] = {false, add_q4_0}};
    attend(&keys[job->layout->keys.type], &values[job->layout->values.type], job);
}

static void attend_fast(const struct attend_job *job)
{
    static const struct key_part keys[KV_TYPES] = {FLOAT_KEYS, [KV_BF16] = {2, NULL, score_bf16},
                                                   FAST_KEYS};
    static const struct value_part values[KV_TYPES] = {FLOAT_VALUES, [KV_BF16] = {false, add_bf16},
                                                       FAST_VALUES};
    attend(&keys[job->layout->keys.type], &values[job->layout->values.type], job);
}

#ifdef HAS_DOT_BF16
static void attend_fast_bf16(const struct attend_job *job)
{
    static const struct key_part keys[KV_TYPES] = {
        FLOAT_KEYS, [KV_BF16] = {2, pair_queries, score_bf16_paired}, FAST_KEYS};
    static const struct value_part values[KV_TYPES] = {
        FLOAT_VALUES, [KV_BF16] = {true, add_bf16_paired}, FAST_VALUES};
    attend(&keys[job->layout->keys.type], &values[job->layout->values.type], job);
}
#endif
