/*
 * The work of lckv generate: opens a model, continues a prompt and prints the result.
 */
#ifndef TOOLS_GENERATION_H
#define TOOLS_GENERATION_H

#include "prompt.h"
#include "sampling.h"
#include "saved.h"
#include "setup.h"

struct generate_settings {
    struct model_settings model;
    struct sampling sampling;
    struct cache_settings cache;
    struct prompt_source prompt;
    struct saved_settings saved;
    uint64_t n_tokens;
    uint64_t context; /* tokens of the whole text; 0: as many as needed */
    struct string_list stops;
    bool ignore_eos;
    bool echo; /* print the prompt, too, if the output is no terminal */
    struct prefill prefill;
    bool as_json;
};

/* Complains and returns an exit status. */
int generate_run(const struct generate_settings *settings);

#endif
