/*
 * What the tests of trained models share: lists of ids in their references, the logits of a text,
 * and how likely they make a token.
 */
#ifndef LCKV_TESTS_TRAINED_H
#define LCKV_TESTS_TRAINED_H

#include "json.h"
#include "sessions.h"

#include <math.h>
#include <stdio.h>

#define MAX_TOKENS 8192

static inline lckv_model *open_trained(const char *path, lckv_precision precision)
{
    return open_model(path, (lckv_model_options){.precision = precision});
}

static inline lckv_cache *make_f32_cache(const lckv_model *model)
{
    return make_cache(model, (lckv_cache_options){.kv_dtype = LCKV_DTYPE_F32, .max_rows = 512});
}

static inline size_t ids_of(const char *list, lckv_token *ids)
{
    size_t n = 0;
    for (const char *id = json_first(list); id != NULL; id = json_next(id)) {
        ck_assert_uint_lt(n, MAX_TOKENS);
        ids[n++] = (lckv_token)json_long(id);
    }
    return n;
}

/* All logits of some tokens in a new session, as float32 [n, n_vocab]. */
static inline float *logits_of(lckv_cache *cache, const lckv_token *ids, size_t n, uint32_t n_vocab)
{
    float *logits = calloc(n * n_vocab, sizeof *logits);
    lckv_session *session = make_session(cache);
    lckv_item item = make_item(session, ids, n, logits, n_vocab);
    ck_assert_ok(run(cache, &item, 1, LCKV_PREFILL_AUTO));
    lckv_session_release(session);
    return logits;
}

static inline double nll(const float *logits, size_t n, lckv_token token)
{
    double largest = (double)logits[most_likely(logits, n)], sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += exp((double)logits[i] - largest);
    return log(sum) + largest - (double)logits[token];
}

#endif
