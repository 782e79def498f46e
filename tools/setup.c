/*
 * See setup.h.
 */
#include "setup.h"

#include "progress.h"
#include "report.h"

#include <inttypes.h>
#include <stdlib.h>

static lckv_weights weights_mode(const struct model_settings *settings)
{
    if (settings->stream_weights)
        return LCKV_WEIGHTS_STREAMED;
    return settings->without_weights ? LCKV_WEIGHTS_NONE : LCKV_WEIGHTS_DEFAULT;
}

int open_model(const struct model_settings *settings, lckv_log_callback log, lckv_model **model)
{
    if (settings->stream_bytes != 0 && !settings->stream_weights) {
        complain("--stream-bytes belongs to --stream-weights");
        return EXIT_USAGE;
    }
    struct progress progress = progress_begin("reading weights");
    lckv_model_options options = {
        .size = sizeof options,
        .kernel_set = settings->kernel_set,
        .precision = settings->precision,
        .gemm = settings->gemm,
        .sliding_window = (uint32_t)settings->sliding_window,
        .weights = weights_mode(settings),
        .stream_bytes = settings->stream_bytes,
        .rope_context = settings->rope_context,
        .log = log,
        .log_user = settings->log_user,
        .progress = progress_update,
        .progress_user = &progress,
    };
    lckv_status status = lckv_model_open(settings->path, &options, model);
    progress_end(&progress);
    return status == LCKV_OK ? EXIT_SUCCESS : fail_library();
}

lckv_evaluate_options evaluate_options(struct prefill prefill)
{
    return (lckv_evaluate_options){
        .size = sizeof(lckv_evaluate_options),
        .prefill = prefill.mode,
        .forward_passes = prefill.forward_passes,
        .backward_passes = prefill.backward_passes,
        .window = prefill.window,
        .tolerance = prefill.tolerance,
    };
}

bool prefill_takes_whole(struct prefill prefill)
{
    return prefill.mode == LCKV_PREFILL_ITERATED || prefill.mode == LCKV_PREFILL_MODEL;
}

int tokenize_text(const lckv_model *model, const char *text, size_t length, uint32_t flags,
                  struct token_list *tokens)
{
    size_t count = 0;
    lckv_status status = lckv_tokenize(model, text, length, flags, NULL, 0, &count);
    if (status != LCKV_OK && status != LCKV_BUFFER_TOO_SMALL)
        return fail_library();
    lckv_token *ids = calloc(count + 1, sizeof *ids);
    if (ids == NULL)
        return fail_memory();
    if (lckv_tokenize(model, text, length, flags, ids, count, &count) != LCKV_OK) {
        free(ids);
        return fail_library();
    }
    free(tokens->ids);
    *tokens = (struct token_list){ids, count};
    return EXIT_SUCCESS;
}

bool model_adds_bos(const lckv_model *model)
{
    lckv_token around[8]; /* the tokens that the rule puts around an empty text */
    size_t count = 0;
    if (lckv_tokenize(model, "", 0, 0, around, sizeof around / sizeof around[0], &count) != LCKV_OK)
        return false;
    return count > 0 && around[0] == lckv_model_special_token(model, LCKV_SPECIAL_BOS);
}

uint32_t prompt_flags(const lckv_model *model)
{
    return model_adds_bos(model) ? LCKV_TOKENIZE_BOS : LCKV_TOKENIZE_NO_BOS;
}

int tokenize_prompt(const lckv_model *model, const char *text, size_t length,
                    struct token_list *tokens)
{
    return tokenize_text(model, text, length, prompt_flags(model), tokens);
}

char *plan_string(const lckv_plan *plan, plan_writer write)
{
    size_t length = 0;
    lckv_status status = write(plan, NULL, 0, &length);
    if (status != LCKV_OK && status != LCKV_BUFFER_TOO_SMALL) {
        fail_library();
        return NULL;
    }
    char *text = malloc(length + 1);
    if (text == NULL) {
        fail_memory();
        return NULL;
    }
    if (write(plan, text, length + 1, &length) != LCKV_OK) {
        fail_library();
        free(text);
        return NULL;
    }
    return text;
}

lckv_kv_shape *model_kv_shapes(const lckv_model *model, size_t *n)
{
    lckv_model_info info = {.size = sizeof info};
    if (lckv_model_get_info(model, &info) != LCKV_OK) {
        fail_library();
        return NULL;
    }
    lckv_kv_shape *shapes = calloc(info.n_layers + 1u, sizeof *shapes);
    if (shapes == NULL)
        fail_memory();
    for (uint32_t i = 0; shapes != NULL && i < info.n_layers; i++) {
        lckv_model_layer layer = {.size = sizeof layer};
        if (lckv_model_get_layer(model, i, &layer) != LCKV_OK) {
            fail_library();
            free(shapes);
            return NULL;
        }
        shapes[i] = layer.kv_shape;
    }
    *n = info.n_layers;
    return shapes;
}

/* Answers a request for this model. Complains and returns an exit status. */
static int estimate(const lckv_model *model, lckv_memory_request *request,
                    lckv_memory_report *report)
{
    lckv_kv_shape *shapes = model_kv_shapes(model, &request->n_kv_shapes);
    if (shapes == NULL)
        return EXIT_FAILURE;
    request->kv_shapes = shapes;
    lckv_status status = lckv_memory_estimate(request, report);
    free(shapes);
    return status == LCKV_OK ? EXIT_SUCCESS : fail_library();
}

/*
 * Makes a memory request for this model, without the shapes of its layers. Complains and returns an
 * exit status.
 */
static int request_for(const lckv_model *model, const struct cache_settings *cache,
                       uint64_t context, lckv_memory_request *request)
{
    lckv_model_info info = {.size = sizeof info};
    if (lckv_model_get_info(model, &info) != LCKV_OK)
        return fail_library();
    *request = (lckv_memory_request){
        .size = sizeof *request,
        .plan = lckv_model_plan(model),
        .kv_dtype = cache->kv_types.keys,
        .v_dtype = cache->kv_types.values,
        .sliding_window = info.sliding_window,
        .context = context,
        .context_window = (uint32_t)cache->context_window,
        .n_sinks = (uint32_t)cache->n_sinks,
    };
    return EXIT_SUCCESS;
}

/* The bytes that the system could give to a program now; 0 if it does not tell. */
static uint64_t available_memory(void)
{
    FILE *file = fopen("/proc/meminfo", "re");
    char line[128];
    uint64_t kibibytes = 0;
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "MemAvailable: %" SCNu64, &kibibytes) == 1)
            break;
    }
    if (file != NULL)
        fclose(file);
    return kibibytes * 1024;
}

/* Complains that there is no memory for the pages of a cache, and says how much is needed. */
static int fail_pages(const lckv_model *model, const lckv_cache_options *options,
                      const char *remedy)
{
    lckv_memory_request request;
    lckv_memory_report report = {.size = sizeof report};
    uint64_t n_sessions = options->max_sessions;
    const struct cache_settings cache = {.kv_types = {options->kv_dtype, options->v_dtype},
                                         .context_window = options->context_window,
                                         .n_sinks = options->n_sinks};
    int status = request_for(model, &cache, options->n_tokens / n_sessions, &request);
    if (status != EXIT_SUCCESS)
        return status;
    request.n_sessions = n_sessions;
    request.budget_bytes = available_memory();
    status = estimate(model, &request, &report);
    if (status != EXIT_SUCCESS)
        return status;
    if (report.bytes_needed < request.budget_bytes)
        return fail_library(); /* the pages fit; something else failed, or there is a limit */
    char fits[96] = "";
    if (request.budget_bytes > 0)
        snprintf(fits, sizeof fits, "; %s are available, enough for %" PRIu64 " tokens%s",
                 human_bytes(request.budget_bytes).text, report.context_that_fits,
                 n_sessions > 1 ? " each" : "");
    char sessions[64] = "a context";
    if (n_sessions > 1)
        snprintf(sessions, sizeof sessions, "%" PRIu64 " sessions, each", n_sessions);
    complain("out of memory: %s of %" PRIu64 " tokens need%s %s for keys and values (%" PRIu64
             " bytes a token)%s: give %s",
             sessions, request.context, n_sessions > 1 ? "" : "s",
             human_bytes(report.bytes_needed).text, report.bytes_per_token, fits, remedy);
    return EXIT_FAILURE;
}

int create_cache(const lckv_model *model, const lckv_cache_options *options, const char *remedy,
                 lckv_cache **cache)
{
    lckv_status status = lckv_cache_create(model, options, cache);
    if (status == LCKV_OUT_OF_MEMORY)
        return fail_pages(model, options, remedy);
    return status == LCKV_OK ? EXIT_SUCCESS : fail_library();
}

bool note_training_context(const lckv_model *model, uint64_t n_tokens)
{
    lckv_model_info info = {.size = sizeof info};
    if (lckv_model_get_info(model, &info) != LCKV_OK || info.context_length == 0 ||
        n_tokens <= info.context_length)
        return false;
    complain("note: %" PRIu64 " tokens are more than the %" PRIu32
             " that the model was trained for; what it makes of those beyond may be poor",
             n_tokens, info.context_length);
    return true;
}

int model_memory(const lckv_model *model, const struct cache_settings *cache, uint64_t context,
                 lckv_memory_report *report)
{
    lckv_memory_request request;
    int status = request_for(model, cache, context, &request);
    if (status != EXIT_SUCCESS)
        return status;
    report->size = sizeof *report;
    return estimate(model, &request, report);
}
