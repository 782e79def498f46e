/*
 * The tokens that a request of lckv batch begins with.
 */
#ifndef TOOLS_BATCH_PROMPT_H
#define TOOLS_BATCH_PROMPT_H

#include "batch_job.h"

/*
 * Makes tokens of the request's prompt, messages or tokens, at least one. If that is impossible,
 * the request has a problem afterwards. Complains and returns an exit status.
 */
int batch_prompt_tokens(const struct batch_model *model, struct batch_request *request,
                        struct token_list *tokens);

#endif
