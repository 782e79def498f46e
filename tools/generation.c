/*
 * See generation.h.
 */
#include "generation.h"

#include "interrupt.h"
#include "json.h"
#include "report.h"
#include "show.h"
#include "stream.h"

#include <inttypes.h>
#include <stdlib.h>

/* One generation: what the model was given, and the result. */
struct generation {
    const struct generate_settings *settings;
    const lckv_model *model;
    struct prompt prompt;
    struct stream stream;
    lckv_generate_report report;
    lckv_memory_report memory;
    uint64_t context;
    uint64_t n_restored; /* tokens of the session before the prompt */
};

/* Tokens of the prompt per second. The time for the prompt includes that of the first new token. */
static double prompt_speed(const lckv_generate_report *report)
{
    return per_second((double)report->n_prompt, report->prompt_seconds);
}

static double decode_speed(const lckv_generate_report *report)
{
    uint64_t n = report->n_generated > 0 ? report->n_generated - 1 : 0;
    return per_second((double)n, report->decode_seconds);
}

static double saved_times(const lckv_memory_report *memory)
{
    return (double)memory->standard_bytes_per_token / (double)memory->bytes_per_token;
}

/* The most tokens that the text may have. */
static uint64_t most_tokens(const struct generation *generation)
{
    uint64_t room = generation->context - generation->n_restored - generation->prompt.tokens.count;
    return room < generation->settings->n_tokens ? room : generation->settings->n_tokens;
}

static const char *reason_name(lckv_stop_reason reason)
{
    static const char *const names[] = {"length", "end", "stop", "callback", "full", "cancelled"};
    bool is_known = reason >= 0 && (size_t)reason < sizeof names / sizeof names[0];
    return is_known ? names[reason] : "unknown";
}

static void print_json(const struct generation *generation)
{
    const lckv_generate_report *report = &generation->report;
    const lckv_memory_report *memory = &generation->memory;
    struct json json = json_open(stdout);
    json_add_text(&json, "text", generation->stream.text.data, generation->stream.text.length);
    json_add_string(&json, "reason", interrupt_came() ? "cancelled" : reason_name(report->reason));
    json_add_tokens(&json, "prompt_tokens", generation->prompt.tokens.ids,
                    generation->prompt.tokens.count);
    json_add_tokens(&json, "tokens", generation->stream.tokens.ids,
                    generation->stream.tokens.count);
    json_add_unsigned(&json, "n_prompt", report->n_prompt);
    json_add_unsigned(&json, "n_generated", report->n_generated);
    json_add_unsigned(&json, "n_prompt_rows", report->n_prompt_rows);
    json_add_unsigned(&json, "n_prompt_passes", report->n_prompt_passes);
    json_add_unsigned(&json, "window", report->window);
    json_add_real(&json, "tolerance", (double)report->tolerance, 6);
    json_add_real(&json, "residual", (double)report->residual, 6);
    json_add_real(&json, "prompt_seconds", report->prompt_seconds, 6);
    json_add_real(&json, "decode_seconds", report->decode_seconds, 6);
    json_add_real(&json, "prompt_tokens_per_second", prompt_speed(report), 6);
    json_add_real(&json, "decode_tokens_per_second", decode_speed(report), 6);
    json_add_unsigned(&json, "kv_bytes_per_token", memory->bytes_per_token);
    json_add_unsigned(&json, "standard_kv_bytes_per_token", memory->standard_bytes_per_token);
    json_add_real(&json, "kv_ratio", saved_times(memory), 6);
    json_close(&json);
}

static void print_figures(const struct generation *generation)
{
    const lckv_generate_report *report = &generation->report;
    const lckv_memory_report *memory = &generation->memory;
    fprintf(stderr,
            "prompt %" PRIu64 " token%s, %.1f tokens/s; generated %" PRIu64
            " token%s, %.1f tokens/s; KV cache %" PRIu64 " bytes/token, standard plan %" PRIu64
            " (%.2f times)\n",
            report->n_prompt, plural(report->n_prompt), prompt_speed(report), report->n_generated,
            plural(report->n_generated), decode_speed(report), memory->bytes_per_token,
            memory->standard_bytes_per_token, saved_times(memory));
}

static int finish(const struct generation *generation)
{
    const lckv_generate_report *report = &generation->report;
    if (generation->stream.has_failed)
        return EXIT_FAILURE;
    if (generation->settings->as_json)
        print_json(generation);
    else
        stream_end_line(&generation->stream);
    print_figures(generation);
    if (report->reason == LCKV_STOP_FULL)
        complain("note: the context of %" PRIu64 " token%s is full; --context makes it larger",
                 generation->context, plural(generation->context));
    uint64_t length = generation->n_restored + report->n_prompt + report->n_generated;
    const uint64_t window = generation->settings->cache.context_window;
    note_training_context(generation->model, window > 0 && window < length ? window : length);
    return interrupt_came() ? EXIT_INTERRUPTED : EXIT_SUCCESS;
}

/*
 * Saves the session. It lacks the last token, which nothing needed yet; if the text ends there but
 * may go on, the token belongs to it.
 */
static int save(const struct generation *generation, lckv_cache *cache, lckv_session *session)
{
    const struct token_list *tokens = &generation->stream.tokens;
    uint64_t length;
    if (lckv_session_length(session, &length) != LCKV_OK)
        return fail_library();
    const uint64_t whole = generation->n_restored + generation->prompt.tokens.count + tokens->count;
    if (length < whole && generation->report.reason != LCKV_STOP_END) {
        const lckv_item item = {.session = session,
                                .tokens = tokens->ids + tokens->count - (whole - length),
                                .n_tokens = (size_t)(whole - length)};
        if (lckv_evaluate(cache, &item, sizeof item, 1, NULL, NULL) != LCKV_OK)
            return fail_library();
    }
    return save_session(session, generation->settings->saved.save_to, NULL);
}

static int generate(struct generation *generation, lckv_cache *cache, lckv_session *session,
                    lckv_sampler *sampler)
{
    const struct generate_settings *settings = generation->settings;
    lckv_generate_options options = {
        .size = sizeof options,
        .max_tokens = most_tokens(generation),
        .stops = settings->stops.items,
        .n_stops = settings->stops.count,
        .ignore_end = settings->ignore_eos,
        .prefill = settings->prefill.mode,
        .window = settings->prefill.window,
        .tolerance = settings->prefill.tolerance,
        .callback = stream_take,
        .callback_user = &generation->stream,
    };
    if (!settings->as_json && (settings->echo || shows_on_terminal()))
        prompt_print(&generation->prompt);
    generation->report.size = sizeof generation->report;
    interrupt_watch(cache);
    lckv_status generated =
        lckv_generate(session, sampler, generation->prompt.tokens.ids,
                      generation->prompt.tokens.count, &options, &generation->report);
    interrupt_unwatch();
    if (generated == LCKV_CANCELLED && interrupt_came())
        return EXIT_INTERRUPTED;
    if (generated != LCKV_OK)
        return fail_library();
    /* The context is full. The cache has whole pages, so it is seldom full before the context. */
    if (generation->report.reason == LCKV_STOP_LENGTH &&
        generation->report.n_generated < settings->n_tokens)
        generation->report.reason = LCKV_STOP_FULL;
    int saved = settings->saved.save_to != NULL ? save(generation, cache, session) : EXIT_SUCCESS;
    int status = finish(generation);
    return saved == EXIT_SUCCESS ? status : saved;
}

/* Without a prompt, a restored text goes on after its last token, which is evaluated again. */
static int take_back_last_token(struct generation *generation, lckv_session *session)
{
    struct token_list *prompt = &generation->prompt.tokens;
    const uint64_t n = generation->n_restored;
    if (n == 0) {
        complain("%s holds no tokens to go on from", generation->settings->saved.restore_from);
        return EXIT_FAILURE;
    }
    lckv_token *token = calloc(1, sizeof *token);
    if (token == NULL)
        return fail_memory();
    free(prompt->ids);
    *prompt = (struct token_list){token, 1};
    if (lckv_session_read_tokens(session, n - 1, n, token) != LCKV_OK ||
        lckv_session_truncate(session, n - 1) != LCKV_OK)
        return fail_library();
    generation->n_restored--;
    return EXIT_SUCCESS;
}

static int begin_session(struct generation *generation, lckv_cache *cache, lckv_session **session)
{
    const struct saved_settings *saved = &generation->settings->saved;
    if (saved->restore_from == NULL)
        return lckv_session_create(cache, session) == LCKV_OK ? EXIT_SUCCESS : fail_library();
    int status = restore_session(cache, saved, generation->context, session, NULL);
    if (status == EXIT_SUCCESS && lckv_session_length(*session, &generation->n_restored) != LCKV_OK)
        status = fail_library();
    if (status == EXIT_SUCCESS && generation->prompt.tokens.count == 0)
        status = take_back_last_token(generation, *session);
    return status;
}

/* Whether there is room for a token behind the prompt. If not, complains. */
static int check_room(const struct generation *generation)
{
    const uint64_t n_prompt = generation->prompt.tokens.count;
    if (generation->n_restored + n_prompt < generation->context)
        return EXIT_SUCCESS;
    complain("%s has %" PRIu64 " token%s and leaves no room in a --context of %" PRIu64,
             generation->n_restored > 0 ? "the restored text with the prompt" : "the prompt",
             generation->n_restored + n_prompt, plural(generation->n_restored + n_prompt),
             generation->context);
    return EXIT_FAILURE;
}

/* The tokens that the text may have in all. */
static uint64_t choose_context(const struct generation *generation)
{
    const struct generate_settings *settings = generation->settings;
    if (settings->context != 0)
        return settings->context;
    if (settings->saved.restore_from != NULL)
        return settings->cache.context_window != 0 ? UINT32_MAX : usual_context(generation->model);
    return (uint64_t)generation->prompt.tokens.count + settings->n_tokens;
}

static int run_with_cache(struct generation *generation)
{
    const struct generate_settings *settings = generation->settings;
    generation->context = choose_context(generation);
    int status = check_room(generation);
    if (status != EXIT_SUCCESS)
        return status;
    lckv_cache_options options = {
        .size = sizeof options,
        .n_tokens = generation->context + (settings->saved.save_to != NULL), /* see save() */
        .max_sessions = 1,
        .kv_dtype = settings->cache.kv_types.keys,
        .v_dtype = settings->cache.kv_types.values,
        .n_threads = (uint32_t)settings->cache.n_threads,
        .context_window = (uint32_t)settings->cache.context_window,
        .n_sinks = (uint32_t)settings->cache.n_sinks,
    };
    if (prefill_takes_whole(settings->prefill) && generation->prompt.tokens.count > 256)
        options.max_rows = (uint32_t)generation->prompt.tokens.count;
    lckv_cache *cache = NULL;
    lckv_session *session = NULL;
    lckv_sampler *sampler = NULL;
    status = create_sampler(&settings->sampling, &sampler);
    if (status == EXIT_SUCCESS)
        status = create_cache(generation->model, &options, "a smaller -n or --context", &cache);
    if (status == EXIT_SUCCESS)
        status = begin_session(generation, cache, &session);
    if (status == EXIT_SUCCESS)
        status = check_room(generation);
    if (status == EXIT_SUCCESS)
        status = generate(generation, cache, session, sampler);
    lckv_sampler_release(sampler);
    lckv_session_release(session);
    lckv_cache_release(cache);
    return status;
}

int generate_run(const struct generate_settings *settings)
{
    lckv_model *model;
    int status = open_model(&settings->model, NULL, &model);
    if (status != EXIT_SUCCESS)
        return status;
    struct generation generation = {.settings = settings, .model = model};
    lckv_model_info info = {.size = sizeof info};
    if (lckv_model_get_info(model, &info) != LCKV_OK)
        status = fail_library();
    generation.stream.prints = !settings->as_json;
    generation.stream.shows_ids = !info.has_tokenizer;
    if (status == EXIT_SUCCESS)
        status = prompt_load(model, &settings->prompt, &generation.prompt);
    if (status == EXIT_SUCCESS)
        status = model_memory(model, &settings->cache, 0, &generation.memory);
    if (status == EXIT_SUCCESS)
        status = run_with_cache(&generation);
    prompt_free(&generation.prompt);
    stream_free(&generation.stream);
    lckv_model_release(model);
    return status;
}
