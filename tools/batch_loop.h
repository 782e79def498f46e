/*
 * The loop of lckv batch: admits jobs, computes one call for all that are active, takes the tokens
 * that come out, and writes the answers that are complete.
 */
#ifndef TOOLS_BATCH_LOOP_H
#define TOOLS_BATCH_LOOP_H

#include "batch_input.h"
#include "batch_queue.h"
#include "progress.h"

struct batch_loop {
    struct batch_model model;
    struct batch_input *input;
    struct batch_output *output;
    struct batch_queue queue;
    uint32_t max_rows; /* of the cache: the tokens of a call at most */
    bool is_upward;    /* prompts are encoded token by token, in step with those that decode */
    struct progress progress;
    uint64_t n_lines; /* of the input, for the progress; 0: unknown */
    double began;

    bool input_is_over;
    uint64_t n_calls, n_items; /* an item is a job in a call */
    uint64_t most_sessions;
    uint64_t n_prompt_tokens, n_new_tokens; /* of the answers of this run */
    double evaluate_seconds;
};

/* Runs until the input is over or Ctrl-C comes. Complains and returns an exit status. */
int batch_loop_run(struct batch_loop *loop);

#endif
