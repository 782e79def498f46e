/*
 * Template: what attention does with the keys, and with the values, of one type in a tile of
 * positions: it scores the queries, and adds the values times their probabilities. attend.inc.h
 * joins the two, for any two types.
 *
 * If there are more queries than a tile takes, keys and values become floats once for all of them.
 * `paired` selects the products of x86/attend_bf16.inc.h.
 */
#include "kernels/attend_products.inc.h"
#include "kernels/kv_read_blocks.inc.h"

#ifdef HAS_DOT_BF16
#include "kernels/x86/attend_bf16.inc.h"
#endif

/* The parts of the job's scratch. */
struct attend_scratch {
    float *scores; /* [KV_MAX_QUERIES][KV_TILE], which become probabilities */
    float *floats; /* [ATTEND_POSITIONS][attend_head_floats(head_dim)]: values, or the keys of two
                    * sub-tiles */
    float *rounded_queries;          /* [KV_MAX_QUERIES][head_dim / 2] pairs */
    size_t keys_share, values_share; /* bytes that a step of the other product fetches */
    struct attend_state segment[KV_MAX_QUERIES], total[KV_MAX_QUERIES];
};

/* The positions of a tile that some query attends to, in whole sub-tiles. */
struct attend_tile {
    uint64_t begin; /* an absolute multiple of KV_TILE */
    uint64_t first, beyond;
    uint64_t end; /* of all positions of the call */
    struct lines next;
};

/* What attention does with keys of one type. */
struct key_part {
    size_t step_columns; /* that are scored between two fetches */
    void (*prepare)(const struct attend_job *job, struct attend_scratch *scratch); /* or NULL */
    void (*score)(const struct attend_job *job, struct attend_scratch *scratch,
                  const struct attend_tile *tile);
};

/* What it does with values of one type. */
struct value_part {
    bool paired; /* it takes the probabilities as bfloat16 */
    void (*add)(const struct attend_job *job, struct attend_scratch *scratch,
                const struct attend_tile *tile);
};

struct attend_at {
    const uint8_t *keys, *values;
};

/* The keys and the values of a position that begins a sub-tile. */
INLINE struct attend_at attend_at(const struct attend_job *job, uint64_t position)
{
    const struct kv_layout *layout = job->layout;
    size_t id = job->pages[position / layout->page_positions - job->first_page];
    const uint8_t *page = job->base + id * layout->page_bytes;
    const size_t in_page = position % layout->page_positions;
    const uint8_t *head = page + job->kv_head * layout->head_bytes;
    return (struct attend_at){head + in_page * layout->keys.row_bytes,
                              head + layout->values_at + in_page * layout->values.row_bytes};
}

static struct lines part_of_lines(struct lines lines, size_t first, size_t n)
{
    if (lines.n <= first)
        return (struct lines){NULL, 0};
    return (struct lines){lines.at + 64 * first, n < lines.n - first ? n : lines.n - first};
}

/*
 * Scores all queries for `n_vectors` (a constant) vectors of positions from `position` on.
 * Meanwhile it fetches the values of these positions, and lines of `next`.
 */
INLINE void score_positions(enum kv_type type, bool paired, const struct attend_job *job,
                            struct attend_scratch *scratch, uint64_t position, size_t n_vectors,
                            struct lines next, float *scores)
{
    size_t head_dim = job->layout->head_dim, n = job->n_queries, j = 0;
    struct fetch fetch = {.n_bytes = scratch->values_share, .next = next};
    const uint8_t *keys[ATTEND_VECTORS];
    const bool convert = kv_is_quantised(type) || (type != KV_F32 && !paired && n > TILE_ROWS);
    UNROLL for (size_t v = 0; v < n_vectors; v++)
    {
        size_t in_subtile = v * LANES % KV_SUBTILE, subtile = v * LANES / KV_SUBTILE;
        const struct attend_at at = attend_at(job, position + subtile * KV_SUBTILE);
        float *floats = scratch->floats + subtile * KV_SUBTILE * head_dim;
        fetch.ahead[subtile] = at.values;
        if (kv_is_quantised(type) && in_subtile == 0)
            key_blocks_to_floats(type, at.keys, head_dim, floats);
        else if (convert && in_subtile == 0)
            keys_to_floats(type, at.keys, head_dim, floats);
        keys[v] = convert ? (const uint8_t *)(floats + in_subtile)
                          : at.keys + in_subtile * type_pitch(type);
    }
#ifdef HAS_DOT_BF16
    if (paired) {
        FOR_TILES(j, n,
                  score_pairs(keys, n_vectors, scratch->rounded_queries + j * head_dim / 2, rows,
                              head_dim / 2, fetch_once(fetch, j), scores + j * KV_TILE));
        return;
    }
#endif
    if (convert)
        FOR_TILES(j, n,
                  score_queries(KV_F32, keys, n_vectors, job->queries + j, rows, head_dim,
                                fetch_once(fetch, j), scores + j * KV_TILE));
    else
        FOR_TILES(j, n,
                  score_queries(type, keys, n_vectors, job->queries + j, rows, head_dim,
                                fetch_once(fetch, j), scores + j * KV_TILE));
}

INLINE void score_tile(enum kv_type type, bool paired, const struct attend_job *job,
                       struct attend_scratch *scratch, const struct attend_tile *tile)
{
    const uint64_t step = (uint64_t)ATTEND_VECTORS * LANES;
    uint64_t p = tile->first;
    for (; p + step <= tile->beyond; p += step)
        score_positions(type, paired, job, scratch, p, ATTEND_VECTORS,
                        part_of_lines(tile->next, p - tile->begin, step),
                        scratch->scores + (p - tile->begin));
    for (; p < tile->beyond; p += KV_SUBTILE)
        score_positions(type, paired, job, scratch, p, KV_SUBTILE / LANES,
                        part_of_lines(tile->next, p - tile->begin, KV_SUBTILE),
                        scratch->scores + (p - tile->begin));
}

/*
 * Adds the values of `n_positions` positions from `position` on, times their probabilities. The
 * first of them is number `in_tile` of the tile. Meanwhile it fetches the keys of as many positions
 * of the next tile, and lines of `next`.
 */
INLINE void add_positions(enum kv_type type, bool paired, const struct attend_job *job,
                          struct attend_scratch *scratch, uint64_t position, size_t n_positions,
                          size_t in_tile, uint64_t end, struct lines next)
{
    size_t head_dim = job->layout->head_dim, n_floats = attend_head_floats(head_dim);
    size_t n = job->n_queries, j = 0;
    const uint8_t *values = attend_at(job, position).values;
    const uint64_t later = position + KV_TILE < end ? position + KV_TILE : position;
    const struct fetch fetch = {
        .ahead = {attend_at(job, later).keys}, .n_bytes = scratch->keys_share, .next = next};
#ifdef HAS_DOT_BF16
    if (paired) {
        const float *pairs = scratch->scores + in_tile / 2;
        FOR_TILES(j, n,
                  add_value_pairs(values, n_positions, head_dim, pairs + j * KV_TILE,
                                  scratch->segment + j, rows, fetch_once(fetch, j)));
        return;
    }
#endif
    (void)paired; /* for sets without that form */
    const float *scores = scratch->scores + in_tile;
    if (!kv_is_quantised(type) && (type == KV_F32 || n <= TILE_ROWS)) {
        FOR_TILES(j, n,
                  add_values(type, values, n_positions, head_dim, n_floats, scores + j * KV_TILE,
                             scratch->segment + j, rows, fetch_once(fetch, j)));
        return;
    }
    if (kv_is_quantised(type))
        value_blocks_to_floats(type, values, n_positions, job->layout->values.row_bytes, head_dim,
                               scratch->floats);
    else
        values_to_floats(type, values, n_positions, head_dim, n_floats, scratch->floats);
    values = (const uint8_t *)scratch->floats;
    FOR_TILES(j, n,
              add_values(KV_F32, values, n_positions, n_floats, n_floats, scores + j * KV_TILE,
                         scratch->segment + j, rows, fetch_once(fetch, j)));
}

INLINE void add_tile(enum kv_type type, bool paired, const struct attend_job *job,
                     struct attend_scratch *scratch, const struct attend_tile *tile)
{
    const uint64_t page_positions = job->layout->page_positions;
    for (uint64_t n, p = tile->first; p < tile->beyond; p += n) {
        uint64_t in_page = page_positions - p % page_positions;
        n = tile->beyond - p < in_page ? tile->beyond - p : in_page;
        n = n < ATTEND_POSITIONS ? n : ATTEND_POSITIONS;
        add_positions(type, paired, job, scratch, p, (size_t)n, (size_t)(p - tile->begin),
                      tile->end, part_of_lines(tile->next, KV_TILE + (p - tile->begin), n));
    }
}

#define DEFINE_PARTS(name, type, paired)                                                   \
    static void score_##name(const struct attend_job *job, struct attend_scratch *scratch, \
                             const struct attend_tile *tile)                               \
    {                                                                                      \
        score_tile(type, paired, job, scratch, tile);                                      \
    }                                                                                      \
    static void add_##name(const struct attend_job *job, struct attend_scratch *scratch,   \
                           const struct attend_tile *tile)                                 \
    {                                                                                      \
        add_tile(type, paired, job, scratch, tile);                                        \
    }

DEFINE_PARTS(f32, KV_F32, false)
DEFINE_PARTS(f16, KV_F16, false)
DEFINE_PARTS(bf16, KV_BF16, false)

DEFINE_PARTS(q8_0, KV_Q8_0, false)
DEFINE_PARTS(q4_0, KV_Q4_0, false)

#ifdef HAS_DOT_BF16
DEFINE_PARTS(bf16_paired, KV_BF16, true)

static void pair_queries(const struct attend_job *job, struct attend_scratch *scratch)
{
    const size_t head_dim = job->layout->head_dim;
    for (size_t j = 0; j < job->n_queries; j++)
        pair_query(job->queries[j], head_dim, scratch->rounded_queries + j * head_dim / 2);
}
#endif
