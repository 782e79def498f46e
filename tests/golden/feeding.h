/*
 * How the tests of texts that are longer than a window feed them, and compare what comes out with
 * an oracle's rows. Uses the public header only.
 */
#ifndef LCKV_TESTS_GOLDEN_FEEDING_H
#define LCKV_TESTS_GOLDEN_FEEDING_H

#include "safetensors.h"
#include "sessions.h"

#include <math.h>
#include <stdio.h>

#define TOLERANCE 5e-4

/* In calls of `chunk` tokens to a cache that has room for no more than the text. */
struct feeding {
    size_t chunk;
    lckv_prefill prefill;
    uint32_t page_positions, rollback, max_rows, n_threads; /* 0: the default */
    uint32_t context_window, n_sinks;                       /* 0: none */
};

/*
 * Computes the logits of n tokens, [n, n_vocab]. Returns the shortest length to which the session
 * could go back then.
 */
static inline uint64_t feed_tokens(const lckv_model *model, struct feeding feeding,
                                   const lckv_token *tokens, size_t n, float *logits)
{
    const size_t n_vocab = info_of(model).n_vocab;
    lckv_evaluate_options options = {.size = sizeof options,
                                     .prefill = feeding.prefill,
                                     .window = feeding.prefill == LCKV_PREFILL_AUTO};
    if (feeding.prefill == LCKV_PREFILL_ITERATED)
        options.forward_passes = 3, options.backward_passes = 2;
    lckv_cache *cache =
        make_cache(model, (lckv_cache_options){.n_tokens = n,
                                               .max_sessions = 1,
                                               .kv_dtype = LCKV_DTYPE_F32,
                                               .page_positions = feeding.page_positions,
                                               .n_threads = feeding.n_threads,
                                               .max_rows = feeding.max_rows,
                                               .rollback = feeding.rollback,
                                               .context_window = feeding.context_window,
                                               .n_sinks = feeding.n_sinks});
    lckv_session *session = make_session(cache);
    for (size_t at = 0; at < n; at += feeding.chunk) {
        const size_t some = at + feeding.chunk < n ? feeding.chunk : n - at;
        lckv_item item = make_item(session, tokens + at, some, logits + at * n_vocab, n_vocab);
        ck_assert_ok(lckv_evaluate(cache, &item, sizeof item, 1, &options, NULL));
    }
    uint64_t least;
    ck_assert_ok(lckv_session_min_length(session, &least));
    lckv_session_release(session);
    lckv_cache_release(cache);
    return least;
}

/*
 * Compares logits, [.., n_vocab], with those that the oracle's file has under the name `expected`,
 * for the tokens that it lists under the name `rows`. `name` is that of the model.
 */
static inline void check_listed_rows(const char *name, const struct safetensors *file,
                                     const char *rows, const char *expected, size_t n_vocab,
                                     const float *logits)
{
    const struct safetensors_array *listed = safetensors_find(file, rows);
    const struct safetensors_array *oracle = safetensors_find(file, expected);
    ck_assert_uint_eq(oracle->n_elements, listed->n_elements * n_vocab);
    for (size_t i = 0; i < listed->n_elements; i++) {
        const size_t row = (size_t)((const int32_t *)listed->data)[i];
        const float *ours = logits + row * n_vocab;
        const float *theirs = (const float *)oracle->data + i * n_vocab;
        for (size_t v = 0; v < n_vocab; v++)
            if (!(fabs((double)ours[v] - theirs[v]) < TOLERANCE))
                ck_abort_msg("%s: %s: token %zu, logit %zu is %g, expected %g", name, expected, row,
                             v, (double)ours[v], (double)theirs[v]);
    }
}

#endif
