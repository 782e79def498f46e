/*
 * See batch_prompt.h.
 */
#include "batch_prompt.h"

#include "report.h"

#include <stdlib.h>

static lckv_status tokenize(const struct batch_model *model, const struct batch_request *request,
                            lckv_token *ids, size_t capacity, size_t *count)
{
    if (request->messages != NULL)
        return lckv_chat_tokenize(model->model, request->messages, sizeof *request->messages,
                                  request->n_messages, LCKV_CHAT_ANSWER, ids, capacity, count);
    return lckv_tokenize(model->model, request->prompt.text, request->prompt.length,
                         model->prompt_flags, ids, capacity, count);
}

/* Memory and defects of the library end the run; all else is the line's own problem. */
static int fail_tokens(struct batch_request *request, lckv_status status)
{
    if (status == LCKV_OUT_OF_MEMORY || status == LCKV_INTERNAL)
        return fail_library();
    batch_request_fail(request, "%s", lckv_last_error());
    return EXIT_SUCCESS;
}

static int tokenize_request(const struct batch_model *model, struct batch_request *request,
                            struct token_list *tokens)
{
    size_t count = 0;
    lckv_status status = tokenize(model, request, NULL, 0, &count);
    if (status != LCKV_OK && status != LCKV_BUFFER_TOO_SMALL)
        return fail_tokens(request, status);
    tokens->ids = calloc(count + 1, sizeof *tokens->ids); /* one more: perhaps BOS */
    if (tokens->ids == NULL)
        return fail_memory();
    status = tokenize(model, request, tokens->ids, count, &tokens->count);
    return status == LCKV_OK ? EXIT_SUCCESS : fail_tokens(request, status);
}

static int take_tokens(const struct batch_model *model, struct batch_request *request,
                       struct token_list *tokens)
{
    *tokens = request->tokens;
    request->tokens = (struct token_list){0};
    for (size_t i = 0; i < tokens->count; i++) {
        if ((uint32_t)tokens->ids[i] >= model->n_vocab) {
            batch_request_fail(request, "tokens: %d is no token; the model has %u", tokens->ids[i],
                               (unsigned)model->n_vocab);
            break;
        }
    }
    return EXIT_SUCCESS;
}

int batch_prompt_tokens(const struct batch_model *model, struct batch_request *request,
                        struct token_list *tokens)
{
    int status = request->tokens.ids != NULL ? take_tokens(model, request, tokens)
                                             : tokenize_request(model, request, tokens);
    if (status == EXIT_SUCCESS && !model->has_text && request->stops.count > 0)
        batch_request_fail(request, "stop: the model has no tokenizer, so it writes no text");
    if (status != EXIT_SUCCESS || tokens->count > 0 || request->problem[0] != '\0')
        return status;
    /* An empty prompt is the beginning of a text: BOS. */
    lckv_token bos = lckv_model_special_token(model->model, LCKV_SPECIAL_BOS);
    if (bos < 0)
        batch_request_fail(request,
                           "the prompt is empty, and the model has no BOS token to begin with");
    else
        tokens->ids[tokens->count++] = bos;
    return EXIT_SUCCESS;
}
