/*
 * lckv plan shows what a layer plan computes, and the memory that it needs, compared with the
 * standard plan. It needs no model.
 */
#include "commands.h"
#include "common_options.h"
#include "plan_report.h"
#include "report.h"
#include "setup.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The question as typed. What was not given is 0. */
struct question {
    const char *plan;
    struct model_settings model;
    uint64_t n_layers;
    uint64_t n_kv_heads;
    uint64_t head_dim;
    uint64_t sliding_window;
    uint64_t context;
    uint64_t memory;
    uint64_t n_sessions;
    struct cache_settings cache;
};

/* Shows the answer for a plan and the shape in `answer->request`. */
static int show(struct plan_answer *answer, const struct question *question, bool as_json)
{
    enum { ASSUMED_WINDOW = 4096 };
    lckv_memory_request *request = &answer->request;
    answer->info.size = sizeof answer->info;
    answer->report.size = sizeof answer->report;
    if (lckv_plan_get_info(answer->plan, &answer->info) != LCKV_OK)
        return fail_library();
    if (question->sliding_window != 0)
        request->sliding_window = (uint32_t)question->sliding_window;
    bool has_windows = false;
    for (uint32_t i = 0; i < answer->info.n_layers; i++) {
        lckv_layer_info layer = {.size = sizeof layer};
        if (lckv_plan_get_layer(answer->plan, i, &layer) != LCKV_OK)
            return fail_library();
        has_windows = has_windows || layer.is_windowed;
    }
    if (has_windows && request->sliding_window == 0)
        request->sliding_window = ASSUMED_WINDOW;
    request->size = sizeof *request;
    request->plan = answer->plan;
    request->kv_dtype = question->cache.kv_types.keys;
    request->v_dtype = question->cache.kv_types.values;
    request->context_window = (uint32_t)question->cache.context_window;
    request->n_sinks = (uint32_t)question->cache.n_sinks;
    request->context = question->context;
    request->budget_bytes = question->memory;
    request->n_sessions = question->n_sessions;
    if (lckv_memory_estimate(request, &answer->report) != LCKV_OK)
        return fail_library();
    int status = EXIT_FAILURE;
    answer->text = plan_string(answer->plan, lckv_plan_text);
    answer->picture = plan_string(answer->plan, lckv_plan_describe);
    if (answer->text != NULL && answer->picture != NULL)
        status = as_json ? plan_print_json(answer) : plan_print_text(answer);
    free(answer->text);
    free(answer->picture);
    return status;
}

static uint32_t count_entries(const char *plan)
{
    uint32_t n = 1;
    for (; *plan != '\0'; plan++)
        n += *plan == '_' && n < UINT32_MAX;
    return n;
}

static int parse_and_show(struct plan_answer *answer, const struct question *question,
                          uint32_t n_layers, bool as_json)
{
    bool is_standard = strcmp(question->plan, "standard") == 0;
    const char *text = is_standard ? NULL : question->plan;
    lckv_plan *plan;
    if (lckv_plan_parse(text, text != NULL ? strlen(text) : 0, n_layers, &plan) != LCKV_OK) {
        if (access(question->plan, F_OK) != 0)
            return fail_library();
        complain("plan: %s is a file, not a plan; lckv plan --model %s shows a model's plan",
                 question->plan, question->plan);
        return EXIT_USAGE;
    }
    answer->plan = plan;
    int status = show(answer, question, as_json);
    lckv_plan_release(plan);
    return status;
}

/* What a cache of the model takes of the memory asked about, scratch and tables included. */
static void ask_cache(struct plan_answer *answer, const lckv_model *model,
                      const struct question *question)
{
    const struct cache_settings *cache = &question->cache;
    const lckv_cache_options options = {.size = sizeof options,
                                        .budget_bytes = question->memory,
                                        .kv_dtype = cache->kv_types.keys,
                                        .v_dtype = cache->kv_types.values,
                                        .context_window = (uint32_t)cache->context_window,
                                        .n_sinks = (uint32_t)cache->n_sinks};
    answer->cache.size = sizeof answer->cache;
    answer->has_cache =
        lckv_cache_estimate(model, &options, question->context, &answer->cache) == LCKV_OK;
}

static int show_for_model(const struct question *question, bool as_json)
{
    lckv_model *model;
    int status = open_model(&question->model, NULL, &model);
    if (status != EXIT_SUCCESS)
        return status;
    lckv_model_info info = {.size = sizeof info};
    size_t n_shapes;
    lckv_kv_shape *shapes = model_kv_shapes(model, &n_shapes);
    if (shapes == NULL) {
        status = EXIT_FAILURE;
    } else if (lckv_model_get_info(model, &info) != LCKV_OK) {
        status = fail_library();
    } else if (lckv_model_plan(model) == NULL) {
        complain("%s", info.problem);
        status = EXIT_FAILURE;
    } else {
        struct plan_answer answer = {.plan = lckv_model_plan(model)};
        answer.request.kv_shapes = shapes;
        answer.request.n_kv_shapes = n_shapes;
        answer.request.n_kv_heads = info.n_kv_heads;
        answer.request.head_dim = info.head_dim;
        answer.request.sliding_window = info.sliding_window;
        if (question->memory != 0 && question->plan == NULL && question->sliding_window == 0)
            ask_cache(&answer, model, question);
        status = question->plan == NULL ? show(&answer, question, as_json)
                                        : parse_and_show(&answer, question, info.n_layers, as_json);
    }
    free(shapes);
    lckv_model_release(model);
    return status;
}

static int show_for_shape(const struct question *question, bool as_json)
{
    enum { ASSUMED_KV_HEADS = 8, ASSUMED_HEAD_DIM = 128 };
    struct plan_answer answer = {.is_assumed =
                                     question->n_kv_heads == 0 || question->head_dim == 0};
    answer.request.n_kv_heads =
        question->n_kv_heads != 0 ? (uint32_t)question->n_kv_heads : ASSUMED_KV_HEADS;
    answer.request.head_dim =
        question->head_dim != 0 ? (uint32_t)question->head_dim : ASSUMED_HEAD_DIM;
    uint32_t n_layers =
        question->n_layers != 0 ? (uint32_t)question->n_layers : count_entries(question->plan);
    return parse_and_show(&answer, question, n_layers, as_json);
}

int cmd_plan(int argc, char **argv)
{
    struct question question = {.model.without_weights = true,
                                .context = 4096,
                                .n_sessions = 1,
                                .cache.kv_types = KV_TYPES_DEFAULT};
    bool as_json = false;
    struct command_line line = {
        .command = "plan",
        .description =
            "Shows a layer plan: its slots and groups, and the KV memory it needs, compared with\n"
            "the standard plan. PLAN is 0_6_6_6_6_6_6_7 and the like, or standard (with --layers).",
        .examples = "lckv plan 0_6_6_6_6_6_6_7 --kv-heads 8 --head-dim 128 --memory 8GiB\n"
                    "lckv plan standard --layers 32 --context 32768\n"
                    "lckv plan --model model.gguf --json",
    };
    add_optional_argument(&line, "PLAN", &question.plan);
    add_number(&line, "--layers N", &question.n_layers, 1, UINT32_MAX,
               "layers (default: as many as PLAN has entries)");
    add_number(&line, "--kv-heads N", &question.n_kv_heads, 1, UINT32_MAX,
               "heads of keys and values (8 is assumed)");
    add_number(&line, "--head-dim N", &question.head_dim, 1, UINT32_MAX,
               "elements of a head (128 is assumed)");
    add_text(&line, "--model MODEL", &question.model.path,
             "layers and shape of this model; without PLAN also\nits plan");
    add_kv_type(&line, &question.cache.kv_types);
    add_number(&line, "-c, --context N", &question.context, 1, UINT32_MAX,
               "tokens a session (default 4096)");
    add_number(&line, "--sessions N", &question.n_sessions, 1, UINT32_MAX,
               "sessions that share the memory (default 1)");
    add_size(&line, "-m, --memory SIZE", &question.memory,
             "how much fits into SIZE: 512MiB, 8GiB, ...");
    add_number(&line, "--sliding-window N", &question.sliding_window, 1, UINT32_MAX,
               "tokens that layers with s attend to (default: the\nmodel's, else 4096)");
    add_context_window(&line, &question.cache);
    add_json(&line, &as_json);
    int status;
    if (!options_parse(&line, argc, argv, &status))
        return status;
    bool has_shape = question.n_layers != 0 || question.n_kv_heads != 0 || question.head_dim != 0;
    if (question.model.path != NULL && has_shape)
        return fail_usage("plan", "--model excludes --layers, --kv-heads and --head-dim");
    if (question.model.path != NULL)
        return show_for_model(&question, as_json);
    if (question.plan == NULL)
        return fail_usage("plan", "PLAN is missing");
    if (strcmp(question.plan, "standard") == 0 && question.n_layers == 0)
        return fail_usage("plan", "the plan standard needs --layers");
    return show_for_shape(&question, as_json);
}
