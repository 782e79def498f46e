/*
 * Measures how well a model predicts documents: the sum of -log p of their tokens. The caller cuts
 * a text into documents.
 */
#ifndef TOOLS_PERPLEXITY_H
#define TOOLS_PERPLEXITY_H

#include "setup.h"

/* A document. Each of its tokens is predicted from those before it. */
struct document {
    const lckv_token *tokens;
    size_t n_tokens;
    size_t first; /* predictions after tokens first .. n_tokens - 2 are counted */
};

struct perplexity_job {
    const lckv_model *model;
    const struct document *documents;
    size_t n_documents;
    struct prefill prefill;
    struct cache_settings cache;
};

struct perplexity_result {
    double nll;         /* the sum of -log p, natural */
    uint64_t n_tokens;  /* tokens whose predictions are counted */
    uint64_t n_encoded; /* tokens that were sent through the model */
    double seconds;
};

/* Complains and returns an exit status. */
int perplexity_measure(const struct perplexity_job *job, struct perplexity_result *result);

#endif
