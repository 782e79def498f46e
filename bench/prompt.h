/*
 * A model, the tokens of a prompt, and a cache to encode them in: what the benchmarks of prompts
 * share. A call that fails prints why and ends the program.
 */
#ifndef BENCH_PROMPT_H
#define BENCH_PROMPT_H

#include "lckv.h"

struct prompt {
    lckv_model *model;
    lckv_cache *cache;
    lckv_token *tokens;
    size_t n_tokens, n_vocab;
};

void require(lckv_status status);

/*
 * Opens the model, with a cache for one prompt. `text` names a file: its first `n_tokens` tokens
 * are the prompt. Without one (NULL) these are any tokens.
 */
struct prompt prompt_open(const char *path, const char *text, size_t n_tokens,
                          lckv_precision precision, lckv_dtype kv_dtype, uint32_t n_threads);

/*
 * Encodes the prompt in a new session. `logits` [n_tokens, n_vocab] gets those of all tokens; if it
 * is NULL, those of the last one are computed.
 */
lckv_evaluate_report prompt_encode(const struct prompt *prompt, lckv_evaluate_options options,
                                   float *logits);

void prompt_close(struct prompt *prompt);

#endif
