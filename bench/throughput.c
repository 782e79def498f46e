/*
 * Measures what sharing keys and values buys: how many sessions fit into a memory budget, and how
 * many tokens per second all of them together generate. bench/throughput.py runs it for several
 * plans in turns; by hand, ask on standard input:
 *
 *     echo "decode 512 8 0" | build/bench/throughput --standard-sessions 4 model.gguf
 *
 * It makes a cache whose pages take the given bytes and no more, fills it with sessions of the
 * whole context until one finds it full, and writes a line of JSON about that. Then it does what
 * the lines of its standard input say, and answers each with a line of JSON:
 *
 *     decode DEPTH STEPS BATCH   times STEPS steps that append a token to each of BATCH sessions;
 *                                after the last they are DEPTH tokens long. BATCH 0: all sessions
 *     prompt TOKENS STEPS        times an empty session that evaluates TOKENS tokens
 *     probe                      the rate at which memory can be read (tools/bandwidth.h)
 *
 * filled_cache.h tells what the sessions hold.
 */
#include "bench/filled_cache.h"
#include "tools/bandwidth.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct bench {
    struct filled_cache filled;
    lckv_item *items; /* [n_sessions] */
    double milliseconds[MOST_STEPS];
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

static int ascending(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* Writes the times, and the tokens per second that their median means. */
static void print_times(struct bench *bench, const char *what, size_t n_steps, size_t depth,
                        size_t batch, size_t n_tokens)
{
    printf("{\"test\": \"%s\", \"depth\": %zu, \"batch\": %zu, \"milliseconds\": [", what, depth,
           batch);
    for (size_t i = 0; i < n_steps; i++)
        printf(i == 0 ? "%.3f" : ", %.3f", bench->milliseconds[i]);
    qsort(bench->milliseconds, n_steps, sizeof(double), ascending);
    double median = (bench->milliseconds[(n_steps - 1) / 2] + bench->milliseconds[n_steps / 2]) / 2;
    printf("], \"median_milliseconds\": %.3f, \"tokens_per_second\": %.3f}\n", median,
           1e3 * (double)n_tokens / median);
}

/* The first step is not counted: it brings back what caches have lost. */
static void decode(struct bench *bench, size_t depth, size_t n_steps, size_t batch)
{
    batch = batch == 0 ? bench->filled.n_sessions : batch;
    check(batch <= bench->filled.n_sessions, "BATCH is larger than the number of sessions");
    check(depth > n_steps && depth <= bench->filled.setting.context,
          "DEPTH must be more than STEPS, and at most the context");
    for (size_t i = 0; i < batch; i++)
        set_length(&bench->filled, bench->filled.sessions[i], depth - n_steps - 1);
    for (size_t step = 0; step <= n_steps; step++) {
        for (size_t i = 0; i < batch; i++)
            bench->items[i] = (lckv_item){.session = bench->filled.sessions[i],
                                          .tokens = bench->filled.tokens + step + i,
                                          .n_tokens = 1,
                                          .want = LCKV_WANT_LAST};
        double begin = now();
        check_lckv(lckv_evaluate(bench->filled.cache, bench->items, sizeof *bench->items, batch,
                                 NULL, NULL));
        if (step > 0)
            bench->milliseconds[step - 1] = now() - begin;
    }
    print_times(bench, "decode", n_steps, depth, batch, batch);
}

static void prompt(struct bench *bench, size_t n_tokens, size_t n_steps)
{
    lckv_item item = {.session = bench->filled.sessions[0],
                      .tokens = bench->filled.tokens,
                      .n_tokens = n_tokens,
                      .want = LCKV_WANT_LAST};
    check(n_tokens > 0 && n_tokens <= bench->filled.setting.context,
          "TOKENS must be more than 0, and at most the context");
    for (size_t step = 0; step < n_steps; step++) {
        check_lckv(lckv_session_truncate(bench->filled.sessions[0], 0));
        double begin = now();
        check_lckv(lckv_evaluate(bench->filled.cache, &item, sizeof item, 1, NULL, NULL));
        bench->milliseconds[step] = now() - begin;
    }
    check_lckv(lckv_session_truncate(bench->filled.sessions[0], 0));
    print_times(bench, "prompt", n_steps, n_tokens, 1, n_tokens);
}

static void obey(struct bench *bench, const char *line)
{
    size_t n, n_steps, batch;
    if (sscanf(line, "decode %zu %zu %zu", &n, &n_steps, &batch) == 3 && n_steps > 0 &&
        n_steps <= MOST_STEPS)
        decode(bench, n, n_steps, batch);
    else if (sscanf(line, "prompt %zu %zu", &n, &n_steps) == 2 && n_steps > 0 &&
             n_steps <= MOST_STEPS)
        prompt(bench, n, n_steps);
    else if (strcmp(line, "probe\n") == 0)
        printf("{\"test\": \"probe\", \"gigabytes_per_second\": %.2f}\n",
               1e-9 * read_bandwidth(bench->filled.setting.n_threads));
    else
        check(0, "expected decode DEPTH STEPS BATCH, prompt TOKENS STEPS, or probe");
}

static uint64_t number(const char *text)
{
    char *end;
    uint64_t value = strtoull(text, &end, 10);
    check(end != text && *end == 0 && *text != '-', "expected a number behind an option");
    return value;
}

static struct setting read_arguments(int argc, char **argv)
{
    struct setting setting = {.kv_type = "f16", .context = 1024, .n_threads = 2};
    int i = 1;
    for (; i + 1 < argc && strncmp(argv[i], "--", 2) == 0; i += 2) {
        const char *name = argv[i], *value = argv[i + 1];
        if (strcmp(name, "--context") == 0)
            setting.context = number(value);
        else if (strcmp(name, "--kv-bytes") == 0)
            setting.kv_bytes = number(value);
        else if (strcmp(name, "--standard-sessions") == 0)
            setting.standard_sessions = number(value);
        else if (strcmp(name, "--kv-type") == 0)
            setting.kv_type = value;
        else if (strcmp(name, "--stream-bytes") == 0)
            setting.stream_bytes = number(value);
        else if (strcmp(name, "--threads") == 0)
            setting.n_threads = (uint32_t)number(value);
        else
            break;
    }
    setting.path = i + 1 == argc && setting.n_threads > 0 ? argv[i] : NULL;
    return setting;
}

int main(int argc, char **argv)
{
    static struct bench bench;
    char line[128];
    const struct setting setting = read_arguments(argc, argv);
    if (setting.path == NULL || (setting.kv_bytes == 0) == (setting.standard_sessions == 0)) {
        fprintf(stderr,
                "usage: build/bench/throughput --kv-bytes BYTES | --standard-sessions N\n"
                "    [--context TOKENS] [--kv-type TYPE] [--threads N] [--stream-bytes BYTES]\n"
                "    MODEL <COMMANDS\n");
        return 2;
    }
    bench.filled = filled_cache(&setting);
    bench.items = allocate(bench.filled.n_sessions, sizeof *bench.items);
    describe(&bench.filled);
    fflush(stdout);
    while (fgets(line, sizeof line, stdin) != NULL) {
        obey(&bench, line);
        fflush(stdout);
    }
    return 0;
}
