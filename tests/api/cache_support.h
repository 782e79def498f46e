/*
 * What the tests of caches share: three models, the tokens that they get, and the logits that must
 * come out.
 */
#ifndef LCKV_TESTS_CACHE_SUPPORT_H
#define LCKV_TESTS_CACHE_SUPPORT_H

#include "sessions.h"

#define UPWARD "lckv-w2"
#define DOWNWARD "cla2"
#define WINDOWED "yoco-windows"
#define N_VOCAB 160
#define N_TOKENS 40

static const char *const models[] = {UPWARD, DOWNWARD, WINDOWED};
static lckv_token tokens[N_TOKENS];
static float expected[N_TOKENS * N_VOCAB], got[4][N_TOKENS * N_VOCAB];

/* A fixture of every test. */
static inline void make_tokens(void)
{
    fill_tokens(tokens, N_TOKENS);
    memset(expected, 0, sizeof expected);
    memset(got, 0, sizeof got);
}

static inline lckv_item item_of(lckv_session *session, size_t begin, size_t end, float *logits)
{
    return make_item(session, tokens + begin, end - begin, logits, N_VOCAB);
}

/*
 * Computes exact logits of all N_TOKENS tokens with one thread and one token in each call. If
 * kv_dtype is 0, it is the default.
 */
static inline void reference_logits(const lckv_model *model, lckv_dtype kv_dtype, float *logits)
{
    lckv_cache *cache =
        make_cache(model, (lckv_cache_options){.n_threads = 1, .kv_dtype = kv_dtype});
    lckv_session *session = make_session(cache);
    for (size_t t = 0; t < N_TOKENS; t++) {
        lckv_item item = item_of(session, t, t + 1, logits + t * N_VOCAB);
        ck_assert_ok(run(cache, &item, 1, LCKV_PREFILL_EXACT));
    }
    lckv_session_release(session);
    lckv_cache_release(cache);
}

#endif
