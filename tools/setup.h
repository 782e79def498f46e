/*
 * What most subcommands begin with: opening the model, tokens of a text, the memory of a plan.
 *
 * The library is called through its public header only, here as everywhere in tools/.
 */
#ifndef TOOLS_SETUP_H
#define TOOLS_SETUP_H

#include "values.h"

/* The choices of lckv_model_options. */
struct model_settings {
    const char *path;
    const char *kernel_set;
    lckv_precision precision;
    lckv_gemm gemm;
    uint64_t sliding_window;
};

/* What the options say about a cache. */
struct cache_settings {
    lckv_dtype kv_type;
    uint64_t n_threads; /* 0: the library's choice */
};

/* Opens the model with progress; `log` may be NULL. Complains and returns an exit status. */
int open_model(const struct model_settings *settings, lckv_log_callback log, lckv_model **model);

/* lckv_evaluate_options for a prefill. */
lckv_evaluate_options evaluate_options(struct prefill prefill);

/* Whether the result depends on how a prompt is split into calls, as passes do. */
bool prefill_takes_whole(struct prefill prefill);

/* Tokens of a text; flags of lckv_tokenize. Complains and returns an exit status. */
int tokenize_text(const lckv_model *model, const char *text, size_t length, uint32_t flags,
                  struct token_list *tokens);

/* Whether the model's own rule begins a text with BOS. */
bool model_adds_bos(const lckv_model *model);

/*
 * Tokens of a text that is to be continued: begun as the model's rule asks, never ended with EOS.
 * Complains and returns an exit status.
 */
int tokenize_prompt(const lckv_model *model, const char *text, size_t length,
                    struct token_list *tokens);

/* lckv_plan_text or lckv_plan_describe, as a string from malloc; NULL after a complaint. */
typedef lckv_status (*plan_writer)(const lckv_plan *plan, char *buffer, size_t capacity,
                                   size_t *length);
char *plan_string(const lckv_plan *plan, plan_writer write);

/*
 * Creates a cache. Complains and returns an exit status; where memory is too small for the pages,
 * the complaint tells how much they need, what would fit, and that `remedy` ("a smaller --context")
 * helps.
 */
int create_cache(const lckv_model *model, const lckv_cache_options *options, const char *remedy,
                 lckv_cache **cache);

/*
 * Remarks that a text of `n_tokens` goes beyond what the model was trained for, if it does.
 * Returns whether it did.
 */
bool note_training_context(const lckv_model *model, uint64_t n_tokens);

/* KV memory of this model at `context` tokens. Complains and returns an exit status. */
int model_memory(const lckv_model *model, lckv_dtype kv_type, uint64_t context,
                 lckv_memory_report *report);

#endif
