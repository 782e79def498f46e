/*
 * Lives of sessions, for test_session_life.c: how one begins and ends. It has two caches of one
 * model, drawn by chance, and knows what their sessions must contain (life_checks.h).
 */
#ifndef LCKV_TESTS_LIFE_H
#define LCKV_TESTS_LIFE_H

#include "saved_support.h"

#include <stdbool.h>

#include "allocator.h"
#include "folder.h"
#include "fuzz/tiny.h"
#include "random.h"

enum { MOST_SESSIONS = 14, MOST_SAVED = 4, MOST_LENGTH = 300, MOST_SLOTS = 4, ROW = 32 };

/* A cache that sessions live in. */
struct home {
    lckv_cache *cache;
    lckv_cache_options options;
    uint64_t n_pages;   /* at first */
    bool keeps_more;    /* than its rollback asks for: what another cache has saved */
    size_t n_texts;     /* that live here */
    size_t n_positions; /* of all of them */
};

/* What a session must contain. */
struct text {
    lckv_session *session; /* NULL: there is none */
    struct home *home;
    size_t length, min_length;
    lckv_token tokens[MOST_LENGTH];
};

struct life {
    struct counting counting;
    lckv_model *model;
    struct home homes[2];
    lckv_cache *reference; /* keeps everything, and reuses nothing */
    uint32_t n_slots, n_windowed_slots, context_window;
    uint64_t reach[MOST_SLOTS]; /* the last tokens that a slot is to keep; UINT64_MAX: all, */
    size_t n_sinks[MOST_SLOTS]; /* and the first ones */
    bool forgets;               /* some slot does not keep all */
    size_t longest;             /* that a text may become */
    struct text texts[MOST_SESSIONS];
    struct bytes saved;
    size_t n_saved;
    struct text saved_texts[MOST_SAVED];
    bool is_starved; /* allocations may fail */
    uint64_t n_statuses[LCKV_INTERNAL + 1], n_reused;
};

static inline uint32_t below(uint32_t n)
{
    return random_bits() % n;
}

static inline bool one_in(uint32_t n)
{
    return below(n) == 0;
}

/* Few different tokens, so that texts often begin alike. */
static inline lckv_token any_token(void)
{
    return one_in(8) ? (lckv_token)below(3) + 7 : 6;
}

static inline size_t smaller_of(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* ---- How a life begins ---- */

static inline lckv_dtype any_kv_dtype(void)
{
    static const lckv_dtype dtypes[] = {LCKV_DTYPE_F32, LCKV_DTYPE_F16, LCKV_DTYPE_BF16,
                                        LCKV_DTYPE_Q8_0, LCKV_DTYPE_Q4_0};
    return dtypes[below(COUNT(dtypes))];
}

static inline lckv_model *open_life_model(struct life *life, size_t index)
{
    static const struct tiny kinds[] = {
        {.n_layers = 3},
        {.plan = "2_2_2", .n_layers = 3},
        {.plan = "0_0_2_2", .n_layers = 4},
        {.plan = "0s_0s_2_2", .n_layers = 4, .sliding_window = 7},
        {.plan = "0_3_3_3", .n_layers = 4},
        {.plan = "0_1s_1s_3", .n_layers = 4, .sliding_window = 21},
    };
    const lckv_allocator allocator = counting_allocator(&life->counting);
    struct tiny tiny = kinds[index % COUNT(kinds)];
    tiny.head_dim = ROW; /* quantised keys and values need 32 */
    ck_assert(tiny_write_weights(&tiny, folder));
    return open_model(folder, (lckv_model_options){.precision = one_in(2) ? LCKV_PRECISION_FULL
                                                                          : LCKV_PRECISION_FAST,
                                                   .gemm = LCKV_GEMM_OWN,
                                                   .allocator = &allocator});
}

/* Notes what each slot is to keep. */
static inline void note_reach(struct life *life, const lckv_cache_options *options)
{
    const lckv_plan_info plan = plan_info_of(life->model);
    const uint64_t moving = options->context_window - options->n_sinks;
    life->n_slots = plan.n_slots;
    life->n_windowed_slots = plan.n_windowed_slots;
    life->context_window = options->context_window;
    ck_assert_uint_le(life->n_slots, MOST_SLOTS);
    for (uint32_t i = 0; i < life->n_slots; i++) {
        lckv_slot_info slot = {.size = sizeof slot};
        ck_assert_ok(lckv_plan_get_slot(lckv_model_plan(life->model), i, &slot));
        life->reach[i] = slot.is_windowed ? info_of(life->model).sliding_window : UINT64_MAX;
        if (options->context_window > 0 && moving < life->reach[i]) {
            life->reach[i] = moving;
            life->n_sinks[i] = options->n_sinks;
        }
        life->forgets |= life->reach[i] != UINT64_MAX;
    }
}

/* The smallest budget with which a cache can be made. */
static inline uint64_t least_budget(const lckv_model *model, lckv_cache_options options)
{
    lckv_cache_estimate_report report = {.size = sizeof report};
    uint64_t fails = 0, works = (uint64_t)1 << 30;
    options.n_tokens = 0;
    while (works - fails > 1) {
        options.budget_bytes = fails + (works - fails) / 2;
        if (lckv_cache_estimate(model, &options, 1, &report) == LCKV_OK)
            works = options.budget_bytes;
        else
            fails = options.budget_bytes;
    }
    return works;
}

/* A cache with these options and others by chance. */
static inline struct home make_home(const lckv_model *model, lckv_cache_options options)
{
    options.n_tokens = 60 + below(400);
    options.max_sessions = 2 + below(10);
    options.page_positions = 16 * (1 + below(4));
    options.rollback = 1 + (one_in(2) ? below(8) : below(80));
    options.max_rows = 4 + below(40);
    options.reuse = one_in(6) ? LCKV_REUSE_OFF : LCKV_REUSE_ON;
    if (one_in(2)) {
        if (one_in(2)) /* then tables of sessions that share pages soon cost pages */
            options.reuse = LCKV_REUSE_OFF;
        options.budget_bytes = least_budget(model, options) + below(1u << (8 + below(9)));
        options.n_tokens = 0;
    }
    struct home home = {.cache = make_cache(model, options), .options = options};
    home.n_pages = stats_of(home.cache).n_pages;
    return home;
}

static inline void begin_life(struct life *life, uint64_t seed)
{
    memset(life, 0, sizeof *life);
    random_seed = (seed + 1) * 0x9E3779B97F4A7C15u;
    life->counting.n_allowed = SIZE_MAX;
    life->model = open_life_model(life, (size_t)seed);
    lckv_cache_options options = {.size = sizeof options,
                                  .kv_dtype = any_kv_dtype(),
                                  .v_dtype = any_kv_dtype(),
                                  .n_threads = 1};
    if (one_in(3)) {
        options.context_window = 2 + below(100);
        options.n_sinks = 1 + below((uint32_t)smaller_of(options.context_window - 1, 20));
    }
    note_reach(life, &options);
    life->longest = 60 + below(MOST_LENGTH - 59);
    life->homes[0] = make_home(life->model, options);
    life->homes[1] = make_home(life->model, options);
    options.n_tokens = options.rollback = MOST_LENGTH;
    options.max_sessions = 1;
    options.reuse = LCKV_REUSE_OFF;
    life->reference = make_cache(life->model, options);
}

static inline void end_life(struct life *life)
{
    for (size_t i = 0; i < MOST_SESSIONS; i++)
        lckv_session_release(life->texts[i].session);
    for (size_t i = 0; i < COUNT(life->homes); i++) {
        lckv_cache_stats stats = stats_of(life->homes[i].cache);
        ck_assert_uint_eq(stats.n_sessions, 0);
        ck_assert_uint_eq(stats.n_pages_free, stats.n_pages);
        lckv_cache_release(life->homes[i].cache);
    }
    free(life->saved.data);
    lckv_cache_release(life->reference);
    lckv_model_release(life->model);
    ck_assert_uint_eq(life->counting.out, 0);
}

#endif
