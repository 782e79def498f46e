/*
 * What most subcommands begin with: opening the model, making tokens of a text, creating a cache.
 *
 * Here, as everywhere in tools/, the library is called through its public header only.
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
    bool stream_weights;
    uint64_t stream_bytes; /* 0: the library's choice */
    uint64_t rope_context; /* 0: no longer than needs no scaling */
    bool without_weights;  /* for text, plans and descriptions */
    void *log_user;        /* what the log of open_model gets */
};

/* What the options say about a cache. */
struct cache_settings {
    struct kv_types kv_types;
    uint64_t n_threads;      /* 0: the library's choice */
    uint64_t context_window; /* 0: none */
    uint64_t n_sinks;        /* 0: the library's choice */
};

/* Opens the model with progress; `log` may be NULL. Complains and returns an exit status. */
int open_model(const struct model_settings *settings, lckv_log_callback log, lckv_model **model);

/* The lckv_evaluate_options for a prefill. */
lckv_evaluate_options evaluate_options(struct prefill prefill);

/* Whether a prompt must not be split into calls, because iterated encoding would then differ. */
bool prefill_takes_whole(struct prefill prefill);

/* Makes tokens of a text, with flags of lckv_tokenize. Complains and returns an exit status. */
int tokenize_text(const lckv_model *model, const char *text, size_t length, uint32_t flags,
                  struct token_list *tokens);

/* Whether the model's own rule begins a text with BOS. */
bool model_adds_bos(const lckv_model *model);

/*
 * The flags of lckv_tokenize for a text that is to be continued: it begins as the model's rule
 * says, but never ends with EOS.
 */
uint32_t prompt_flags(const lckv_model *model);

/* Makes tokens of a text that is to be continued. Complains and returns an exit status. */
int tokenize_prompt(const lckv_model *model, const char *text, size_t length,
                    struct token_list *tokens);

/* lckv_plan_text or lckv_plan_describe, as a string from malloc; NULL after a complaint. */
typedef lckv_status (*plan_writer)(const lckv_plan *plan, char *buffer, size_t capacity,
                                   size_t *length);
char *plan_string(const lckv_plan *plan, plan_writer write);

/*
 * Creates a cache. Complains and returns an exit status. If there is not enough memory for the
 * pages, the complaint says how much they need, what would fit, and that `remedy` ("a smaller
 * --context") helps.
 */
int create_cache(const lckv_model *model, const lckv_cache_options *options, const char *remedy,
                 lckv_cache **cache);

/*
 * If a text of `n_tokens` is longer than the model was trained for, makes a remark and returns
 * true.
 */
bool note_training_context(const lckv_model *model, uint64_t n_tokens);

/*
 * The shapes of the keys and values of all layers, for a memory request; free() them. Complains and
 * returns NULL if that fails.
 */
lckv_kv_shape *model_kv_shapes(const lckv_model *model, size_t *n);

/*
 * Finds the KV memory of this model at `context` tokens in such a cache. Complains and returns an
 * exit status.
 */
int model_memory(const lckv_model *model, const struct cache_settings *cache, uint64_t context,
                 lckv_memory_report *report);

#endif
