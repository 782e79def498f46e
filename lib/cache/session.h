/*
 * Sessions: the tokens of one text and the pages that hold their keys and values.
 *
 * session.c has their lifetime, growth.c how an evaluate call makes them longer, forget.c which
 * tokens they forget, sharing.c how one takes over the pages of another, shown.c what other threads
 * may ask, saved.h how they are saved and restored.
 */
#ifndef LCKV_CACHE_SESSION_H
#define LCKV_CACHE_SESSION_H

#include "cache/cache.h"

/*
 * The pages of one slot of one session. The first `n_sink_pages` of a text stay; behind them `gap`
 * pages have been dropped.
 */
struct slot_pages {
    uint32_t *ids; /* PAGE_NONE where a page was dropped during the call that took it */
    size_t capacity, count;
    size_t n_sink_pages;
    uint64_t gap;
    size_t kept; /* of `count`: the pages that the session had before the call */
    /*
     * The last page before the call, if a copy took its place because others hold it; else
     * PAGE_NONE. `holds_original`: this session still holds it, since no other session does.
     */
    uint32_t original;
    bool holds_original;
    bool copies_tail; /* in the call in progress, before it writes to that page */
};

/* lckv_session of the public header */
struct lckv_session {
    struct lckv_cache *cache;             /* holds a reference, unless the session is kept */
    struct lckv_session *previous, *next; /* in a list of the cache */
    bool is_listed;                       /* it is in that list */
    uint32_t n_handles;                   /* that were not released; under the cache's mutex */
    bool released;                        /* the last of them, while a call ran */
    enum page_holder holder;              /* PAGE_KEPT: the session was released, and is kept */
    struct slot_pages *slots;             /* [n_slots] */
    /* Other threads may ask for these four, so they change under the cache's mutex (shown.c). */
    uint64_t length;     /* tokens encoded */
    uint64_t min_length; /* the shortest one, other than 0, for which the slots keep enough */
    lckv_token *tokens;  /* those held; the tokens of the call in progress follow */
    size_t token_capacity;
    uint64_t n_forgotten; /* tokens behind the sinks that the table no longer holds (forget.c) */
    const float *logits;  /* of the committed call number `logits_of` */
    size_t n_logit_rows;
    uint64_t logits_of;
    uint64_t growing_to; /* the length that the call in progress leads to */
    uint64_t item_of;    /* the number of the last evaluate call with it as an item */
    /*
     * From this position on, keys and values may not be exactly what the model computes token by
     * token, but within this tolerance (prefill.h); INFINITY: iterated, or restored from what other
     * kernels computed. Or UINT64_MAX and 0.
     */
    uint64_t inexact_from;
    float tolerance;
};

/* The functions below need the cache entered, except session_retain and session_release. */
CHECKED lckv_status session_create(struct lckv_cache *cache, struct lckv_session **session);
void session_retain(struct lckv_session *session);
void session_release(struct lckv_session *session);

/*
 * session_create in three steps, for calls that may fail between them. LCKV_CACHE_FULL if the cache
 * has no room for `n` more sessions. Until session_publish a session counts only in the bytes of
 * tables, and session_destroy ends it.
 */
CHECKED lckv_status session_check_room(const struct lckv_cache *cache, uint64_t n);
CHECKED lckv_status session_allocate(struct lckv_cache *cache, struct lckv_session **session);
void session_publish(struct lckv_session *session);

const struct lckv_model *session_model(const struct lckv_session *session);
CHECKED lckv_status session_truncate(struct lckv_session *session, uint64_t length);
CHECKED lckv_status session_read_kv(const struct lckv_session *session, uint32_t slot,
                                    uint64_t begin, uint64_t end, float *keys, float *values);

/* The page of `slot` that holds `position`. */
uint32_t session_page_id(const struct lckv_session *session, uint32_t slot, uint64_t position);
uint8_t *session_page(const struct lckv_session *session, uint32_t slot, uint64_t position);

/*
 * The positions that a session promises to hold: [0, n_sinks) and [begin, end). If none is missing
 * between the two, n_sinks and begin are 0.
 */
struct held_positions {
    uint64_t n_sinks, begin, end;
};

/* Those of a slot, which may be windowed. Tokens are held like a slot that is not. */
struct held_positions session_held(const struct lckv_session *session, bool windowed);

/* Whether all positions [begin, end) are among them. */
bool held_has(struct held_positions held, uint64_t begin, uint64_t end);

/* How many tokens the session's table holds, and where those of a call in progress begin. */
static inline uint64_t session_n_held(const struct lckv_session *session)
{
    return session->length - session->n_forgotten;
}

static inline lckv_token *session_next_tokens(const struct lckv_session *session)
{
    return session->tokens + session_n_held(session);
}

/*
 * Whether the session has passed the context window so far that it no longer tells its tokens. The
 * table may hold some of these still.
 */
bool session_has_forgotten(const struct lckv_session *session);

/*
 * The tokens that the table need not hold any more: none, or so many that moving the others costs
 * no more than a constant for each. session_forget_tokens drops them; it needs the cache's mutex.
 */
uint64_t session_tokens_to_forget(const struct lckv_session *session);
void session_forget_tokens(struct lckv_session *session);

/* The most tokens that the table has held when single tokens have made a session `length` long. */
uint64_t session_most_held(const struct lckv_cache *cache, uint64_t length);

/* Bytes of the session and its tables. */
uint64_t session_table_bytes(const struct lckv_session *session);

/*
 * Ends a session or a kept one: gives back its pages and its memory. Needs the cache idle, or
 * entered by this thread. Keeps the session's reference on the cache.
 */
void session_destroy(struct lckv_session *session);

/*
 * session_link puts the session at the head of the list for its holder: that of sessions, or that
 * of kept ones. session_unlink takes it out again, if it is in the list, before its holder changes.
 */
void session_unlink(struct lckv_session *session);
void session_link(struct lckv_session *session);

/* How many pages of a slot hold something before `length`. */
size_t session_pages_before(const struct lckv_session *session, uint32_t slot, uint64_t length);

/* Gives back the pages of all slots that hold nothing before `length`. */
void session_shorten(struct lckv_session *session, uint64_t length);

/*
 * How a session grows by `n_tokens`, at most `chunk` of them in one pass:
 *
 *     session_pages_needed   tells the most pages that this takes at any moment, beside those held
 *     session_claim_tail     says that it will write to the pages behind its last token
 *     session_count_copies   when all sessions of the call have said so: tells how many of these
 *                            pages it must copy first, if kept sessions are given up or not
 *     session_forget_claims  ends what session_claim_tail began
 *     session_table_growth   tells by how many bytes its tables grow
 *     session_reserve        makes room in the tables and copies the tokens behind those it has;
 *                            takes no page yet
 *     session_extend         takes pages for positions below `end`; gives back pages that this call
 *                            took and a window left behind: no position at or after `begin`
 *                            attends to them, and the grown session will not keep them
 *     session_commit         sets the new length, and the tolerance within which the new tokens are
 *                            exact (0: exactly); slots with windows drop what they need not keep
 *     session_rollback       makes everything as it was before the call
 */
uint64_t session_pages_needed(const struct lckv_session *session, uint64_t n_tokens,
                              uint64_t chunk);
void session_claim_tail(const struct lckv_session *session);
uint64_t session_count_copies(struct lckv_session *session, bool gives_up_kept);
void session_forget_claims(const struct lckv_session *session);
uint64_t session_table_growth(const struct lckv_session *session, uint64_t n_tokens);
CHECKED lckv_status session_reserve(struct lckv_session *session, const lckv_token *tokens,
                                    uint64_t n_tokens);
CHECKED lckv_status session_extend(struct lckv_session *session, uint64_t begin, uint64_t end);
void session_commit(struct lckv_session *session, float tolerance);
void session_rollback(struct lckv_session *session);

/*
 * A session that shares the pages of `session`, logits included. What either of them appends is its
 * own: a page that is held twice is copied before it is written to.
 */
CHECKED lckv_status session_fork(const struct lckv_session *session, struct lckv_session **fork);

/*
 * Makes the empty session share the pages of the longest prefix of tokens[0, n - 1) that a session
 * or a kept one of the cache holds, encoded within the cache's tolerance. `n_reused` may be 0.
 */
CHECKED lckv_status session_reuse(struct lckv_session *session, const lckv_token *tokens, size_t n,
                                  uint64_t *n_reused);

/* The tokens, from the beginning on, that session_reuse may take over: exact enough for it. */
uint64_t session_reusable(const struct lckv_session *session);

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
CHECKED lckv_status session_shown_tokens_between(const struct lckv_session *session, uint64_t begin,
                                                 uint64_t end, lckv_token *tokens);
CHECKED lckv_status session_shown_logits(const struct lckv_session *session, const float **logits,
                                         size_t *n_rows);

#endif
