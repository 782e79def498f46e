/*
 * Opens a model, continues a prompt and prints what came of it: lckv generate behind its options.
 */
#ifndef TOOLS_GENERATION_H
#define TOOLS_GENERATION_H

#include "sampling.h"
#include "setup.h"

/* At most one of prompt, file and tokens is given; none of them: BOS. */
struct generate_settings {
    struct model_settings model;
    struct sampling sampling;
    const char *prompt;
    const char *file;
    struct token_list tokens;
    uint64_t n_tokens;
    uint64_t context; /* tokens of prompt and text; 0: as many as needed */
    uint64_t n_threads;
    struct string_list stops;
    bool ignore_eos;
    bool echo;
    lckv_prefill prefill;
    lckv_dtype kv_type;
    bool as_json;
};

/* Complains and returns an exit status. */
int generate_run(const struct generate_settings *settings);

#endif
