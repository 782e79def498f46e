/*
 * Measuring one test: a prompt, or decoding in a batch of sessions, that begins at some depth.
 */
#ifndef TOOLS_BENCH_RUN_H
#define TOOLS_BENCH_RUN_H

#include "bandwidth.h"
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

/* Tokens per second of all sessions together. */
struct bench_speeds {
    double median, least, most;
    /* Of a decoding step of all sessions, at the middle of the test: bytes of weights, keys and
     * values that it reads; per second, and what the probe reads; the share, of each run what the
     * probe read just before and after it. Medians. */
    double step_bytes, read_rate, probe_rate, share;
};

/*
 * Complains and returns an exit status. Shows progress. Decoding is measured beside the probe,
 * which may be empty.
 */
int bench_run(const lckv_model *model, const struct bench_test *test,
              const struct bandwidth_probe *probe, struct bench_speeds *speeds);

#endif
