/*
 * Measures how long sessions wait for their first token if they begin with the same text, and how
 * many pages they take: once every session computes the whole text, and once the others take over
 * what the first has computed (lckv_session_reuse). Prints JSON.
 *
 *     build/bench/prefix MODEL [prefix [sessions [own [threads]]]]
 *
 * The defaults are 32 sessions that share 1,000 tokens and have 16 of their own behind these, and
 * the threads that lckv chooses. Computing the whole text is timed COMPUTED times, evenly spread
 * over the run, because the machine may be busy at one time and idle at another. Where both ways
 * do not give the same logits, bit for bit, the program fails.
 */
#include "lckv.h"
#include "tools/tiles.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { COMPUTED = 4, POSITIONS = 64 /* of a page */ };

struct bench {
    size_t prefix, own, n_sessions;
    lckv_model *model;
    lckv_cache *sharing, *computing; /* with reuse, and without */
    lckv_session **sessions;         /* [n_sessions], of the sharing cache */
    lckv_token *tokens;              /* [prefix + own]: of the session at hand */
    float *logits, *expected;        /* [n_vocab] */
    double *shared, *computed;       /* milliseconds, [n_sessions] and [n_computed] */
    size_t n_vocab, n_computed;
};

static void fail(const char *what)
{
    fprintf(stderr, "prefix: %s\n", what);
    exit(1);
}

static void require(lckv_status status)
{
    if (status != LCKV_OK)
        fail(lckv_last_error());
}

static void *allocate(size_t n, size_t size)
{
    void *memory = calloc(n, size);
    if (memory == NULL)
        fail("out of memory");
    return memory;
}

static size_t argument(int argc, char **argv, int i, size_t otherwise)
{
    return i < argc ? (size_t)strtoull(argv[i], NULL, 10) : otherwise;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

/* Any tokens; those of the prefix are the same for every session. */
static void write_text(struct bench *bench, size_t session)
{
    uint32_t state = 1;
    for (size_t i = 0; i < bench->prefix + bench->own; i++) {
        if (i == bench->prefix)
            state += (uint32_t)session;
        state = state * UINT32_C(1664525) + UINT32_C(1013904223);
        bench->tokens[i] = (lckv_token)((state >> 8) % bench->n_vocab);
    }
}

/* Makes a session of the text and gets the logits of its first token. Returns milliseconds. */
static double begin_session(struct bench *bench, lckv_cache *cache, lckv_session **session,
                            float *logits, size_t *n_reused)
{
    const size_t length = bench->prefix + bench->own;
    const double begin = now();
    require(lckv_session_create(cache, session));
    require(lckv_session_reuse(*session, bench->tokens, length, n_reused));
    const lckv_item item = {.session = *session,
                            .tokens = bench->tokens + *n_reused,
                            .n_tokens = length - *n_reused,
                            .want = LCKV_WANT_LAST,
                            .logits = logits,
                            .logits_capacity = bench->n_vocab};
    /* The exact result, which does not depend on where a call begins. */
    const lckv_evaluate_options options = {.size = sizeof options, .window = 1};
    require(lckv_evaluate(cache, &item, sizeof item, 1, &options, NULL));
    return now() - begin;
}

/* Times the whole text in the cache without reuse, and checks that the logits are the same. */
static void compute(struct bench *bench)
{
    lckv_session *session;
    size_t n_reused;
    bench->computed[bench->n_computed++] =
        begin_session(bench, bench->computing, &session, bench->expected, &n_reused);
    lckv_session_release(session);
    if (memcmp(bench->logits, bench->expected, bench->n_vocab * sizeof *bench->logits) != 0)
        fail("the logits differ");
}

static void run(struct bench *bench)
{
    const size_t every = (bench->n_sessions + COMPUTED - 1) / COMPUTED;
    for (size_t i = 0; i < bench->n_sessions; i++) {
        size_t n_reused;
        write_text(bench, i);
        bench->shared[i] =
            begin_session(bench, bench->sharing, &bench->sessions[i], bench->logits, &n_reused);
        if (n_reused < (i > 0 ? bench->prefix : 0))
            fail("the prefix was not reused");
        if (i % every == 0)
            compute(bench);
    }
}

static int ascending(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static double median(double *values, size_t n)
{
    qsort(values, n, sizeof *values, ascending);
    return (values[(n - 1) / 2] + values[n / 2]) / 2;
}

static void print_figures(struct bench *bench)
{
    lckv_model_info info = {.size = sizeof info};
    lckv_plan_info plan = {.size = sizeof plan};
    lckv_cache_stats stats = {.size = sizeof stats};
    require(lckv_model_get_info(bench->model, &info));
    require(lckv_plan_get_info(lckv_model_plan(bench->model), &plan));
    require(lckv_cache_get_stats(bench->sharing, &stats));
    const size_t n_others = bench->n_sessions - 1;
    const double first = bench->shared[0];
    const double computed = median(bench->computed, bench->n_computed);
    const double others = median(bench->shared + 1, n_others); /* sorts them */
    const uint64_t a_session =
        (bench->prefix + bench->own + POSITIONS - 1) / POSITIONS * plan.n_slots;
    printf("{\"name\": \"%s\", \"weights\": \"%s\", \"kernel_set\": \"%s\", \"threads\": %" PRIu32
           ", \"prefix\": %zu, \"own\": %zu, \"sessions\": %zu,\n",
           info.name, info.weight_dtypes, info.kernel_set, stats.n_threads, bench->prefix,
           bench->own, bench->n_sessions);
    printf(" \"computed_milliseconds\": %.3f, \"first_milliseconds\": %.3f, "
           "\"others_milliseconds\": %.3f, \"slowest_milliseconds\": %.3f, \"share\": %.4f,\n",
           computed, first, others, bench->shared[n_others], others / computed);
    printf(" \"slots\": %" PRIu32 ", \"page_positions\": %" PRIu32 ", \"pages\": %" PRIu64
           ", \"pages_of_one\": %" PRIu64 ", \"pages_unshared\": %" PRIu64 "}\n",
           plan.n_slots, stats.page_positions, stats.n_pages - stats.n_pages_free, a_session,
           a_session * bench->n_sessions);
}

static void make_caches(struct bench *bench, uint32_t n_threads)
{
    lckv_cache_options options = {.size = sizeof options,
                                  .n_tokens =
                                      bench->prefix + bench->n_sessions * (bench->own + POSITIONS),
                                  .max_sessions = (uint32_t)bench->n_sessions,
                                  .page_positions = POSITIONS,
                                  .n_threads = n_threads};
    require(lckv_cache_create(bench->model, &options, &bench->sharing));
    options.n_tokens = bench->prefix + bench->own;
    options.max_sessions = 1;
    options.reuse = LCKV_REUSE_OFF;
    require(lckv_cache_create(bench->model, &options, &bench->computing));
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: %s MODEL [prefix [sessions [own [threads]]]]\n", argv[0]);
        return 2;
    }
    struct bench bench = {.prefix = argument(argc, argv, 2, 1000),
                          .n_sessions = argument(argc, argv, 3, 32),
                          .own = argument(argc, argv, 4, 16)};
    if (bench.prefix == 0 || bench.n_sessions < 2 || bench.own == 0)
        fail("expected a prefix, at least two sessions, and a token of their own");
    const lckv_model_options options = {.size = sizeof options, .gemm = LCKV_GEMM_OWN};
    request_tiles();
    require(lckv_model_open(argv[1], &options, &bench.model));
    lckv_model_info info = {.size = sizeof info};
    require(lckv_model_get_info(bench.model, &info));
    bench.n_vocab = info.n_vocab;
    bench.tokens = allocate(bench.prefix + bench.own, sizeof *bench.tokens);
    bench.sessions = allocate(bench.n_sessions, sizeof *bench.sessions);
    bench.logits = allocate(bench.n_vocab, sizeof *bench.logits);
    bench.expected = allocate(bench.n_vocab, sizeof *bench.expected);
    bench.shared = allocate(bench.n_sessions, sizeof *bench.shared);
    bench.computed = allocate(COMPUTED, sizeof *bench.computed);
    make_caches(&bench, (uint32_t)argument(argc, argv, 5, 0));
    run(&bench);
    print_figures(&bench);
    for (size_t i = 0; i < bench.n_sessions; i++)
        lckv_session_release(bench.sessions[i]);
    lckv_cache_release(bench.sharing);
    lckv_cache_release(bench.computing);
    lckv_model_release(bench.model);
    free(bench.tokens);
    free(bench.sessions);
    free(bench.logits);
    free(bench.expected);
    free(bench.shared);
    free(bench.computed);
    return 0;
}
