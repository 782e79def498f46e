/*
 * Template: attention with quantised keys and values in fast precision.
 *
 * Queries are rounded to 8 bits in blocks of 32, and a block of a score is a sum of integers times
 * two scales. The weight of a value is its probability times its scale. The weights of a tile are
 * rounded to 16 bits, relative to the largest of them, and the sum over a tile is an integer too:
 * 128 products of at most 32767 x 127 fit 32 bits. Positions that a query does not attend to have
 * probability 0, so they change neither its weights nor its sums.
 */
#include "kernels/activations.h"
#include "kernels/attend_tile.inc.h"

/*
 * The place of query j, rounded to 8 bits. Queries stand in panels of TILE_ROWS, so that a tile
 * finds all of its queries at constant distances.
 */
INLINE struct panel_row rounded_query(const struct attend_job *job, struct attend_scratch *scratch,
                                      size_t j)
{
    const size_t query_bytes = job->layout->head_dim / ACTIVATION_BLOCK * INT8_BLOCK_BYTES;
    uint8_t *panels = (uint8_t *)(void *)scratch->rounded_queries;
    return (struct panel_row){panels + j / TILE_ROWS * TILE_ROWS * query_bytes, TILE_ROWS,
                              j % TILE_ROWS};
}

static void round_queries(const struct attend_job *job, struct attend_scratch *scratch)
{
    const size_t head_dim = job->layout->head_dim;
    for (size_t j = 0; j < job->n_queries; j++) {
        const float *query = job->queries[j];
        if (kv_keys_are_rotated(job->layout->keys.type)) {
            memcpy(scratch->floats, query, head_dim * sizeof *query);
            kv_rotate(scratch->floats, head_dim);
            query = scratch->floats;
        }
        quantize(query, head_dim, rounded_query(job, scratch, j));
    }
}

/*
 * What is fetched with each step, as in struct fetch, but without branches, which would cut the
 * unrolled loops into pieces: two lines of what is attended to soon, and one of what is read after
 * attention. Where there is nothing to fetch, the distances are 0.
 */
struct stream {
    const uint8_t *ahead, *next;
    size_t ahead_bytes, next_bytes; /* from step to step */
};

/* The stream that begins at step `step` of a fetch; `at` is in use anyway. */
INLINE struct stream stream_from(const struct fetch *fetch, size_t step, const uint8_t *at)
{
    struct stream stream = {at, at, 0, 0};
    if (fetch->n_bytes > 0) {
        stream.ahead = fetch->ahead[0] + step * fetch->n_bytes;
        stream.ahead_bytes = fetch->n_bytes;
    }
    if (step < fetch->next.n) {
        stream.next = fetch->next.at + 64 * step;
        stream.next_bytes = 64;
    }
    return stream;
}

INLINE void stream_step(struct stream *stream)
{
    __builtin_prefetch(stream->ahead, 0, 2);
    __builtin_prefetch(stream->ahead + 64, 0, 2);
    __builtin_prefetch(stream->next, 0, 2);
    stream->ahead += stream->ahead_bytes;
    stream->next += stream->next_bytes;
}

/*
 * The sums of a block of q8_0 keys of a vector of positions with `n` queries of a panel. There is a
 * step of the stream for each quad of columns.
 */
INLINE void dot_bytes(const uint8_t *quads, struct int8_block queries, size_t n,
                      struct stream stream, vi *sums)
{
    UNROLL for (size_t j = 0; j < n; j++) sums[j] = vs_begin(queries.offsets[j]);
    UNROLL for (size_t i = 0; i < 8; i++)
    {
        const vb keys = vs_plain(vb_load(quads + i * 4 * KV_SUBTILE));
        stream_step(&stream);
        UNROLL for (size_t j = 0; j < n; j++) sums[j] =
            vs_add(sums[j], keys, queries.quants + j * ACTIVATION_BLOCK + 4 * i);
    }
}

/* The same for q4_0. */
INLINE void dot_nibbles(const uint8_t *quads, struct int8_block queries, size_t n,
                        struct stream stream, vi *sums)
{
    vq parts[TILE_ROWS];
    UNROLL for (size_t j = 0; j < n; j++) parts[j] = vq_begin(queries.offsets[j]);
    UNROLL for (size_t i = 0; i < 4; i++)
    {
        const vb both = vb_load(quads + i * 4 * KV_SUBTILE);
        const vb low = vq_low(both), high = vq_high(both);
        stream_step(&stream);
        stream_step(&stream);
        UNROLL for (size_t j = 0; j < n; j++)
        {
            const int8_t *query = queries.quants + j * ACTIVATION_BLOCK + 4 * i;
            parts[j] = vq_add(vq_add(parts[j], low, query), high, query + 16);
        }
    }
    UNROLL for (size_t j = 0; j < n; j++) sums[j] = vq_end(parts[j], queries.offsets[j]);
}

/* Scores `n` queries of a panel for a vector of positions of a sub-tile. */
INLINE void score_lanes(enum kv_type type, const uint8_t *subtile, uint32_t lane, size_t head_dim,
                        struct panel_row queries, size_t n, struct fetch fetch, float *scores)
{
    const uint8_t *numbers = subtile + kv_scales_bytes(head_dim);
    vf totals[TILE_ROWS];
    UNROLL for (size_t j = 0; j < n; j++) totals[j] = v_set(0);
    for (size_t block = 0; block < head_dim / KV_BLOCK; block++) {
        const uint8_t *quads = numbers + kv_key_byte(type, lane, block * KV_BLOCK);
        const struct int8_block query = int8_block(queries, block);
        const struct stream stream = stream_from(&fetch, block * 8, quads);
        vi sums[TILE_ROWS];
        if (type == KV_Q8_0)
            dot_bytes(quads, query, n, stream, sums);
        else
            dot_nibbles(quads, query, n, stream, sums);
        const vf scale =
            v_mul(v_load_f16(subtile + kv_scale_at(lane, block)), v_set(byte_scale(type)));
        UNROLL for (size_t j = 0; j < n; j++) totals[j] =
            v_fma(v_from_int(sums[j]), v_mul(scale, v_set(query.scales[j])), totals[j]);
    }
    UNROLL for (size_t j = 0; j < n; j++) v_store(scores + j * KV_TILE + lane, totals[j]);
}

/* Scores all queries in fast precision. Meanwhile it fetches the values of the same positions. */
INLINE void score_blocks(enum kv_type type, const struct attend_job *job,
                         struct attend_scratch *scratch, const struct attend_tile *tile)
{
    const size_t head_dim = job->layout->head_dim, n = job->n_queries;
    for (uint64_t p = tile->first; p < tile->beyond; p += KV_SUBTILE) {
        const struct attend_at at = attend_at(job, p);
        const struct fetch fetch = {.ahead = {at.values},
                                    .n_bytes = scratch->values_share,
                                    .next = part_of_lines(tile->next, p - tile->begin, KV_SUBTILE)};
        float *scores = scratch->scores + (p - tile->begin);
        for (uint32_t lane = 0; lane < KV_SUBTILE; lane += LANES) {
            size_t j = 0;
            FOR_TILES(j, n,
                      score_lanes(type, at.keys, lane, head_dim, rounded_query(job, scratch, j),
                                  rows, fetch_once(fetch, j + lane), scores + j * KV_TILE));
        }
    }
}

/* The weights of a query for the values of a block of columns. */
struct value_weights {
    int16_t numbers[KV_TILE];
    float scale;   /* of the numbers */
    int32_t total; /* the sum of the numbers; q8_0 needs none */
};

/* Rounds the products of probabilities and scales of a tile to 16 bits. */
INLINE void weigh_values(enum kv_type type, const float *probabilities, const float *scales,
                         struct value_weights *weights)
{
    vf products[KV_TILE / LANES], most = v_set(0);
    UNROLL for (size_t i = 0; i < KV_TILE / LANES; i++)
    {
        products[i] = v_mul(v_load(probabilities + i * LANES), v_load(scales + i * LANES));
        /* The scales of q4_0 have signs. NaN does not count. */
        most = v_max(type == KV_Q4_0 ? v_abs(products[i]) : products[i], most);
    }
    const float largest = v_largest(most);
    const bool counts = largest > 1e-30f; /* less adds nothing, and its inverse may be infinite */
    const vf inverse = v_set(counts ? 32767.0f / largest : 0);
    vi total = vi_set(0);
    UNROLL for (size_t i = 0; i < KV_TILE / LANES; i++)
    {
        vf number = v_mul(products[i], inverse);
        if (type == KV_Q4_0) /* NaN becomes a number, so that the total does not overflow */
            number = v_max(number, v_set(-32767.0f));
        const vi rounded = vi_round(number);
        if (type == KV_Q4_0)
            total = vi_add(total, rounded);
        vi_store_i16(weights->numbers + i * LANES, rounded);
    }
    weights->scale = counts ? largest * (1 / 32767.0f) : 0;
    weights->total = type == KV_Q4_0 ? vi_total(total) : 0;
}

/* The values of a tile, and what is fetched while they are added. */
struct value_tile {
    const uint8_t *subtiles[KV_TILE / KV_SUBTILE];
    const uint8_t *ahead[KV_TILE / KV_SUBTILE]; /* the keys of the next tile */
    size_t n_subtiles;
    size_t first; /* position in the tile */
    size_t keys_share;
    struct lines next;
};

/*
 * Adds weight times value for two vectors of columns of a block. There is a step for each pair of
 * positions.
 */
INLINE void add_columns(enum kv_type type, const struct value_tile *tile, size_t head_dim,
                        size_t block, size_t part, const struct value_weights *weights,
                        struct attend_state *states, size_t n, bool fetches)
{
    const size_t at = kv_scales_bytes(head_dim) + kv_value_byte(type, 0, block * KV_BLOCK);
    const size_t steps_before = (block * (KV_BLOCK / (2 * LANES)) + part) * VALUE_PAIRS;
    vi sums[TILE_ROWS][2];
    UNROLL for (size_t j = 0; j < n; j++)
    {
        /* Every number of q4_0 is 8 too large. */
        sums[j][0] = vi_set(type == KV_Q4_0 ? -8 * weights[j].total : 0);
        sums[j][1] = sums[j][0];
    }
    for (size_t t = 0; t < tile->n_subtiles; t++) {
        const uint8_t *pairs = tile->subtiles[t] + at;
        struct stream stream = {pairs, pairs, 0, 0};
        if (fetches) {
            const struct fetch fetch = {
                .ahead = {tile->ahead[t] + steps_before * tile->keys_share},
                .n_bytes = tile->keys_share,
                .next = part_of_lines(tile->next, steps_before * tile->n_subtiles + t * VALUE_PAIRS,
                                      VALUE_PAIRS)};
            stream = stream_from(&fetch, 0, pairs);
        }
        const size_t first = tile->first + t * KV_SUBTILE;
        UNROLL for (size_t i = 0; i < VALUE_PAIRS; i++)
        {
            vb two[2];
            load_value_pairs(type, pairs + i * pair_bytes(type), part, two);
            stream_step(&stream);
            UNROLL for (size_t j = 0; j < n; j++)
            {
                const int16_t *pair = weights[j].numbers + first + 2 * i;
                sums[j][0] = vi_add_pairs(sums[j][0], two[0], pair);
                sums[j][1] = vi_add_pairs(sums[j][1], two[1], pair);
            }
        }
    }
    UNROLL for (size_t j = 0; j < n; j++)
    {
        UNROLL for (size_t v = 0; v < 2; v++)
        {
            float *values = states[j].values + block * KV_BLOCK + value_column(type, part, v);
            v_store(values, v_fma(v_from_int(sums[j][v]), v_set(weights[j].scale), v_load(values)));
        }
    }
}

INLINE void add_weighted(enum kv_type type, const struct value_tile *tile, size_t head_dim,
                         size_t block, const float *scales, const float *probabilities,
                         struct attend_state *states, size_t n, bool fetches)
{
    struct value_weights weights[TILE_ROWS];
    for (size_t j = 0; j < n; j++)
        weigh_values(type, probabilities + j * KV_TILE, scales, &weights[j]);
    for (size_t part = 0; part < KV_BLOCK / (2 * LANES); part++)
        add_columns(type, tile, head_dim, block, part, weights, states, n, fetches);
}

/*
 * Adds the values of a tile in fast precision, times their probabilities. Meanwhile it fetches the
 * keys of the next tile.
 */
INLINE void add_blocks(enum kv_type type, const struct attend_job *job,
                       struct attend_scratch *scratch, const struct attend_tile *tile)
{
    const size_t head_dim = job->layout->head_dim, n = job->n_queries;
    struct value_tile values = {
        .first = (size_t)(tile->first - tile->begin),
        .n_subtiles = (size_t)(tile->beyond - tile->first) / KV_SUBTILE,
        .keys_share = scratch->keys_share,
        .next = part_of_lines(tile->next, KV_TILE + (tile->first - tile->begin), KV_TILE)};
    for (size_t t = 0; t < values.n_subtiles; t++) {
        const uint64_t p = tile->first + t * KV_SUBTILE;
        values.subtiles[t] = attend_at(job, p).values;
        values.ahead[t] = attend_at(job, p + KV_TILE < tile->end ? p + KV_TILE : p).keys;
    }
    for (size_t block = 0; block < head_dim / KV_BLOCK; block++) {
        float scales[KV_TILE] = {0};
        for (size_t t = 0; t < values.n_subtiles; t++) {
            for (uint32_t lane = 0; lane < KV_SUBTILE; lane += LANES)
                v_store(scales + values.first + t * KV_SUBTILE + lane,
                        v_load_f16(values.subtiles[t] + kv_scale_at(lane, block)));
        }
        size_t j = 0;
        FOR_TILES(j, n,
                  add_weighted(type, &values, head_dim, block, scales,
                               scratch->scores + j * KV_TILE, scratch->segment + j, rows, j == 0));
    }
}

#define DEFINE_BLOCKS(name, type)                                                                 \
    static void score_##name##_fast(const struct attend_job *job, struct attend_scratch *scratch, \
                                    const struct attend_tile *tile)                               \
    {                                                                                             \
        score_blocks(type, job, scratch, tile);                                                   \
    }                                                                                             \
    static void add_##name##_fast(const struct attend_job *job, struct attend_scratch *scratch,   \
                                  const struct attend_tile *tile)                                 \
    {                                                                                             \
        add_blocks(type, job, scratch, tile);                                                     \
    }

DEFINE_BLOCKS(q8_0, KV_Q8_0)
DEFINE_BLOCKS(q4_0, KV_Q4_0)
