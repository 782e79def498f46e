/*
 * Every call of the parts of the interface that work on a cache: see every_call.c.
 */
#include "every_call.h"

#include <math.h>

static int32_t no_comma(void *user, float *logits, size_t n_vocab)
{
    ((struct calls *)user)->logits += n_vocab == 4096;
    logits[0] = -INFINITY;
    return 0;
}

static int32_t take_token(void *user, lckv_token token, const char *text, size_t length)
{
    ((struct calls *)user)->tokens += token >= -1 && (length == 0 || text[0] != 0);
    return 0;
}

/* What has been saved: bytes that are written at the end and read from the beginning. */
struct saved {
    unsigned char bytes[1 << 18];
    size_t end, place;
    char note[8];
};

static int32_t take_bytes(void *user, const void *bytes, size_t length)
{
    struct saved *saved = user;
    if (length > sizeof saved->bytes - saved->end)
        return 1;
    memcpy(saved->bytes + saved->end, bytes, length);
    saved->end += length;
    return 0;
}

static int32_t give_bytes(void *user, void *bytes, size_t length, size_t *n_read)
{
    struct saved *saved = user;
    size_t left = saved->end - saved->place;
    *n_read = length < left ? length : left;
    memcpy(bytes, saved->bytes + saved->place, *n_read);
    saved->place += *n_read;
    return 0;
}

static int32_t take_note(void *user, const void *bytes, size_t length)
{
    strncat(((struct saved *)user)->note, bytes, length);
    return 0;
}

lckv_cache *make_cache(const lckv_model *model, lckv_pool *pool)
{
    lckv_cache *cache;
    OPTIONS(lckv_cache_options, options);
    RESULT(lckv_cache_estimate_report, estimate);
    RESULT(lckv_cache_stats, stats);
    options.result.n_tokens = 512;
    options.result.max_sessions = 4;
    options.result.kv_dtype = LCKV_DTYPE_F32;
    options.result.v_dtype = LCKV_DTYPE_F16;
    options.result.reuse = LCKV_REUSE_ON;
    options.result.pool = pool;
    options.result.waits = 1;
    OK(lckv_cache_estimate(model, &options.result, 64, &estimate.result));
    WHOLE(estimate);
    EXPECT(estimate.result.sessions_that_fit == 4 && estimate.result.max_sessions == 4);
    OK(lckv_cache_create(model, &options.result, &cache));
    OK(lckv_cache_get_stats(cache, &stats.result));
    WHOLE(stats);
    EXPECT(stats.result.kv_dtype == LCKV_DTYPE_F32 && stats.result.v_dtype == LCKV_DTYPE_F16);
    EXPECT(stats.result.bytes_per_token == 3 * 4 * 32 * (4 + 2));
    EXPECT(stats.result.page_bytes == estimate.result.page_bytes);
    EXPECT(stats.result.n_pages == estimate.result.n_pages);
    EXPECT(stats.result.n_pages_free == stats.result.n_pages && stats.result.n_pages_kept == 0);
    EXPECT(stats.result.page_bytes_total == estimate.result.page_bytes_total);
    EXPECT(stats.result.scratch_bytes == estimate.result.scratch_bytes);
    EXPECT(stats.result.n_sessions == 0 && stats.result.max_sessions == 4);
    EXPECT(stats.result.page_positions == 64 && stats.result.rollback == 64);
    EXPECT(stats.result.max_rows == 256 && stats.result.max_logit_rows == 4);
    EXPECT(stats.result.n_reuses == 0 && stats.result.n_reused_tokens == 0);
    EXPECT(stats.result.n_threads == 2 && stats.result.context_window == 0);
    EXPECT(lckv_cache_model(cache) == model);
    lckv_cache_retain(cache);
    lckv_cache_release(cache);
    lckv_cache_cancel(cache);
    return cache;
}

void use_evaluate(lckv_cache *cache, lckv_session *session, const lckv_token *tokens,
                  size_t n_tokens)
{
    static float hidden[64 * 256], kv[2][64 * 4 * 32];
    const float *logits;
    size_t n_rows;
    const lckv_item item = {.session = session,
                            .tokens = tokens,
                            .n_tokens = n_tokens,
                            .want = LCKV_WANT_LAST | LCKV_WANT_HIDDEN_ALL,
                            .hidden = hidden,
                            .hidden_capacity = sizeof hidden / sizeof *hidden};
    OPTIONS(lckv_evaluate_options, options);
    RESULT(lckv_evaluate_report, report);
    options.result.prefill = LCKV_PREFILL_AUTO;
    options.result.window = 4;
    options.result.tolerance = 0.01F;
    OK(lckv_evaluate_cost(cache, &item, sizeof item, 1, &options.result, &report.result));
    WHOLE(report);
    EXPECT(report.result.pages_needed == 3 && report.result.n_tokens == n_tokens);
    OK(lckv_evaluate(cache, &item, sizeof item, 1, &options.result, &report.result));
    WHOLE(report);
    EXPECT(report.result.failed_item == -1 && report.result.n_rows >= n_tokens);
    EXPECT(report.result.pages_free > 3 && report.result.n_passes > 0);
    EXPECT(report.result.window == 4 && report.result.tolerance == 0.01F);
    EXPECT(report.result.seconds > 0);
    OK(lckv_session_logits(session, &logits, &n_rows));
    EXPECT(n_rows == 1 && isfinite(logits[4095]) && isfinite(hidden[n_tokens * 256 - 1]));
    OK(lckv_session_read_kv(session, 2, 0, n_tokens, kv[0], kv[1]));
    EXPECT(isfinite(kv[1][n_tokens * 4 * 32 - 1]));
}

void use_sessions(lckv_cache *cache, lckv_session *session, const lckv_token *tokens,
                  size_t n_tokens)
{
    lckv_token read[64];
    size_t n;
    uint64_t length;
    char text[64];
    lckv_session *fork, *other;
    OK(lckv_session_length(session, &length));
    EXPECT(length == n_tokens);
    OK(lckv_session_min_length(session, &length));
    EXPECT(length == 0 && lckv_session_cache(session) == cache);
    OK(lckv_session_tokens(session, read, 64, &n));
    EXPECT(n == n_tokens && memcmp(read, tokens, n * sizeof *read) == 0);
    OK(lckv_session_fork(session, &fork));
    OK(lckv_session_truncate(fork, 2));
    OK(lckv_session_read_tokens(fork, 1, 2, read));
    EXPECT(read[0] == tokens[1]);
    EXPECT(lckv_session_truncate(fork, 9) == LCKV_INVALID_ARGUMENT);
    EXPECT(lckv_cache_last_error(cache, text, sizeof text) > 0);
    OK(lckv_session_create(cache, &other));
    OK(lckv_session_reuse(other, tokens, n_tokens, &n));
    EXPECT(n < n_tokens);
    lckv_session_retain(other);
    lckv_session_release(other);
    lckv_session_release(other);
    lckv_session_release(fork);
}

void use_saved(lckv_cache *cache, lckv_session *session, const char *path)
{
    static struct saved saved;
    size_t n;
    uint64_t length;
    lckv_session *again;
    struct calls calls = {0};
    OPTIONS(lckv_save_options, saving);
    OPTIONS(lckv_restore_options, restoring);
    saving.result.note = "note";
    saving.result.note_length = 4;
    saving.result.progress = progress;
    saving.result.progress_user = &calls;
    restoring.result.any_kernels = 1;
    restoring.result.note = take_note;
    restoring.result.note_user = &saved;
    restoring.result.progress = progress;
    restoring.result.progress_user = &calls;
    OK(lckv_sessions_save(&session, 1, take_bytes, &saved, &saving.result));
    OK(lckv_sessions_restore(cache, give_bytes, &saved, &restoring.result, &again, 1, &n));
    EXPECT(n == 1 && strcmp(saved.note, "note") == 0 && calls.steps > 0);
    OK(lckv_session_length(again, &length));
    EXPECT(length > 0);
    lckv_session_release(again);
    OK(lckv_sessions_save_file(&session, 1, path, NULL));
    OK(lckv_sessions_restore_file(cache, path, NULL, &again, 1, &n));
    lckv_session_release(again);
}

lckv_sampler *use_sampler(lckv_session *session, struct calls *calls,
                          const lckv_allocator *allocator)
{
    static float logits[4096], log_probabilities[4096];
    const lckv_logit_bias bias = {.token = 17, .bias = 5};
    lckv_token one, two;
    lckv_sampler *sampler, *clone;
    OPTIONS(lckv_sampler_options, options);
    options.result.temperature = 0.8F;
    options.result.top_k = 40;
    options.result.top_p = 0.9F;
    options.result.min_p = 0.01F;
    options.result.repetition_penalty = 1.1F;
    options.result.frequency_penalty = 0.1F;
    options.result.presence_penalty = 0.1F;
    options.result.penalty_window = 32;
    options.result.seed = 7;
    options.result.logit_bias = &bias;
    options.result.n_logit_bias = 1;
    options.result.callback = no_comma;
    options.result.callback_user = calls;
    options.result.allocator = allocator;
    OK(lckv_sampler_create(&options.result, &sampler));
    OK(lckv_sampler_clone(sampler, &clone));
    OK(lckv_sampler_sample_session(sampler, session, &one));
    OK(lckv_sampler_sample_session(clone, session, &two));
    EXPECT(one == two && calls->logits == 2);
    OK(lckv_sampler_accept(sampler, one));
    OK(lckv_sampler_reset(sampler));
    logits[99] = 50;
    OK(lckv_sampler_sample(sampler, logits, 4096, &one));
    EXPECT(one == 99);
    OK(lckv_log_probabilities(logits, 4096, log_probabilities));
    EXPECT(log_probabilities[99] > -1e-3F && log_probabilities[98] < -49);
    lckv_sampler_retain(clone);
    lckv_sampler_release(clone);
    lckv_sampler_release(clone);
    return sampler;
}

void use_generate(lckv_session *session, lckv_sampler *sampler, const lckv_token *prompt,
                  struct calls *calls)
{
    const lckv_string stop = {"The Moon", 8};
    OPTIONS(lckv_generate_options, options);
    RESULT(lckv_generate_report, report);
    options.result.max_tokens = 12;
    options.result.stops = &stop;
    options.result.n_stops = 1;
    options.result.ignore_end = 1;
    options.result.prefill = LCKV_PREFILL_EXACT;
    options.result.callback = take_token;
    options.result.callback_user = calls;
    OK(lckv_generate(session, sampler, prompt, 1, &options.result, &report.result));
    WHOLE(report);
    EXPECT(report.result.reason == LCKV_STOP_LENGTH && report.result.n_prompt == 1);
    EXPECT(report.result.n_generated == 12 && calls->tokens >= 12);
    EXPECT(report.result.prompt_seconds > 0 && report.result.decode_seconds > 0);
    EXPECT(report.result.n_prompt_rows >= 1 && report.result.n_prompt_passes >= 1);
    EXPECT(report.result.window == 0 && report.result.residual == 0);
}
