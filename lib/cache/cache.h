/*
 * The cache: pages of keys and values within a fixed budget, the sessions whose positions they
 * hold, and who may work on it now.
 *
 * A page holds positions of one slot. All pages are equally large; where slots differ in KV heads
 * or head_dim, those with less of them have more positions in a page. Only this folder and plan/
 * know that there are fewer slots than layers. engine/ computes what the pages hold.
 */
#ifndef LCKV_CACHE_CACHE_H
#define LCKV_CACHE_CACHE_H

#include "base/checked.h"
#include "base/pool.h"
#include "cache/pages.h"
#include "model/model.h"
#include "plan/page_counts.h"

#define CACHE_MAX_SESSIONS (1u << 20)
#define CACHE_MAX_ROWS (1u << 16)

/*
 * The scratch holds max_logit_rows rows of logits twice: the logits of the last call stay while the
 * next call computes its own, in case that call fails.
 */
#define CACHE_LOGIT_SETS 2

/* Sessions, from the one that was added last to the one that was added first. */
struct session_list {
    struct lckv_session *first, *last;
};

/* lckv_cache of the public header */
struct lckv_cache {
    _Atomic uint32_t references;
    const struct lckv_model *model; /* holds a reference */
    lckv_allocator allocator;
    struct lckv_pool *pool;                  /* holds a reference */
    struct kv_layout layouts[KV_MAX_SHAPES]; /* of the model's kv_shapes */
    struct paging paging; /* page_positions are those of the largest keys and values */
    uint32_t max_sessions, max_rows, max_logit_rows;
    struct pages pages;
    uint64_t table_room;    /* bytes set aside for the tables of sessions */
    bool tables_cost_pages; /* what they take beyond that leaves as many bytes of pages unused */
    bool keeps;             /* sessions that were released, for session_reuse */
    float reuse_tolerance;  /* within which session_reuse takes over tokens; below 0: exact ones */
    uint8_t *scratch;       /* engine/ lays out its workspace here */
    size_t scratch_bytes;
    pthread_mutex_t mutex; /* guards what follows */
    bool busy;
    pthread_t worker;             /* the thread whose call works, if it is busy */
    bool waits;                   /* calls wait for their turn, instead of LCKV_BUSY */
    uint64_t n_turns, next_turn;  /* turns that were given to waiting calls, and the next to work */
    pthread_cond_t left;          /* a call has left */
    struct session_list sessions; /* that were not released, or only during the call */
    uint32_t n_sessions;
    struct session_list kept; /* what was released, or shared from, last comes first */
    struct {                  /* counted since the cache was made */
        uint64_t n_reuses, n_reused_tokens, n_reused_pages;
    } reuse;
    uint64_t table_bytes; /* of all sessions, kept ones too */
    struct {              /* what the statistics show while a call runs */
        uint64_t n_pages, n_available, n_idle, table_bytes;
    } shown;
    _Atomic int cancelled;
    uint64_t n_evaluates; /* numbers the evaluate calls, for item_of */
    uint64_t n_committed; /* and those that succeeded, for logits_of */
    struct failure failure;
};

/*
 * The tolerance of prompts of plans with upward layers, unless another one is given. In full
 * precision with keys and values of 16 bits or more, logits are then within 2e-2 of their standard
 * deviation. In fast precision a smaller one brings them no nearer, because of how activations are
 * rounded, and with keys and values of 8 bits a step of their rounding is not much smaller
 * (docs/prefill.md).
 */
static inline float default_tolerance(const struct lckv_cache *cache)
{
    const struct kv_layout *layout = &cache->layouts[0];
    if (cache->model->precision == LCKV_PRECISION_FAST)
        return 3e-2f;
    return layout->keys.dtype == LCKV_DTYPE_Q8_0 || layout->values.dtype == LCKV_DTYPE_Q8_0 ? 1e-2f
                                                                                            : 3e-3f;
}

/* Whether a small change of keys or values is seen in what is stored. In 4 bits it is not. */
static inline bool cache_shows_rest(const struct lckv_cache *cache)
{
    const struct kv_layout *layout = &cache->layouts[0];
    return layout->keys.dtype != LCKV_DTYPE_Q4_0 && layout->values.dtype != LCKV_DTYPE_Q4_0;
}

/* How the pages of a slot are laid out, and what their number depends on. */
static inline const struct kv_layout *cache_layout(const struct lckv_cache *cache, uint32_t slot)
{
    const struct lckv_model *model = cache->model;
    return &cache->layouts[model->layers[model->plan->slots[slot].layer].shape->kv_shape];
}

static inline struct paging cache_paging(const struct lckv_cache *cache, uint32_t slot)
{
    struct paging paging = cache->paging;
    paging.page_positions = cache_layout(cache, slot)->page_positions;
    return paging;
}

/* The most positions of a page of any slot. */
uint32_t cache_most_positions(const struct lckv_cache *cache);

/*
 * `options` are of full size; cache_resolve replaces zeros by defaults. `scratch_bytes` is what
 * engine/ needs for the resolved options.
 */
void cache_resolve(lckv_cache_options *options);
CHECKED lckv_status cache_create(const struct lckv_model *model, const lckv_cache_options *options,
                                 struct lckv_pool *pool, size_t scratch_bytes,
                                 struct lckv_cache **cache);

/*
 * Sets what decides the size of a cache, which has no memory yet, and tells its number of pages.
 * LCKV_INVALID_ARGUMENT or LCKV_UNSUPPORTED if no cache can have these options.
 */
CHECKED lckv_status cache_describe(const struct lckv_model *model,
                                   const lckv_cache_options *options, size_t scratch_bytes,
                                   struct lckv_cache *cache, size_t *n_pages);

void cache_retain(struct lckv_cache *cache);
void cache_release(struct lckv_cache *cache);
void cache_get_stats(struct lckv_cache *cache, lckv_cache_stats *stats);

/*
 * Every call that works on the cache or on its sessions begins with cache_enter, which answers
 * LCKV_BUSY or waits while another call works, and ends with cache_leave, which ends the sessions
 * that were released meanwhile.
 */
CHECKED lckv_status cache_enter(struct lckv_cache *cache);
CHECKED lckv_status fail_busy(void);
void cache_leave(struct lckv_cache *cache);

/*
 * With the mutex held: waits until no call works, if calls wait at all. It returns at once in a
 * callback of the call that works.
 */
void cache_wait_idle(struct lckv_cache *cache);

/* LCKV_CANCELLED if lckv_cache_cancel was called since the cache was entered. */
CHECKED lckv_status cache_check_cancel(const struct lckv_cache *cache);

/*
 * The pages that a call can have while tables take so many bytes: those that nobody holds or that
 * only kept sessions hold, except what tables beyond their room cost.
 */
uint64_t cache_available(const struct lckv_cache *cache, uint64_t table_bytes);

/* pages_take and pages_take_copy (`from` is not PAGE_NONE), which give up kept sessions first. */
CHECKED lckv_status cache_take(struct lckv_cache *cache, uint32_t from, uint32_t *page);

/*
 * Gives up kept sessions until tables can take `bytes` more. LCKV_CACHE_FULL if there is a budget,
 * and the pages that nobody holds cannot pay for them.
 */
CHECKED lckv_status cache_afford_table(struct lckv_cache *cache, uint64_t bytes, const char *what);

/*
 * Room for `needed` elements in a table of a session that can be afforded, as memory_grow, but
 * never more than the next power of two, so that the bytes of tables depend on lengths alone.
 */
CHECKED lckv_status cache_grow_table(struct lckv_cache *cache, void *table, size_t *capacity,
                                     size_t needed, size_t size, const char *what);
size_t cache_table_capacity(size_t needed);

/* Makes a table as large as cache_grow_table makes it for `needed` elements, if memory allows. */
void cache_shrink_table(struct lckv_cache *cache, void *table, size_t *capacity, size_t needed,
                        size_t size);

#endif
