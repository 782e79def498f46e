/*
 * The generation loop. See generate.h.
 */
#include "sample/generate.h"

#include "base/status.h"
#include "engine/evaluate.h"
#include "engine/items.h"
#include "sample/sampler.h"
#include "sample/stops.h"
#include "text/detokenizer.h"

#include <time.h>

#define DEFAULT_MAX_TOKENS 256

struct generation {
    struct lckv_cache *cache; /* the caller holds it */
    struct lckv_session *session;
    struct lckv_sampler *sampler; /* holds a reference */
    const lckv_generate_options *options;
    const lckv_model *model;
    bool has_text; /* the model has a tokenizer */
    struct lckv_detokenizer detokenizer;
    struct stops stops;
    lckv_generate_report report;
    bool ended;      /* report.reason says why */
    bool stop_found; /* no more text is given out */
    bool is_silent;  /* the callback has asked to stop, and is not called again */
};

static double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void end(struct generation *generation, lckv_stop_reason reason)
{
    if (!generation->ended)
        generation->report.reason = reason;
    generation->ended = true;
}

/* A cancel ends the generation; it does not make it fail. */
static lckv_status end_if_cancelled(struct generation *generation, lckv_status status)
{
    if (status != LCKV_CANCELLED)
        return status;
    end(generation, LCKV_STOP_CANCELLED);
    return LCKV_OK;
}

static lckv_status append(struct generation *generation, const lckv_token *tokens, size_t n_tokens,
                          const lckv_evaluate_options *options, lckv_evaluate_report *report)
{
    const lckv_item item = {.session = generation->session,
                            .tokens = tokens,
                            .n_tokens = n_tokens,
                            .want = LCKV_WANT_LAST};
    /*
     * A cancel that came while a callback ran takes effect here, before the engine looks for one.
     */
    lckv_status status = cache_check_cancel(generation->cache);
    if (status != LCKV_OK)
        return status;
    return evaluate(generation->cache, &item, sizeof item, 1, options, report);
}

/* Chooses a token from the row of logits that the last step left in the cache. */
static lckv_status sample(struct generation *generation, lckv_token *token)
{
    const float *logits;
    size_t n_rows, n_vocab = generation->model->hparams.n_vocab;
    lckv_status status = session_logits(generation->session, &logits, &n_rows);
    if (status != LCKV_OK)
        return status;
    return sampler_sample(generation->sampler, logits + (n_rows - 1) * n_vocab, n_vocab, token);
}

/* Gives a token to the callback, or the text that is left at the end if `token` is -1. */
static lckv_status give(struct generation *generation, lckv_token token)
{
    const lckv_generate_options *options = generation->options;
    bool is_last = token < 0;
    struct text piece = {"", 0};
    lckv_status status = LCKV_OK;
    if (generation->has_text && is_last)
        piece = detokenizer_flush(&generation->detokenizer);
    else if (generation->has_text)
        status = detokenizer_push(&generation->detokenizer, token, &piece);
    if (status != LCKV_OK)
        return status;

    struct text ready = {"", 0};
    if (!generation->stop_found) {
        status = stops_push(&generation->stops, piece, is_last, &ready, &generation->stop_found);
        if (status != LCKV_OK)
            return status;
        if (generation->stop_found)
            end(generation, LCKV_STOP_STRING);
    }
    if (options->callback != NULL && !generation->is_silent &&
        options->callback(options->callback_user, token, ready.bytes, ready.length) != 0) {
        generation->is_silent = true;
        end(generation, LCKV_STOP_CALLBACK);
    }
    return LCKV_OK;
}

/*
 * Chooses one token from the session's logits, gives it out and, unless it is the last, appends it.
 */
static lckv_status step(struct generation *generation, uint64_t max_tokens)
{
    lckv_token token;
    lckv_status status = sample(generation, &token);
    if (status != LCKV_OK)
        return end_if_cancelled(generation, status);
    status = sampler_accept(generation->sampler, token);
    if (status != LCKV_OK)
        return status;
    generation->report.n_generated++;
    bool is_end =
        generation->options->ignore_end == 0 && model_is_end_token(generation->model, token);
    if (is_end)
        end(generation, LCKV_STOP_END);
    status = give(generation, token);
    if (status != LCKV_OK)
        return status;
    if (generation->report.n_generated == max_tokens)
        end(generation, LCKV_STOP_LENGTH);
    if (!generation->ended && !session_can_rotate(generation->session, 1))
        end(generation, LCKV_STOP_FULL);
    if (generation->ended)
        return LCKV_OK;
    const lckv_evaluate_options options = {.size = sizeof options};
    lckv_evaluate_report report;
    status = append(generation, &token, 1, &options, &report);
    if (status == LCKV_CACHE_FULL) {
        end(generation, LCKV_STOP_FULL);
        return LCKV_OK;
    }
    return end_if_cancelled(generation, status);
}

static lckv_status append_prompt(struct generation *generation, const lckv_token *prompt,
                                 size_t n_prompt)
{
    const lckv_evaluate_options options = {.size = sizeof options,
                                           .prefill = generation->options->prefill,
                                           .window = generation->options->window,
                                           .tolerance = generation->options->tolerance};
    lckv_evaluate_report report = {.size = sizeof report};
    lckv_status status = append(generation, prompt, n_prompt, &options, &report);
    if (status != LCKV_OK)
        return end_if_cancelled(generation, status);
    generation->report.n_prompt = n_prompt;
    generation->report.n_prompt_rows = report.n_rows;
    generation->report.n_prompt_passes = report.n_passes;
    generation->report.window = report.window;
    generation->report.tolerance = report.tolerance;
    generation->report.residual = report.residual;
    return LCKV_OK;
}

static lckv_status run(struct generation *generation, const lckv_token *prompt, size_t n_prompt)
{
    const lckv_generate_options *options = generation->options;
    uint64_t max_tokens = options->max_tokens == 0 ? DEFAULT_MAX_TOKENS : options->max_tokens;

    double start = seconds_now();
    lckv_status status = append_prompt(generation, prompt, n_prompt);
    double prompt_end = seconds_now();
    generation->report.prompt_seconds = prompt_end - start;
    while (status == LCKV_OK && !generation->ended)
        status = step(generation, max_tokens);
    if (status == LCKV_OK)
        status = give(generation, -1);
    generation->report.decode_seconds = seconds_now() - prompt_end;
    return status;
}

/* Prepares what the loop needs of its own. Without a sampler it makes a greedy one. */
static lckv_status prepare(struct generation *generation, struct lckv_sampler *sampler)
{
    const lckv_sampler_options options = {.size = sizeof options,
                                          .allocator = &generation->model->allocator};
    if (sampler != NULL) {
        sampler_retain(sampler); /* a callback may release it */
        generation->sampler = sampler;
    } else {
        lckv_status status = sampler_create(&options, &generation->sampler);
        if (status != LCKV_OK)
            return status;
    }
    /* Stop strings need a tokenizer; the refusal says why there is none. */
    generation->has_text = generation->model->tokenizer != NULL;
    return generation->options->n_stops > 0 ? model_check_tokenizer(generation->model) : LCKV_OK;
}

/* What is generated continues a text, unless it begins one: then the space in front goes. */
static uint32_t detokenizer_flags(const struct tokenizer *tokenizer, lckv_token last)
{
    return tokenizer != NULL && tokenizer_begins_after(tokenizer, last) ? 0
                                                                        : LCKV_DETOKENIZE_CONTINUES;
}

lckv_status generate(struct lckv_session *session, struct lckv_sampler *sampler,
                     const lckv_token *prompt, size_t n_prompt,
                     const lckv_generate_options *options, lckv_generate_report *report)
{
    struct generation generation = {.cache = session->cache,
                                    .session = session,
                                    .options = options,
                                    .model = session_model(session)};
    const struct lckv_model *model = generation.model;
    stops_init(&generation.stops, options->stops, options->n_stops, &model->allocator);
    detokenizer_init(&generation.detokenizer, model->tokenizer,
                     detokenizer_flags(model->tokenizer, prompt[n_prompt - 1]), &model->allocator);
    lckv_status status = prepare(&generation, sampler);
    if (status == LCKV_OK)
        status = run(&generation, prompt, n_prompt);
    if (status == LCKV_OK)
        *report = generation.report;
    stops_release(&generation.stops);
    detokenizer_release(&generation.detokenizer);
    sampler_release(generation.sampler);
    return status;
}
