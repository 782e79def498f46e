/*
 * Times decoding by lckv and by ik_llama.cpp in turns, in one process that holds the model in both:
 * each window is a probe of memory, 16 tokens of each engine, and a probe again. bench/compare.py
 * starts programs instead, whose prompts take so long that the speed of memory changes meanwhile on
 * machines that are shared.
 *
 *     make build/bench/beside IK_SOURCE=~/ik_llama.cpp IK_BUILD=~/ik_llama.cpp/build
 *     build/bench/beside model-q4_0.gguf 2048 40
 *
 * Both engines have two threads, f16 keys and values, and their fastest settings (-rtr 1 of
 * ik_llama.cpp).
 */
#include "lckv.h"
#include "tools/bandwidth.h"
#include "tools/tiles.h"

#include <llama.h>

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define N_THREADS 2
#define N_TOKENS 16 /* of each engine in a window */
#define BATCH 2048
#define SHAKY 1.05 /* a window whose probes differ by more is not kept */

struct engines {
    lckv_cache *cache;
    lckv_session *session;
    struct llama_context *peer;
    int depth;
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void check(int ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "beside: %s\n", what);
        exit(1);
    }
}

static void check_lckv(lckv_status status)
{
    check(status == LCKV_OK, lckv_last_error());
}

/* Threads of one engine may spin after its last token; the other engine must not pay for that. */
static void rest(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
}

static void evaluate(const struct engines *engines, const lckv_token *tokens, size_t n,
                     uint32_t want)
{
    lckv_item item = {.session = engines->session, .tokens = tokens, .n_tokens = n, .want = want};
    check_lckv(lckv_evaluate(engines->cache, &item, sizeof item, 1, NULL, NULL));
}

static void evaluate_peer(const struct engines *engines, lckv_token *tokens, int n, int at)
{
    check(llama_decode(engines->peer, llama_batch_get_one(tokens, n, at, 0)) == 0,
          "the peer fails");
    llama_synchronize(engines->peer);
}

/* Tokens per second at positions behind `depth`, which are dropped again. */
static double decode(const struct engines *engines)
{
    rest();
    double begin = now();
    for (int i = 0; i < N_TOKENS; i++)
        evaluate(engines, &(lckv_token){31 * i + 77}, 1, LCKV_WANT_LAST);
    double speed = N_TOKENS / (now() - begin);
    check_lckv(lckv_session_truncate(engines->session, (uint64_t)engines->depth));
    return speed;
}

static double decode_peer(const struct engines *engines)
{
    rest();
    double begin = now();
    for (int i = 0; i < N_TOKENS; i++)
        evaluate_peer(engines, &(lckv_token){31 * i + 77}, 1, engines->depth + i);
    double speed = N_TOKENS / (now() - begin);
    llama_kv_cache_seq_rm(engines->peer, 0, engines->depth, -1);
    return speed;
}

static void open_lckv(struct engines *engines, const char *path)
{
    lckv_model *model;
    lckv_cache_options options;
    lckv_cache_options_init(&options, sizeof options);
    options.n_tokens = (uint64_t)(engines->depth + BATCH);
    options.n_threads = N_THREADS;
    request_tiles();
    check_lckv(lckv_model_open(path, NULL, &model));
    check_lckv(lckv_cache_create(model, &options, &engines->cache));
    check_lckv(lckv_session_create(engines->cache, &engines->session));
}

static void be_quiet(enum ggml_log_level level, const char *text, void *context)
{
    (void)level;
    (void)text;
    (void)context;
}

/* Opens the model with the settings of its llama-bench for -rtr 1. */
static void open_peer(struct engines *engines, const char *path)
{
    llama_log_set(be_quiet, NULL);
    llama_backend_init();
    struct llama_model_params model_params = llama_model_default_params();
    model_params.repack_tensors = true;
    model_params.use_mmap = false;
    struct llama_model *model = llama_model_load_from_file(path, model_params);
    check(model != NULL, "the peer does not open the model");
    struct llama_context_params params = llama_context_default_params();
    params.n_ctx = (uint32_t)(engines->depth + BATCH);
    params.n_batch = BATCH;
    params.n_ubatch = 512;
    params.flash_attn = true;
    params.graph_reuse = true;
    params.fused_up_gate = true;
    engines->peer = llama_init_from_model(model, params);
    check(engines->peer != NULL, "the peer does not make a context");
    llama_set_n_threads(engines->peer, N_THREADS, N_THREADS);
}

static void read_prompt(const struct engines *engines)
{
    static lckv_token tokens[BATCH];
    for (int at = 0; at < engines->depth; at += BATCH) {
        int n = engines->depth - at < BATCH ? engines->depth - at : BATCH;
        for (int i = 0; i < n; i++)
            tokens[i] = (at + i) * 7919 % 31000;
        evaluate(engines, tokens, (size_t)n, LCKV_WANT_NOTHING);
        evaluate_peer(engines, tokens, n, at);
    }
}

static int ascending(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static double median_of(double *values, int n)
{
    qsort(values, (size_t)n, sizeof *values, ascending);
    return n == 0 ? 0 : (values[(n - 1) / 2] + values[n / 2]) / 2;
}

/* The number of a text, or -1 if it is none. */
static int number(const char *text)
{
    char *end;
    long value = strtol(text, &end, 10);
    return end == text || *end != 0 || value < 0 || value > 100000 ? -1 : (int)value;
}

int main(int argc, char **argv)
{
    if (argc < 2 || argc > 4) {
        fprintf(stderr, "usage: build/bench/beside MODEL [DEPTH [WINDOWS]]\n");
        return 2;
    }
    struct engines engines = {.depth = argc > 2 ? number(argv[2]) : 0};
    int n_windows = argc > 3 ? number(argv[3]) : 40, n_kept = 0;
    check(engines.depth >= 0 && engines.depth < 100000, "DEPTH is 0 to 99999");
    check(n_windows > 0 && n_windows < 10000, "WINDOWS is 1 to 9999");
    double *ratios = malloc((size_t)n_windows * sizeof *ratios),
           *kept = malloc((size_t)n_windows * sizeof *kept);
    check(ratios != NULL && kept != NULL, "out of memory");

    open_lckv(&engines, argv[1]);
    open_peer(&engines, argv[1]);
    read_prompt(&engines);
    decode(&engines);
    decode_peer(&engines);

    printf("  lckv  peer  ratio  probes, GB/s\n");
    double before = read_bandwidth(N_THREADS);
    check(before > 0, "no memory for the probe");
    for (int i = 0; i < n_windows; i++) {
        double ours, theirs;
        if (i % 2 == 0) {
            ours = decode(&engines);
            theirs = decode_peer(&engines);
        } else {
            theirs = decode_peer(&engines);
            ours = decode(&engines);
        }
        rest();
        double after = read_bandwidth(N_THREADS);
        int steady = after < before * SHAKY && before < after * SHAKY;
        ratios[i] = ours / theirs;
        if (steady)
            kept[n_kept++] = ratios[i];
        printf("%6.1f%6.1f %6.2f %6.1f %4.1f%s\n", ours, theirs, ratios[i], before / 1e9,
               after / 1e9, steady ? "  kept" : "");
        fflush(stdout);
        before = after;
    }
    printf("median of all %d: %.3f, of the %d kept: %.3f\n", n_windows,
           median_of(ratios, n_windows), n_kept, median_of(kept, n_kept));
    return 0;
}
