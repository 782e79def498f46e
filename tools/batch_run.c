/*
 * See batch_run.h.
 */
#include "batch_run.h"

#include "batch_loop.h"
#include "json.h"
#include "report.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* The rows that prompts have in a call beside as many as there are sessions. */
enum { PROMPT_ROWS = 192 };

/*
 * Adds what decides the answers of all lines: the model, and how it is computed. The model's own
 * fingerprint stands for its shape, its plan and its weights.
 */
static int add_settings(struct fingerprint *fingerprint, const lckv_model *model,
                        const struct batch_settings *settings)
{
    lckv_model_info info = {.size = sizeof info};
    uint64_t of_model;
    if (lckv_model_get_info(model, &info) != LCKV_OK ||
        lckv_model_fingerprint(model, &of_model) != LCKV_OK)
        return fail_library();
    const struct kv_types_text kv_types = kv_types_text(settings->cache.kv_types);
    const uint64_t numbers[] = {of_model, info.sliding_window, (uint64_t)info.precision,
                                settings->ignore_end};
    fingerprint_add_text(fingerprint, info.name, strlen(info.name));
    fingerprint_add_text(fingerprint, kv_types.text, strlen(kv_types.text));
    fingerprint_add(fingerprint, numbers, sizeof numbers);
    return EXIT_SUCCESS;
}

/* ---- The summary ---- */

static double mean_sessions(const struct batch_loop *loop)
{
    return loop->n_calls > 0 ? (double)loop->n_items / (double)loop->n_calls : 0;
}

static void print_json(const struct batch_loop *loop, double seconds, bool is_interrupted)
{
    const struct batch_output *output = loop->output;
    struct json json = json_open(stdout);
    json_add_unsigned(&json, "prompts", loop->input->n_prompts);
    json_add_unsigned(&json, "answers", output->n_answers);
    json_add_unsigned(&json, "answered_before", loop->input->n_skipped);
    json_add_unsigned(&json, "errors", output->n_errors);
    json_add_bool(&json, "interrupted", is_interrupted);
    json_add_unsigned(&json, "prompt_tokens", loop->n_prompt_tokens);
    json_add_unsigned(&json, "completion_tokens", loop->n_new_tokens);
    json_add_real(&json, "seconds", seconds, 6);
    json_add_real(&json, "evaluate_seconds", loop->evaluate_seconds, 6);
    json_add_real(&json, "tokens_per_second", per_second((double)loop->n_new_tokens, seconds), 6);
    json_add_real(&json, "mean_sessions", mean_sessions(loop), 6);
    json_add_unsigned(&json, "most_sessions", loop->most_sessions);
    json_add_unsigned(&json, "calls", loop->n_calls);
    json_add_unsigned(&json, "begun_again", loop->queue.n_yielded);
    json_add_unsigned(&json, "reused_tokens", loop->queue.n_reused);
    json_close(&json);
}

static void print_figures(const struct batch_loop *loop, double seconds)
{
    const struct batch_output *output = loop->output;
    uint64_t n_before = loop->input->n_skipped;
    char before[48] = "", errors[64] = "";
    if (n_before > 0)
        snprintf(before, sizeof before, " (%" PRIu64 " more were there)", n_before);
    if (output->n_errors > 0)
        snprintf(errors, sizeof errors, ", %" PRIu64 " line%s with an error", output->n_errors,
                 plural(output->n_errors));
    fprintf(stderr,
            "%" PRIu64 " answer%s%s%s; %" PRIu64 " tokens of prompts, %" PRIu64
            " generated in %s, %.1f tokens/s; %.1f sessions at once\n",
            output->n_answers, plural(output->n_answers), before, errors, loop->n_prompt_tokens,
            loop->n_new_tokens, human_seconds(seconds).text,
            per_second((double)loop->n_new_tokens, seconds), mean_sessions(loop));
}

static int sum_up(const struct batch_settings *settings, const struct batch_loop *loop, int status)
{
    bool is_interrupted = status == EXIT_INTERRUPTED;
    double seconds = now_seconds() - loop->began;
    if (status != EXIT_SUCCESS && !is_interrupted)
        return status;
    if (settings->as_json)
        print_json(loop, seconds, is_interrupted);
    print_figures(loop, seconds);
    if (is_interrupted && loop->output->is_kept)
        complain("interrupted; the same command goes on from what %s has", loop->output->path);
    return status == EXIT_SUCCESS && loop->output->n_errors > 0 ? EXIT_FAILURE : status;
}

/* ---- Opening and closing ---- */

static int run_with_cache(const struct batch_settings *settings, struct batch_loop *loop)
{
    const lckv_model *model = loop->model.model;
    lckv_plan_info plan = {.size = sizeof plan};
    loop->max_rows = (uint32_t)settings->n_sessions + PROMPT_ROWS;
    lckv_cache_options options = {
        .size = sizeof options,
        .budget_bytes = settings->memory,
        .max_sessions = (uint32_t)settings->n_sessions,
        .kv_dtype = settings->cache.kv_types.keys,
        .v_dtype = settings->cache.kv_types.values,
        .n_threads = (uint32_t)settings->cache.n_threads,
        .max_rows = loop->max_rows,
    };
    lckv_cache *cache = NULL;
    if (lckv_plan_get_info(lckv_model_plan(model), &plan) != LCKV_OK)
        return fail_library();
    lckv_status created = lckv_cache_create(model, &options, &cache);
    if (created == LCKV_INVALID_ARGUMENT)
        complain("%s; give more --memory or fewer --sessions", lckv_last_error());
    if (created != LCKV_OK)
        return created == LCKV_INVALID_ARGUMENT ? EXIT_FAILURE : fail_library();
    loop->is_upward = plan.n_upward > 0;
    loop->progress = progress_begin("batch");
    loop->n_lines = loop->progress.is_shown ? batch_input_count(loop->input) : 0;
    int status = batch_queue_init(&loop->queue, cache, plan.n_slots);
    if (status == EXIT_SUCCESS)
        status = batch_loop_run(loop);
    int closed = batch_output_close(loop->output);
    status = sum_up(settings, loop, closed != EXIT_SUCCESS ? closed : status);
    batch_queue_free(&loop->queue);
    lckv_cache_release(cache);
    return status;
}

static int run_with_model(const struct batch_settings *settings, struct batch_input *input,
                          const lckv_model *model)
{
    struct batch_output output = {.descriptor = -1};
    struct batch_loop loop = {.input = input, .output = &output};
    lckv_model_info info = {.size = sizeof info};
    if (lckv_model_get_info(model, &info) != LCKV_OK)
        return fail_library();
    loop.model = (struct batch_model){
        .model = model,
        .n_vocab = info.n_vocab,
        .has_text = info.has_tokenizer != 0,
        .prompt_flags = prompt_flags(model),
        .ignore_end = settings->ignore_end,
    };
    input->defaults = settings->defaults;
    input->settings = fingerprint_begin();
    input->output = &output;
    int status = add_settings(&input->settings, model, settings);
    if (status == EXIT_SUCCESS)
        status = batch_output_open(&output, settings->output, &input->ids);
    if (status == EXIT_SUCCESS)
        status = run_with_cache(settings, &loop);
    batch_output_close(&output);
    return status;
}

int batch_run(const struct batch_settings *settings)
{
    struct batch_input input = {0};
    lckv_model *model = NULL;
    int status = batch_input_open(&input, settings->input);
    if (status == EXIT_SUCCESS)
        status = open_model(&settings->model, NULL, &model);
    if (status == EXIT_SUCCESS)
        status = run_with_model(settings, &input, model);
    batch_input_close(&input);
    lckv_model_release(model);
    return status;
}
