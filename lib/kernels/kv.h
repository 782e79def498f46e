/*
 * Keys and values as the cache stores them, and the attention over them.
 *
 * plan/kv_format.h lays out a page in sub-tiles of 16 positions. In a sub-tile keys are transposed
 * to [head_dim][16], and values stand row by row, [16][head_dim]. In bfloat16 two neighbours stand
 * together, for instructions that add two products: keys are [head_dim / 2][16][2], values
 * [8][head_dim][2].
 */
#ifndef LCKV_KERNELS_KV_H
#define LCKV_KERNELS_KV_H

#include "base/checked.h"
#include "base/memory.h"
#include "plan/kv_format.h"

#include <stdbool.h>

#define KV_TILE 128         /* positions between two updates of the running softmax */
#define KV_SEGMENT 1024     /* positions whose partial results are merged in order */
#define ATTEND_POSITIONS 32 /* positions whose values are added in one go */
#define KV_MAX_QUERIES 32   /* queries that one attend call takes */
#define KV_SLACK 128        /* bytes behind the last page that vector loads may touch; zeroed */
#define ATTEND_NEXT_BYTES \
    ((size_t)2 * 64 * KV_TILE) /* of `next` with each tile: a line for each position and product */

/*
 * The index of element d of the key or value of a lane, counted from the first key or value of its
 * sub-tile. `paired`: neighbours stand together, as in bfloat16.
 */
static inline size_t kv_key_index(bool paired, uint32_t lane, size_t d)
{
    return paired ? d / 2 * 2 * KV_SUBTILE + 2 * lane + d % 2 : d * KV_SUBTILE + lane;
}

static inline size_t kv_value_index(bool paired, size_t head_dim, uint32_t lane, size_t d)
{
    return paired ? (lane / 2 * head_dim + d) * 2 + lane % 2 : lane * head_dim + d;
}

/* Where the sub-tile of a position begins in its page: its keys, and its values. */
struct kv_subtile {
    size_t keys, values;
};

static inline struct kv_subtile kv_subtile(const struct kv_layout *layout, uint32_t head,
                                           uint32_t position_in_page)
{
    const size_t first = position_in_page / KV_SUBTILE * KV_SUBTILE;
    const size_t at = head * layout->head_bytes;
    return (struct kv_subtile){at + first * layout->keys.row_bytes,
                               at + layout->values_at + first * layout->values.row_bytes};
}

/*
 * Stores one head of one position: k and v are float32 [head_dim]. Numbers beyond the largest of
 * the type, infinity included, become that. If one of v is NaN, it becomes 0 and all of k becomes
 * NaN.
 */
typedef void (*kv_store_function)(const struct kv_layout *layout, uint8_t *page,
                                  uint32_t position_in_page, uint32_t head, const float *k,
                                  const float *v);

/* Reads one head of one position back, as float32 [head_dim]. Either array may be NULL. */
void kv_load_head(const struct kv_layout *layout, const uint8_t *page, uint32_t position_in_page,
                  uint32_t head, float *k, float *v);

/* The same for all heads: float32 [n_kv_heads, head_dim]. */
void kv_load(const struct kv_layout *layout, const uint8_t *page, uint32_t position_in_page,
             float *k, float *v);

/*
 * The key and then the value of one head at one position as plain bytes, kv_plain_bytes of them:
 * their elements in order, little-endian in the types of the cache, wherever the layout has them.
 * kv_import returns false, and writes nothing, if a value is not finite, which no page may hold
 * (kv_store.inc.h).
 */
static inline size_t kv_plain_bytes(const struct kv_layout *layout)
{
    return layout->keys.row_bytes + layout->values.row_bytes;
}
void kv_export(const struct kv_layout *layout, const uint8_t *page, uint32_t position_in_page,
               uint32_t head, uint8_t *to);
CHECKED bool kv_import(const struct kv_layout *layout, uint8_t *page, uint32_t position_in_page,
                       uint32_t head, const uint8_t *from);

/*
 * Attention of up to KV_MAX_QUERIES queries over one KV head of a slot. Query j attends to
 * positions [begin[j], end[j]); an empty span gives zeros.
 */
struct attend_job {
    const struct kv_layout *layout;
    const uint8_t *base;   /* page `id` begins at base + id * layout->page_bytes */
    const uint32_t *pages; /* pages[p / page_positions - first_page] holds position p */
    uint64_t first_page;
    uint32_t kv_head;
    uint32_t n_queries;
    const float *const *queries; /* each [head_dim], already scaled by 1 / sqrt(head_dim) */
    const uint64_t *begin, *end;
    float *const *out; /* each [head_dim]; if `partials`, attend_partial_floats(head_dim) */
    bool partials;     /* the spans lie in one segment, and `out` gets partials, to be merged */
    /*
     * Partials of other keys, to be merged first, [n_queries, attend_partial_floats]; NULL: none.
     */
    const float *before;
    float *scratch; /* attend_scratch_floats(head_dim), aligned */
    /*
     * Whole cache lines that the caller reads afterwards. They are fetched meanwhile,
     * ATTEND_NEXT_BYTES with each tile of positions, so that the last lines come with the last
     * tile. If there is more than the tiles can fetch, the first lines are left out; so are lines
     * for which a short tile or a head of few columns has no step.
     */
    const uint8_t *next;
    size_t next_bytes;
};
typedef void (*attend_function)(const struct attend_job *job);

/*
 * Merges the partials of a query's segments, in order. The result is bit for bit what attention to
 * all of them in one call gives. Partial i begins at partials + i *
 * attend_partial_floats(head_dim); `out` is [head_dim]; `scratch` is that of an attend_job.
 */
typedef void (*attend_merge_function)(const float *partials, size_t n_partials, size_t head_dim,
                                      float *scratch, float *out);
size_t attend_scratch_floats(uint32_t head_dim);

/* Floats of a head, rounded up to whole steps of the kernels: two vectors of the widest set. */
static inline size_t attend_head_floats(size_t head_dim)
{
    return (head_dim + 31) / 32 * 32;
}

/* Floats of a partial: weighted sum of values, running maximum, sum of exponentials. */
static inline size_t attend_partial_floats(size_t head_dim)
{
    return attend_head_floats(head_dim) + 16;
}

#endif
