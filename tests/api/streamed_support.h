/*
 * What the tests of streamed weights share: a packed file in a folder of its own, the model of that
 * file in memory and streamed, and the logits of a few calls.
 */
#ifndef LCKV_TESTS_STREAMED_SUPPORT_H
#define LCKV_TESTS_STREAMED_SUPPORT_H

#include "folder.h"
#include "reads.h"
#include "sessions.h"

enum { VOCAB = 160 /* or less */, N_SESSIONS = 3, N_TOKENS = 20, N_STEPS = 2 };

/* All logits of one trace: those of the prompts, and those of every step. */
enum { TRACE = (N_TOKENS + N_SESSIONS * N_STEPS) * VOCAB };

static const char bundled[] = "examples/models/stories-lckv-q8_0.gguf";

static char packed[FOLDER_PATH];

static inline void set_up(void)
{
    folder_make();
    folder_join(packed, "packed.gguf");
}

static inline void tear_down(void)
{
    reads_reset();
    folder_remove();
}

static inline void pack(const char *model, lckv_dtype dtype, const char *kernel_set)
{
    const lckv_convert_options options = {
        .size = sizeof options, .dtype = dtype, .packed = 1, .kernel_set = kernel_set};
    ck_assert_ok(lckv_convert(model, packed, &options, NULL));
}

static inline void pack_golden(const char *fixture, lckv_dtype dtype)
{
    char path[128];
    snprintf(path, sizeof path, "tests/data/goldens/%s", fixture);
    pack(path, dtype, NULL);
}

static inline lckv_model *open_copied(lckv_precision precision)
{
    return open_model(packed, (lckv_model_options){.precision = precision,
                                                   .gemm = LCKV_GEMM_OWN,
                                                   .weights = LCKV_WEIGHTS_COPIED});
}

static inline lckv_model_options streamed(lckv_precision precision, uint64_t stream_bytes)
{
    return (lckv_model_options){.size = sizeof(lckv_model_options),
                                .precision = precision,
                                .gemm = LCKV_GEMM_OWN,
                                .weights = LCKV_WEIGHTS_STREAMED,
                                .stream_bytes = stream_bytes};
}

static inline lckv_model *open_streamed(lckv_precision precision, uint64_t stream_bytes)
{
    return open_model(packed, streamed(precision, stream_bytes));
}

/* The least stream_bytes of the packed file, which the refusal of fewer tells. */
static inline uint64_t least_bytes(void)
{
    lckv_model *model;
    lckv_model_options options = streamed(LCKV_PRECISION_FAST, 1);
    ck_assert_status(lckv_model_open(packed, &options, &model), LCKV_INVALID_ARGUMENT);
    const char *number = strstr(lckv_last_error(), "expected at least ");
    ck_assert_ptr_nonnull(number);
    return strtoull(number + strlen("expected at least "), NULL, 10);
}

/* Appends prompts of several lengths in one call, and then tokens one by one to all sessions. */
static inline void trace(const lckv_model *model, uint32_t n_threads, lckv_prefill prefill,
                         float *logits)
{
    static const size_t lengths[N_SESSIONS] = {13, 6, 1};
    lckv_token tokens[N_TOKENS];
    lckv_cache *cache =
        make_cache(model, (lckv_cache_options){.n_threads = n_threads, .max_logit_rows = N_TOKENS});
    lckv_session *sessions[N_SESSIONS];
    lckv_item items[N_SESSIONS];
    fill_tokens(tokens, N_TOKENS);
    for (size_t s = 0, at = 0; s < N_SESSIONS; at += lengths[s++]) {
        sessions[s] = make_session(cache);
        items[s] = make_item(sessions[s], tokens + at, lengths[s], logits + at * VOCAB, VOCAB);
    }
    ck_assert_ok(run(cache, items, N_SESSIONS, prefill));
    for (size_t step = 0; step < N_STEPS; step++) {
        for (size_t s = 0; s < N_SESSIONS; s++)
            items[s] = make_item(sessions[s], tokens + step + s, 1,
                                 logits + (N_TOKENS + step * N_SESSIONS + s) * VOCAB, VOCAB);
        ck_assert_ok(run(cache, items, N_SESSIONS, LCKV_PREFILL_AUTO));
    }
    for (size_t s = 0; s < N_SESSIONS; s++)
        lckv_session_release(sessions[s]);
    lckv_cache_release(cache);
}

/* Waits until nothing has been read for some time: the thread has read ahead. */
static inline void wait_until_quiet(void)
{
    uint64_t seen = UINT64_MAX;
    while (seen != reads.n_bytes) {
        seen = reads.n_bytes;
        for (int i = 0; i < 100; i++)
            reads_sleep();
    }
}

#endif
