/*
 * The cache: pages of keys and values within a fixed budget, the sessions whose positions they
 * hold, and who may work on it now.
 *
 * A page holds `page_positions` positions of one slot. Only this folder and plan/ know that there
 * are fewer slots than layers. engine/ computes what the pages hold.
 */
#ifndef LCKV_CACHE_CACHE_H
#define LCKV_CACHE_CACHE_H

#include "base/checked.h"
#include "base/pool.h"
#include "model/model.h"
#include "plan/pages.h"

#define CACHE_DEFAULT_TOKENS 4096
#define CACHE_DEFAULT_SESSIONS 16
#define CACHE_DEFAULT_PAGE 64
#define CACHE_DEFAULT_ROWS 256
#define CACHE_DEFAULT_ROLLBACK 64
#define CACHE_MAX_SESSIONS (1u << 20)
#define CACHE_MAX_ROWS (1u << 16)

/*
 * The scratch holds max_logit_rows rows of logits twice: the logits of the last call stay while the
 * next call computes its own, in case that call fails.
 */
#define CACHE_LOGIT_SETS 2

/* The pages of one slot of one session: pages[i] holds page number first + i. */
struct slot_pages {
    uint8_t **pages; /* NULL where a page was dropped during the call that took it */
    size_t capacity, count;
    uint64_t first;
    size_t kept; /* of `count`: the pages that the session had before the call */
};

/* lckv_session of the public header */
struct lckv_session {
    struct lckv_cache *cache; /* holds a reference */
    struct lckv_session *next;
    bool released;            /* by its owner, while a call ran */
    struct slot_pages *slots; /* [n_slots] */
    /* Other threads may ask for these four, so they change under the cache's mutex (shown.c). */
    uint64_t length;       /* tokens encoded */
    uint64_t window_begin; /* the first position that windowed slots keep */
    lckv_token *tokens;    /* [length]; the tokens of the call in progress follow */
    size_t token_capacity;
    const float *logits; /* of the committed call number `logits_of` */
    size_t n_logit_rows;
    uint64_t logits_of;
    uint64_t growing_to; /* the length that the call in progress leads to */
    uint64_t item_of;    /* the number of the last evaluate call with it as an item */
};

/* lckv_cache of the public header */
struct lckv_cache {
    _Atomic uint32_t references;
    const struct lckv_model *model; /* holds a reference */
    lckv_allocator allocator;
    struct lckv_pool *pool; /* holds a reference */
    struct kv_layout layout;
    struct paging paging;
    uint32_t max_sessions, max_rows, max_logit_rows;
    uint8_t *arena; /* n_pages pages and KV_SLACK bytes */
    size_t arena_bytes, n_pages;
    uint8_t **free_pages; /* a stack */
    size_t n_free;
    uint8_t *scratch; /* engine/ lays out its workspace here */
    size_t scratch_bytes;
    pthread_mutex_t mutex; /* guards what follows */
    bool busy;
    struct lckv_session *sessions;
    uint32_t n_sessions;
    struct { /* what the statistics show while a call runs */
        size_t n_free;
        uint64_t table_bytes;
    } shown;
    _Atomic int cancelled;
    uint64_t n_evaluates; /* numbers the evaluate calls, for item_of */
    uint64_t n_committed; /* and those that succeeded, for logits_of */
    struct failure failure;
};

/*
 * `options` are of full size; cache_resolve replaces zeros by defaults. `scratch_bytes` is what
 * engine/ needs for the resolved options.
 */
void cache_resolve(lckv_cache_options *options);
CHECKED lckv_status cache_create(const struct lckv_model *model, const lckv_cache_options *options,
                                 struct lckv_pool *pool, size_t scratch_bytes,
                                 struct lckv_cache **cache);
void cache_retain(struct lckv_cache *cache);
void cache_release(struct lckv_cache *cache);
void cache_get_stats(struct lckv_cache *cache, lckv_cache_stats *stats);

/*
 * Every call that works on the cache or on its sessions begins with cache_enter, which answers
 * LCKV_BUSY while another call works, and ends with cache_leave, which destroys the sessions that
 * were released meanwhile.
 */
CHECKED lckv_status cache_enter(struct lckv_cache *cache);
CHECKED lckv_status fail_busy(void);
void cache_leave(struct lckv_cache *cache);

/* LCKV_CANCELLED if lckv_cache_cancel was called since the cache was entered. */
CHECKED lckv_status cache_check_cancel(const struct lckv_cache *cache);

/* The functions below need the cache entered, except session_release. */
CHECKED lckv_status session_create(struct lckv_cache *cache, struct lckv_session **session);
void session_release(struct lckv_session *session);
const struct lckv_model *session_model(const struct lckv_session *session);
uint64_t session_min_length(const struct lckv_session *session);
CHECKED lckv_status session_truncate(struct lckv_session *session, uint64_t length);
CHECKED lckv_status session_read_kv(const struct lckv_session *session, uint32_t slot,
                                    uint64_t begin, uint64_t end, float *keys, float *values);

/*
 * How a session grows by `n_tokens`, at most `chunk` of them in one pass:
 *
 *     session_pages_needed   tells the most pages that this takes at any moment, beside those held
 *     session_reserve        makes room in the tables and copies the tokens behind those it has;
 *                            takes no page yet
 *     session_extend         takes pages for positions below `end`; gives back pages that this call
 *                            took and a window left behind: no position at or after `begin`
 *                            attends to them, and the grown session will not keep them
 *     session_commit         sets the new length; windowed slots drop what they need not keep
 *     session_rollback       makes everything as it was before the call
 */
uint64_t session_pages_needed(const struct lckv_session *session, uint64_t n_tokens,
                              uint64_t chunk);
CHECKED lckv_status session_reserve(struct lckv_session *session, const lckv_token *tokens,
                                    uint64_t n_tokens);
CHECKED lckv_status session_extend(struct lckv_session *session, uint64_t begin, uint64_t end);
void session_commit(struct lckv_session *session);
void session_rollback(struct lckv_session *session);

/* The page of `slot` that holds `position`. */
uint8_t *session_page(const struct lckv_session *session, uint32_t slot, uint64_t position);

/* The rows of logits that the cache holds for the session; does what lckv_session_logits says. */
CHECKED lckv_status session_logits(const struct lckv_session *session, const float **logits,
                                   size_t *n_rows);

/*
 * What a session shows to any thread at any time, without cache_enter and without making another
 * call fail. Lengths and tokens are those from before or after the call that works on the cache.
 * The logits answer LCKV_BUSY while one works.
 */
uint64_t session_shown_length(const struct lckv_session *session);
uint64_t session_shown_min_length(const struct lckv_session *session);
CHECKED lckv_status session_shown_tokens(const struct lckv_session *session, lckv_token *tokens,
                                         size_t capacity, size_t *n_tokens);
CHECKED lckv_status session_shown_logits(const struct lckv_session *session, const float **logits,
                                         size_t *n_rows);

#endif
