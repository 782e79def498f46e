/*
 * Measures one test: the prompts of some sessions, or decoding in a batch of them. Both begin at
 * some depth.
 */
#ifndef TOOLS_BENCH_RUN_H
#define TOOLS_BENCH_RUN_H

#include "setup.h"

struct bench_test {
    bool is_decode;
    uint32_t n_threads;
    uint64_t n_sessions; /* computed together */
    uint64_t depth;      /* tokens that each session holds before the test */
    uint64_t n_tokens;   /* tokens that each session appends during the test */
    uint64_t n_repeats;
    uint32_t want; /* of a prompt, as in struct lckv_item; decoding wants logits */
    struct kv_types kv_types;
    struct prefill prefill;
    const struct token_list *text; /* the sessions hold it, over and over; NULL: any tokens */
};

struct bench_figures {
    double median, least, most;  /* tokens per second of all sessions together */
    lckv_evaluate_report report; /* of the last call */
    /* The rest is measured for decoding; for a prompt it is 0. */
    double step_bytes; /* weights, keys and values that a step in the middle of the test reads */
    double read_rate;  /* bytes per second at the median speed */
    double probe_rate; /* the median of what read_bandwidth gives before and after each run */
    double share;      /* the median of each run's share of that; 0 if it was not measured */
};

/* Complains and returns an exit status. Shows progress. */
int bench_run(const lckv_model *model, const struct bench_test *test,
              struct bench_figures *figures);

#endif
