/*
 * See setup.h.
 */
#include "setup.h"

#include "progress.h"
#include "report.h"

#include <stdlib.h>

int open_model(const struct model_settings *settings, lckv_log_callback log, lckv_model **model)
{
    struct progress progress = progress_begin("reading weights");
    lckv_model_options options = {
        .size = sizeof options,
        .kernel_set = settings->kernel_set,
        .precision = settings->precision,
        .gemm = settings->gemm,
        .sliding_window = (uint32_t)settings->sliding_window,
        .log = log,
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
    lckv_token around[8]; /* what the rule puts around the empty text */
    size_t count = 0;
    if (lckv_tokenize(model, "", 0, 0, around, sizeof around / sizeof around[0], &count) != LCKV_OK)
        return false;
    return count > 0 && around[0] == lckv_model_special_token(model, LCKV_SPECIAL_BOS);
}

int tokenize_prompt(const lckv_model *model, const char *text, size_t length,
                    struct token_list *tokens)
{
    return tokenize_text(model, text, length,
                         model_adds_bos(model) ? LCKV_TOKENIZE_BOS : LCKV_TOKENIZE_NO_BOS, tokens);
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

int model_memory(const lckv_model *model, lckv_dtype kv_type, uint64_t context,
                 lckv_memory_report *report)
{
    lckv_model_info info = {.size = sizeof info};
    if (lckv_model_get_info(model, &info) != LCKV_OK)
        return fail_library();
    lckv_memory_request request = {
        .size = sizeof request,
        .plan = lckv_model_plan(model),
        .n_kv_heads = info.n_kv_heads,
        .head_dim = info.head_dim,
        .kv_dtype = kv_type,
        .sliding_window = info.sliding_window,
        .context = context,
    };
    report->size = sizeof *report;
    return lckv_memory_estimate(&request, report) == LCKV_OK ? EXIT_SUCCESS : fail_library();
}
