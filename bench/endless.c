/*
 * Lets a model write without end, in a session with a context window and attention sinks, and
 * prints as JSON what stays constant: the memory, and the perplexity of what it writes under its
 * own probabilities (so the figure is the exponential of its entropy at temperature 1). Where the
 * model ends a text, the next one begins.
 *
 *     build/bench/endless MODEL [tokens [context_window [sinks [threads]]]]
 *
 * The defaults are 1,000,000 tokens, the context that the model was trained for, 4 sinks, 1 thread.
 */
#include "lckv.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define N_PARTS 10

struct part {
    uint64_t n_tokens, n_bad_logits, n_ends;
    double nll, seconds;
    uint64_t rss_kib; /* at its end */
    lckv_cache_stats stats;
};

static void require(lckv_status status)
{
    if (status == LCKV_OK)
        return;
    fprintf(stderr, "%s\n", lckv_last_error());
    exit(1);
}

static double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static uint64_t resident_kib(void)
{
    unsigned long long size = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL || fscanf(file, "%llu %llu", &size, &resident) != 2)
        resident = 0;
    if (file != NULL)
        fclose(file);
    return resident * (uint64_t)sysconf(_SC_PAGESIZE) / 1024;
}

static uint64_t argument(int argc, char **argv, int i, uint64_t otherwise)
{
    return i < argc ? strtoull(argv[i], NULL, 10) : otherwise;
}

/* Appends `token` and draws the next one from the logits. Returns it, and counts what it cost. */
static lckv_token write_token(lckv_cache *cache, lckv_session *session, lckv_sampler *sampler,
                              lckv_token token, float *logits, size_t n_vocab, struct part *part)
{
    lckv_token next;
    const lckv_item item = {.session = session,
                            .tokens = &token,
                            .n_tokens = 1,
                            .want = LCKV_WANT_LAST,
                            .logits = logits,
                            .logits_capacity = n_vocab};
    require(lckv_evaluate(cache, &item, sizeof item, 1, NULL, NULL));
    for (size_t v = 0; v < n_vocab; v++)
        part->n_bad_logits += !isfinite(logits[v]);
    require(lckv_sampler_sample(sampler, logits, n_vocab, &next));
    require(lckv_log_probabilities(logits, n_vocab, logits));
    part->nll -= (double)logits[next];
    part->n_tokens++;
    return next;
}

static void print_part(const struct part *part, const char *behind)
{
    printf("    {\"tokens\": %" PRIu64 ", \"perplexity\": %.5f, \"bad_logits\": %" PRIu64
           ", \"texts\": %" PRIu64 ", \"tokens_per_second\": %.1f, \"resident_kib\": %" PRIu64
           ", \"pages_in_use\": %" PRIu64 ", \"table_bytes\": %" PRIu64 "}%s\n",
           part->n_tokens, exp(part->nll / (double)part->n_tokens), part->n_bad_logits,
           part->n_ends, (double)part->n_tokens / part->seconds, part->rss_kib,
           part->stats.n_pages - part->stats.n_pages_free, part->stats.table_bytes, behind);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    lckv_model *model;
    lckv_cache *cache;
    lckv_session *session;
    lckv_sampler *sampler;
    if (argc < 2) {
        fprintf(stderr, "usage: %s MODEL [tokens [context_window [sinks [threads]]]]\n", argv[0]);
        return 1;
    }
    require(lckv_model_open(argv[1], NULL, &model));
    lckv_model_info info = {.size = sizeof info};
    require(lckv_model_get_info(model, &info));
    const uint64_t n_tokens = argument(argc, argv, 2, 1000000);
    const uint32_t trained = info.context_length > 0 ? info.context_length : 2048;
    const lckv_cache_options options = {.size = sizeof options,
                                        .n_tokens = n_tokens,
                                        .max_sessions = 1,
                                        .max_rows = 1,
                                        .context_window =
                                            (uint32_t)argument(argc, argv, 3, trained),
                                        .n_sinks = (uint32_t)argument(argc, argv, 4, 0),
                                        .n_threads = (uint32_t)argument(argc, argv, 5, 1)};
    const lckv_sampler_options sampling = {.size = sizeof sampling, .temperature = 1, .seed = 1};
    require(lckv_cache_create(model, &options, &cache));
    require(lckv_session_create(cache, &session));
    require(lckv_sampler_create(&sampling, &sampler));
    float *logits = calloc(info.n_vocab, sizeof *logits);
    const lckv_token begin = lckv_model_special_token(model, LCKV_SPECIAL_BOS);
    lckv_token token = begin >= 0 ? begin : 0;
    lckv_cache_stats stats = {.size = sizeof stats};
    require(lckv_cache_get_stats(cache, &stats));
    printf("{\"tokens\": %" PRIu64 ", \"context_window\": %" PRIu32 ", \"sinks\": %" PRIu32
           ", \"threads\": %" PRIu32 ", \"pages\": %" PRIu64 ", \"parts\": [\n",
           n_tokens, stats.context_window, stats.n_sinks, stats.n_threads, stats.n_pages);
    for (uint64_t p = 0; p < N_PARTS && logits != NULL; p++) {
        struct part part = {.stats = {.size = sizeof part.stats}};
        const double start = seconds_now();
        while (part.n_tokens < n_tokens / N_PARTS) {
            token = write_token(cache, session, sampler, token, logits, info.n_vocab, &part);
            if (begin >= 0 && lckv_model_is_end_token(model, token)) {
                token = begin;
                part.n_ends++;
            }
        }
        part.seconds = seconds_now() - start;
        part.rss_kib = resident_kib();
        require(lckv_cache_get_stats(cache, &part.stats));
        print_part(&part, p + 1 < N_PARTS ? "," : "");
    }
    printf("]}\n");
    free(logits);
    lckv_sampler_release(sampler);
    lckv_session_release(session);
    lckv_cache_release(cache);
    lckv_model_release(model);
    return 0;
}
