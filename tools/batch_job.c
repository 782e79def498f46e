/*
 * See batch_job.h.
 */
#include "batch_job.h"

#include "batch_prompt.h"
#include "report.h"

#include <stdlib.h>
#include <string.h>

/* An answer continues its prompt, unless the prompt ends with a token that is no text. */
static uint32_t answer_flags(const lckv_model *model, const struct token_list *prompt)
{
    const char *text;
    size_t length;
    lckv_token_type type = LCKV_TOKEN_NORMAL;
    if (prompt->count > 0 &&
        lckv_model_token(model, prompt->ids[prompt->count - 1], &text, &length, &type) != LCKV_OK)
        return 0;
    return type == LCKV_TOKEN_CONTROL ? 0u : LCKV_DETOKENIZE_CONTINUES;
}

struct batch_job *batch_job_begin(const struct batch_model *model, struct batch_request *request)
{
    struct batch_job *job = calloc(1, sizeof *job);
    if (job == NULL) {
        fail_memory();
        return NULL;
    }
    job->request = *request;
    *request = (struct batch_request){0};
    job->began = now_seconds();
    int status = batch_prompt_tokens(model, &job->request, &job->tokens);
    job->n_prompt = job->capacity = job->tokens.count;
    if (status == EXIT_SUCCESS)
        status = create_sampler(&job->request.sampling, &job->sampler);
    if (status == EXIT_SUCCESS && model->has_text &&
        lckv_detokenizer_create(model->model, answer_flags(model->model, &job->tokens),
                                &job->detokenizer) != LCKV_OK)
        status = fail_library();
    if (status == EXIT_SUCCESS)
        return job;
    batch_job_free(job);
    return NULL;
}

static bool add_token(struct batch_job *job, lckv_token token)
{
    struct token_list *tokens = &job->tokens;
    if (tokens->count == job->capacity) {
        size_t larger = job->capacity * 2 + 64;
        lckv_token *ids = realloc(tokens->ids, larger * sizeof *ids);
        if (ids == NULL)
            return false;
        tokens->ids = ids;
        job->capacity = larger;
    }
    tokens->ids[tokens->count++] = token;
    return true;
}

/*
 * Where the stop string begins that is complete first behind the first `searched` bytes: the
 * longest, if several end there. The length of the text if there is none. lckv_generate has the
 * same rule.
 */
static size_t find_stop(const struct string_list *stops, const struct bytes *text, size_t searched)
{
    for (size_t end = searched + 1; end <= text->length; end++) {
        size_t longest = 0;
        for (size_t i = 0; i < stops->count; i++) {
            const lckv_string *stop = &stops->items[i];
            if (stop->length > longest && stop->length <= end &&
                memcmp(text->data + end - stop->length, stop->text, stop->length) == 0)
                longest = stop->length;
        }
        if (longest > 0)
            return end - longest;
    }
    return text->length;
}

/* Adds text, unless a stop string was found, and looks for one. */
static bool add_text(struct batch_job *job, const char *piece, size_t length)
{
    struct bytes *text = &job->text;
    if (job->is_stopped || length == 0)
        return true;
    if (length > job->text_capacity - text->length) {
        size_t larger = (text->length + length) * 2;
        char *data = realloc(text->data, larger);
        if (data == NULL)
            return false;
        text->data = data;
        job->text_capacity = larger;
    }
    size_t searched = text->length;
    memcpy(text->data + text->length, piece, length);
    text->length += length;
    size_t kept = find_stop(&job->request.stops, text, searched);
    job->is_stopped = kept < text->length;
    text->length = kept;
    return true;
}

/* Takes a token that was chosen, and finds out whether it ends the text. */
static int take_token(const struct batch_model *model, struct batch_job *job, lckv_token token)
{
    const char *piece = "";
    size_t length = 0;
    bool is_end = !model->ignore_end && lckv_model_is_end_token(model->model, token) != 0;
    if (lckv_sampler_accept(job->sampler, token) != LCKV_OK ||
        (job->detokenizer != NULL &&
         lckv_detokenizer_push(job->detokenizer, token, &piece, &length) != LCKV_OK))
        return fail_library();
    if (!add_token(job, token) || !add_text(job, piece, length))
        return fail_memory();
    if (is_end)
        job->reason = "end";
    else if (job->is_stopped)
        job->reason = "stop";
    else if (job->tokens.count - job->n_prompt == job->request.max_tokens)
        job->reason = "length";
    return EXIT_SUCCESS;
}

int batch_job_step(const struct batch_model *model, struct batch_job *job)
{
    lckv_token token;
    lckv_status status = lckv_sampler_sample_session(job->sampler, job->session, &token);
    if (status == LCKV_INVALID_ARGUMENT) {
        batch_request_fail(&job->request, "%s", lckv_last_error());
        return EXIT_SUCCESS;
    }
    return status == LCKV_OK ? take_token(model, job, token) : fail_library();
}

int batch_job_end(const struct batch_model *model, struct batch_job *job,
                  struct batch_answer *answer)
{
    const char *piece = "";
    size_t length = 0;
    if (job->detokenizer != NULL &&
        lckv_detokenizer_flush(job->detokenizer, &piece, &length) != LCKV_OK)
        return fail_library();
    if (!add_text(job, piece, length))
        return fail_memory();
    *answer = (struct batch_answer){
        .reason = job->reason,
        .has_text = model->has_text,
        .text = job->text,
        .tokens = job->tokens.ids + job->n_prompt,
        .n_tokens = job->tokens.count - job->n_prompt,
        .n_prompt = job->n_prompt,
        .seconds = now_seconds() - job->began,
    };
    return EXIT_SUCCESS;
}

bool batch_job_is_over(const struct batch_job *job)
{
    return job->reason != NULL || job->request.problem[0] != '\0';
}

void batch_job_free(struct batch_job *job)
{
    lckv_session_release(job->session);
    lckv_sampler_release(job->sampler);
    lckv_detokenizer_release(job->detokenizer);
    batch_request_free(&job->request);
    free(job->tokens.ids);
    free(job->text.data);
    free(job);
}
