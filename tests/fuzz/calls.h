/*
 * The model of fuzz_calls.c: what a cache and its sessions must hold, and checks of the cache
 * against it. The reference is a cache whose sessions get the same tokens one by one or, if they
 * are encoded by iteration, in the same calls. It never truncates: a session of it begins anew
 * instead.
 */
#ifndef LCKV_TESTS_FUZZ_CALLS_H
#define LCKV_TESTS_FUZZ_CALLS_H

#include "bytes.h"
#include "tiny.h"

enum { MAX_SESSIONS = 4, MAX_TOKENS = 40, MAX_NEW = 12, MAX_HEAD_DIM = 32 };

/* How tokens were appended. Those of one iterated call belong together. */
struct segment {
    lckv_prefill prefill;
    uint32_t forward_passes, backward_passes;
    uint32_t window; /* 1: exact */
    float tolerance;
    uint32_t call; /* the same for all tokens of a call; 0: each token by itself */
};

struct own {
    lckv_session *session; /* NULL: there is none */
    lckv_token tokens[MAX_TOKENS];
    struct segment segments[MAX_TOKENS];
    size_t n_tokens;
    size_t longest; /* that it has ever been */
    bool held;      /* the cache must hold logits of the last `n_held` tokens */
    bool is_lost;   /* the cache must hold none */
    size_t n_held;
    lckv_session *reference; /* NULL: there is none yet */
    size_t n_computed;       /* tokens of the reference, and rows of the next arrays */
    float logits[MAX_TOKENS * TINY_VOCAB], hidden[MAX_TOKENS * TINY_HIDDEN];
};

struct world {
    const lckv_model *model;
    lckv_cache *cache, *reference;
    lckv_sampler *sampler;
    struct own own[MAX_SESSIONS];
    struct bytes saved; /* of those that follow */
    struct own saved_own[MAX_SESSIONS];
    size_t n_saved;
    lckv_cache_stats stats; /* after the last call */
    uint32_t n_sessions, n_slots, n_windowed_slots;
    size_t row;   /* floats of the keys of a position */
    bool forgets; /* some slots do not keep all tokens */
    bool shares;  /* some sessions may share pages */
};

/* ---- Models, made once ---- */

static const struct tiny tinies[] = {
    {.plan = "1_1", .n_layers = 2},
    {.plan = "0_3_3_3", .n_layers = 4, .has_biases = true},
    {.plan = "0s_0s_2_2", .n_layers = 4, .sliding_window = 5},
    {.plan = "0_1s_1s_3", .n_layers = 4, .sliding_window = 3, .is_tied = true},
    {.n_layers = 2},
    {.plan = "1_1", .n_layers = 2, .head_dim = MAX_HEAD_DIM},
    {.plan = "0_1s_1s_3", .n_layers = 4, .sliding_window = 5, .head_dim = MAX_HEAD_DIM},
};

static inline const lckv_model *calls_model(uint32_t index)
{
    static lckv_model *models[COUNT(tinies)];
    if (models[index] == NULL) {
        lckv_model_options options = {.size = sizeof options,
                                      .gemm = LCKV_GEMM_OWN,
                                      .precision = index % 2 == 0 ? LCKV_PRECISION_FULL
                                                                  : LCKV_PRECISION_FAST};
        folder_begin();
        require(tiny_write(&tinies[index], folder), "cannot write to %s", folder);
        require_ok(lckv_model_open(folder, &options, &models[index]));
    }
    return models[index];
}

/* ---- A world: a cache that the input describes, and its reference ---- */

static inline struct segment take_segment(struct input *input)
{
    static uint32_t n_calls;
    uint32_t bits = take(input, 256);
    struct segment segment = {.prefill = (lckv_prefill)(bits & 3)};
    if (segment.prefill == LCKV_PREFILL_ITERATED) {
        segment.forward_passes = bits >> 2 & 3;
        segment.backward_passes = bits >> 4 & 3;
    }
    if (segment.prefill == LCKV_PREFILL_AUTO) {
        segment.window = 1 + (bits >> 2 & 7);
        segment.tolerance = (bits >> 5 & 3) * 0.01f;
    }
    if (segment.prefill == LCKV_PREFILL_ITERATED || segment.prefill == LCKV_PREFILL_MODEL ||
        segment.window > 1)
        segment.call = ++n_calls;
    return segment;
}

/* Quantised keys and values need heads of 32. */
static inline lckv_dtype take_kv_dtype(struct input *input, const struct tiny *tiny)
{
    static const lckv_dtype dtypes[] = {LCKV_DTYPE_F32, LCKV_DTYPE_F16, LCKV_DTYPE_BF16,
                                        LCKV_DTYPE_Q8_0, LCKV_DTYPE_Q4_0};
    return dtypes[take(input, tiny->head_dim == MAX_HEAD_DIM ? 5 : 3)];
}

/* Sessions of a third of all caches have no end. */
static inline void take_context_window(struct input *input, lckv_cache_options *options)
{
    const uint32_t window = take(input, 90), n_sinks = take(input, 8);
    if (window >= 30)
        return;
    options->context_window = 2 + window;
    options->n_sinks = 1 + n_sinks % (options->context_window - 1);
}

static inline void world_open(struct world *world, struct input *input)
{
    memset(world, 0, sizeof *world);
    const uint32_t kind = take(input, COUNT(tinies));
    world->model = calls_model(kind);
    lckv_cache_options options = {.size = sizeof options,
                                  .reuse_tolerance = -1, /* only exact tokens */
                                  .n_tokens = 1 + take(input, 128),
                                  .max_sessions = 1 + take(input, MAX_SESSIONS),
                                  .kv_dtype = take_kv_dtype(input, &tinies[kind]),
                                  .v_dtype = take_kv_dtype(input, &tinies[kind]),
                                  .page_positions = 16 * (1 + take(input, 2)),
                                  .n_threads = 1 + take(input, 3),
                                  .max_rows = 1 + take(input, 24),
                                  .max_logit_rows = 1 + take(input, 16),
                                  .rollback = 1 + take(input, 8)};
    take_context_window(input, &options);
    require_ok(lckv_cache_create(world->model, &options, &world->cache));
    world->forgets = options.context_window > 0;
    options = (lckv_cache_options){.size = sizeof options,
                                   .n_tokens = 2 * MAX_SESSIONS * MAX_TOKENS,
                                   .max_sessions = 2 * MAX_SESSIONS,
                                   .kv_dtype = options.kv_dtype,
                                   .v_dtype = options.v_dtype,
                                   .context_window = options.context_window,
                                   .n_sinks = options.n_sinks,
                                   .n_threads = 1,
                                   .max_rows = MAX_TOKENS,
                                   .max_logit_rows = 1,
                                   .rollback = MAX_TOKENS};
    require_ok(lckv_cache_create(world->model, &options, &world->reference));
    lckv_sampler_options sampling = {.size = sizeof sampling,
                                     .temperature = (float)take(input, 4) / 2,
                                     .top_k = take(input, 6),
                                     .top_p = (float)take(input, 5) / 4,
                                     .min_p = (float)take(input, 3) / 8,
                                     .repetition_penalty = (float)take(input, 3) / 2,
                                     .seed = take(input, 8)};
    require_ok(lckv_sampler_create(&sampling, &world->sampler));
    world->stats.size = sizeof world->stats;
    require_ok(lckv_cache_get_stats(world->cache, &world->stats));
    lckv_plan_info info = {.size = sizeof info};
    require_ok(lckv_plan_get_info(lckv_model_plan(world->model), &info));
    world->n_slots = info.n_slots;
    world->n_windowed_slots = info.n_windowed_slots;
    world->forgets |= info.n_windowed_slots > 0;
    world->row = (size_t)TINY_KV_HEADS * tiny_head_dim(&tinies[kind]);
}

/* Releases the handles in either order. */
static inline void world_close(struct world *world, struct input *input)
{
    bool cache_first = take(input, 2) == 0;
    if (cache_first)
        lckv_cache_release(world->cache);
    for (size_t i = 0; i < MAX_SESSIONS; i++) {
        lckv_session_release(world->own[i].session);
        lckv_session_release(world->own[i].reference);
    }
    if (!cache_first) {
        require_ok(lckv_cache_get_stats(world->cache, &world->stats));
        require(world->stats.n_pages_free == world->stats.n_pages, "%llu of %llu pages are free",
                (unsigned long long)world->stats.n_pages_free,
                (unsigned long long)world->stats.n_pages);
        lckv_cache_release(world->cache);
    }
    lckv_cache_release(world->reference);
    lckv_sampler_release(world->sampler);
    free(world->saved.data);
}

/* ---- What sessions hold ---- */

static inline void own_append(struct own *own, const lckv_token *tokens, size_t n,
                              const struct segment *segment)
{
    for (size_t i = 0; i < n; i++) {
        own->tokens[own->n_tokens] = tokens[i];
        own->segments[own->n_tokens++] = *segment;
    }
    if (own->longest < own->n_tokens)
        own->longest = own->n_tokens;
}

/* After a call that failed the logits may or may not be there. */
static inline void forget_logits(struct world *world)
{
    for (size_t i = 0; i < MAX_SESSIONS; i++)
        world->own[i].held = world->own[i].is_lost = false;
}

/* An evaluate drops the logits of all sessions. */
static inline void let_go_of_logits(struct world *world)
{
    for (size_t i = 0; i < MAX_SESSIONS; i++) {
        world->own[i].held = false;
        world->own[i].is_lost = true;
    }
}

/* ---- The reference ---- */

/* To be called after a truncate or a release. */
static inline void drop_reference(struct own *own)
{
    lckv_session_release(own->reference);
    own->reference = NULL;
    own->n_computed = 0;
}

/* Gives the reference the tokens that it lacks. */
static inline void compute_reference(struct world *world, struct own *own)
{
    if (own->reference == NULL)
        require_ok(lckv_session_create(world->reference, &own->reference));
    while (own->n_computed < own->n_tokens) {
        size_t begin = own->n_computed, end = begin + 1;
        const struct segment *segment = &own->segments[begin];
        while (segment->call != 0 && end < own->n_tokens &&
               own->segments[end].call == segment->call)
            end++;
        lckv_item item = {.session = own->reference,
                          .tokens = own->tokens + begin,
                          .n_tokens = end - begin,
                          .want = LCKV_WANT_ALL | LCKV_WANT_HIDDEN,
                          .logits = own->logits + begin * TINY_VOCAB,
                          .logits_capacity = (end - begin) * TINY_VOCAB,
                          .hidden = own->hidden + begin * TINY_HIDDEN,
                          .hidden_capacity = (end - begin) * TINY_HIDDEN};
        lckv_evaluate_options options = {.size = sizeof options,
                                         .prefill = segment->call != 0 ? segment->prefill
                                                                       : LCKV_PREFILL_EXACT,
                                         .forward_passes = segment->forward_passes,
                                         .window = segment->call != 0 ? segment->window : 0,
                                         .tolerance = segment->call != 0 ? segment->tolerance : 0,
                                         .backward_passes = segment->backward_passes};
        require_ok(lckv_evaluate(world->reference, &item, sizeof item, 1, &options, NULL));
        own->n_computed = end;
    }
}

static inline void require_rows(const char *what, const float *rows, const float *expected,
                                size_t first, size_t n, size_t width)
{
    for (size_t i = 0; i < n; i++)
        require(memcmp(rows + i * width, expected + (first + i) * width, width * sizeof *rows) == 0,
                "%s at position %zu are %a .., expected %a ..", what, first + i,
                (double)rows[i * width], (double)expected[(first + i) * width]);
}

/* Checks what an item that succeeded has brought. */
static inline void check_item(struct world *world, struct own *own, const lckv_item *item)
{
    uint32_t rows_wanted = item->want & 3, hidden_wanted = item->want & ~(uint32_t)3;
    size_t n_rows = rows_wanted == LCKV_WANT_ALL    ? item->n_tokens
                    : rows_wanted == LCKV_WANT_LAST ? 1
                                                    : 0;
    size_t n_hidden = hidden_wanted == 0                      ? 0
                      : hidden_wanted == LCKV_WANT_HIDDEN_ALL ? item->n_tokens
                      : n_rows > 0                            ? n_rows
                                                              : 1;
    size_t first = own->n_tokens - n_rows, n_held = 0;
    compute_reference(world, own);
    if (n_hidden > 0)
        require_rows("hidden states", item->hidden, own->hidden, own->n_tokens - n_hidden, n_hidden,
                     TINY_HIDDEN);
    if (n_rows > 0 && item->logits != NULL)
        require_rows("logits", item->logits, own->logits, first, n_rows, TINY_VOCAB);
    if (n_rows > 0 && item->logits == NULL) {
        const float *logits = NULL;
        require_ok(lckv_session_logits(own->session, &logits, &n_held));
        require(n_held == n_rows, "%zu rows held, %zu wanted", n_held, n_rows);
        require_rows("held logits", logits, own->logits, first, n_rows, TINY_VOCAB);
        own->held = true;
        own->is_lost = false;
        own->n_held = n_held;
    }
}

static inline void check_kv(struct world *world, struct own *own, uint32_t slot, uint64_t begin,
                            uint64_t end)
{
    static float got[2][(MAX_TOKENS + 2) * TINY_KV_HEADS * MAX_HEAD_DIM];
    static float expected[2][(MAX_TOKENS + 2) * TINY_KV_HEADS * MAX_HEAD_DIM];
    lckv_status status = lckv_session_read_kv(own->session, slot, begin, end, got[0], got[1]);
    if (slot >= world->n_slots || begin > end || end > own->n_tokens) {
        require(status == LCKV_INVALID_ARGUMENT, "slot %u, %llu to %llu of %zu: %s", slot,
                (unsigned long long)begin, (unsigned long long)end, own->n_tokens,
                lckv_status_name(status));
        return;
    }
    require(status == LCKV_OK || (status == LCKV_OUT_OF_WINDOW && world->forgets), "%s",
            lckv_last_error());
    if (status != LCKV_OK)
        return;
    compute_reference(world, own);
    require_ok(lckv_session_read_kv(own->reference, slot, begin, end, expected[0], expected[1]));
    for (int i = 0; i < 2; i++)
        require_rows(i == 0 ? "keys" : "values", got[i], expected[i], 0, (size_t)(end - begin),
                     world->row);
}

/* Checks that each token from `first` on is the most likely one after those before it. */
static inline void check_greedy(struct world *world, struct own *own, size_t first)
{
    compute_reference(world, own);
    for (size_t i = first; i < own->n_tokens; i++) {
        const float *row = own->logits + (i - 1) * TINY_VOCAB;
        lckv_token best = 0;
        for (lckv_token token = 1; token < TINY_VOCAB; token++)
            best = row[token] > row[best] ? token : best;
        require(own->tokens[i] == best, "token %d at %zu, expected %d", (int)own->tokens[i], i,
                (int)best);
    }
}

/* ---- After every call ---- */

static inline void check_session(const struct world *world, const struct own *own)
{
    uint64_t length = 0, shortest = 0;
    lckv_token tokens[MAX_TOKENS];
    size_t n_tokens = 0, n_rows = 0;
    const float *logits = NULL;
    require_ok(lckv_session_length(own->session, &length));
    require(length == own->n_tokens, "the length is %llu, expected %zu", (unsigned long long)length,
            own->n_tokens);
    require_ok(lckv_session_min_length(own->session, &shortest));
    const uint32_t window = world->stats.context_window;
    lckv_status status = lckv_session_tokens(own->session, tokens, MAX_TOKENS, &n_tokens);
    if (window > 0 && shortest > window)
        require(status == LCKV_OUT_OF_WINDOW, "forgotten tokens: %s", lckv_status_name(status));
    else
        require(status == LCKV_OK && n_tokens == own->n_tokens &&
                    memcmp(tokens, own->tokens, n_tokens * sizeof *tokens) == 0,
                "the session has other tokens");
    status = lckv_session_logits(own->session, &logits, &n_rows);
    require(!own->held || (status == LCKV_OK && n_rows == own->n_held), "%zu rows are held",
            n_rows);
    if (own->held)
        require_rows("logits that are still held", logits, own->logits, own->n_tokens - n_rows,
                     n_rows, TINY_VOCAB);
    require(!own->is_lost || status == LCKV_INVALID_ARGUMENT, "logits of another state are given");
}

/* Checks the pages: full slots have those that the lengths need; windowed slots may have fewer. */
static inline void check_world(struct world *world)
{
    lckv_cache_stats stats = {.size = sizeof stats};
    uint64_t most = 0, least = 0;
    require_ok(lckv_cache_get_stats(world->cache, &stats));
    for (size_t i = 0; i < MAX_SESSIONS; i++) {
        const struct own *own = &world->own[i];
        if (own->session == NULL)
            continue;
        check_session(world, own);
        uint64_t pages = (own->n_tokens + stats.page_positions - 1) / stats.page_positions;
        uint64_t unwindowed = pages * (world->n_slots - world->n_windowed_slots);
        if (stats.context_window > 0)
            unwindowed = 0;
        most += pages * world->n_slots;
        if (!world->shares)
            least += unwindowed;
        else if (least < unwindowed)
            least = unwindowed;
    }
    uint64_t used = stats.n_pages - stats.n_pages_free;
    require(used >= least && used <= most, "%llu pages are used, expected %llu to %llu",
            (unsigned long long)used, (unsigned long long)least, (unsigned long long)most);
    require(stats.n_sessions == world->n_sessions, "%u sessions, expected %u", stats.n_sessions,
            world->n_sessions);
    require(stats.n_pages == world->stats.n_pages &&
                stats.scratch_bytes == world->stats.scratch_bytes,
            "the cache's size changes");
    world->stats = stats;
}

#endif
