/*
 * The work of lckv batch: opens what it needs, runs the loop, and sums up.
 */
#ifndef TOOLS_BATCH_RUN_H
#define TOOLS_BATCH_RUN_H

#include "batch_request.h"
#include "setup.h"

struct batch_settings {
    struct model_settings model;
    struct cache_settings cache;
    const char *input;
    const char *output;
    uint64_t memory;     /* bytes of the cache */
    uint64_t n_sessions; /* prompts at once, at most */
    struct batch_defaults defaults;
    bool ignore_end;
    bool as_json;
};

/* Complains and returns an exit status. */
int batch_run(const struct batch_settings *settings);

#endif
