/*
 * What the tests of evaluation share, with the public header only: models, caches, sessions and
 * calls that must not fail.
 */
#ifndef LCKV_TESTS_SESSIONS_H
#define LCKV_TESTS_SESSIONS_H

#include "support.h"

#include <stdio.h>

static inline lckv_model_info info_of(const lckv_model *model)
{
    lckv_model_info info = {.size = sizeof info};
    ck_assert_ok(lckv_model_get_info(model, &info));
    return info;
}

static inline lckv_plan_info plan_info_of(const lckv_model *model)
{
    lckv_plan_info info = {.size = sizeof info};
    ck_assert_ok(lckv_plan_get_info(lckv_model_plan(model), &info));
    return info;
}

/* Opens a model with the kernel set that LCKV_CPU names, if it names one. */
static inline lckv_model *open_model(const char *path, lckv_model_options options)
{
    lckv_model *model;
    options.size = sizeof options;
    ck_assert_ok(lckv_model_open(path, &options, &model));
    if (getenv("LCKV_CPU") != NULL)
        ck_assert_str_eq(info_of(model).kernel_set, getenv("LCKV_CPU"));
    return model;
}

/*
 * A model of tests/data/goldens, opened without BLAS: its logits are bitwise the same in any batch.
 */
static inline lckv_model *open_golden(const char *name, lckv_precision precision)
{
    char path[128];
    snprintf(path, sizeof path, "tests/data/goldens/%s", name);
    return open_model(path, (lckv_model_options){.precision = precision, .gemm = LCKV_GEMM_OWN});
}

static inline lckv_cache *make_cache(const lckv_model *model, lckv_cache_options options)
{
    lckv_cache *cache;
    options.size = sizeof options;
    ck_assert_ok(lckv_cache_create(model, &options, &cache));
    return cache;
}

static inline lckv_cache_stats stats_of(lckv_cache *cache)
{
    lckv_cache_stats stats = {.size = sizeof stats};
    ck_assert_ok(lckv_cache_get_stats(cache, &stats));
    return stats;
}

static inline uint64_t free_pages(lckv_cache *cache)
{
    return stats_of(cache).n_pages_free;
}

static inline lckv_session *make_session(lckv_cache *cache)
{
    lckv_session *session;
    ck_assert_ok(lckv_session_create(cache, &session));
    return session;
}

static inline uint64_t length_of(lckv_session *session)
{
    uint64_t length;
    ck_assert_ok(lckv_session_length(session, &length));
    return length;
}

/* Fills in any text: tokens below 131, which every golden model has. */
static inline void fill_tokens(lckv_token *tokens, size_t n)
{
    for (size_t i = 0; i < n; i++)
        tokens[i] = (lckv_token)((i * 37 + 11) % 131);
}

/* Appends `n` tokens and wants the logits of each, [n, n_vocab]. */
static inline lckv_item make_item(lckv_session *session, const lckv_token *tokens, size_t n,
                                  float *logits, size_t n_vocab)
{
    lckv_item item = {.session = session,
                      .tokens = tokens,
                      .n_tokens = n,
                      .want = LCKV_WANT_ALL,
                      .logits = logits,
                      .logits_capacity = n * n_vocab};
    return item;
}

/* The exact result: with AUTO, a window of one token, so that plans without upward layers take as
 * many tokens in a pass as fit. */
static inline lckv_status run(lckv_cache *cache, const lckv_item *items, size_t n,
                              lckv_prefill prefill)
{
    lckv_evaluate_options options = {
        .size = sizeof options, .prefill = prefill, .window = prefill == LCKV_PREFILL_AUTO};
    return lckv_evaluate(cache, items, sizeof *items, n, &options, NULL);
}

static inline size_t most_likely(const float *logits, size_t n)
{
    size_t best = 0;
    for (size_t i = 1; i < n; i++)
        best = logits[i] > logits[best] ? i : best;
    return best;
}

#endif
