/*
 * Measuring one test: a prompt, or decoding in a batch of sessions, that begins at some depth.
 */
#ifndef TOOLS_BENCH_RUN_H
#define TOOLS_BENCH_RUN_H

#include "setup.h"

struct bench_test {
    bool is_decode;
    uint32_t n_threads;
    uint64_t n_sessions; /* decoded together; 1 for a prompt */
    uint64_t depth;      /* tokens that each session holds before */
    uint64_t n_tokens;   /* of each session, measured */
    uint64_t n_repeats;
    lckv_dtype kv_type;
    struct prefill prefill;
};

/* Tokens per second of all sessions together, and what a decoded token reads of keys and values. */
struct bench_speeds {
    double median, least, most;
    double kv_bytes; /* of one step of all sessions, at the middle of the test */
};

/* Complains and returns an exit status. Shows progress. */
int bench_run(const lckv_model *model, const struct bench_test *test, struct bench_speeds *speeds);

#endif
