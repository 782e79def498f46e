/*
 * Measures one test. See bench_run.h.
 */
#include "bench_run.h"
#include "bandwidth.h"
#include "progress.h"
#include "report.h"

#include <stdlib.h>

#define WARM_UP 512      /* the most tokens that warm up */
#define DEFAULT_ROWS 256 /* the default of lckv_cache_options.max_rows */

struct run {
    const struct bench_test *test;
    lckv_cache *cache;
    lckv_evaluate_report *report;
    lckv_session **sessions;
    lckv_item *items;
    lckv_token *tokens; /* [n_sessions, depth + n_tokens] */
    size_t per_session;
    /* Of prompts that want their hidden states, [n_sessions, n_tokens, hidden_size]; else NULL. */
    float *hidden;
    size_t hidden_capacity; /* of a session */
    double step_bytes;      /* as in struct bench_figures */
    double *speeds, *rates,
        *shares; /* of each repeat: tokens per second; the probe's rate; share */
};

/*
 * Without a text any tokens will do, but not one token only: its row of the embedding would stay
 * cached.
 */
static void fill_tokens(const struct run *run, uint32_t n_vocab)
{
    const struct token_list *text = run->test->text;
    const size_t n_tokens = (size_t)run->test->n_sessions * run->per_session;
    uint32_t state = 1;
    for (size_t i = 0; i < n_tokens; i++) {
        state = state * UINT32_C(1664525) + UINT32_C(1013904223);
        run->tokens[i] =
            text != NULL ? text->ids[i % text->count] : (lckv_token)((state >> 8) % n_vocab);
    }
}

/* Appends tokens [begin, begin + n) to every session, `n_together` sessions a call. */
static int append(const struct run *run, size_t begin, size_t n, size_t n_together, uint32_t want)
{
    lckv_evaluate_options options = evaluate_options(run->test->prefill);
    size_t n_sessions = (size_t)run->test->n_sessions;
    for (size_t i = 0; i < n_sessions; i++)
        run->items[i] = (lckv_item){
            .session = run->sessions[i],
            .tokens = run->tokens + i * run->per_session + begin,
            .n_tokens = n,
            .want = want,
            .hidden = run->hidden != NULL ? run->hidden + i * run->hidden_capacity : NULL,
            .hidden_capacity = run->hidden_capacity};
    for (size_t i = 0; i < n_sessions; i += n_together) {
        if (lckv_evaluate(run->cache, run->items + i, sizeof *run->items, n_together, &options,
                          run->report) != LCKV_OK)
            return fail_library();
    }
    return EXIT_SUCCESS;
}

/* Truncates the sessions to `depth` tokens, or where windows forbid that, makes new ones. */
static int to_depth(const struct run *run)
{
    size_t depth = (size_t)run->test->depth;
    bool is_there = true;
    for (size_t i = 0; i < run->test->n_sessions; i++) {
        uint64_t length = 0;
        is_there = is_there && run->sessions[i] != NULL &&
                   lckv_session_length(run->sessions[i], &length) == LCKV_OK && length >= depth &&
                   lckv_session_truncate(run->sessions[i], depth) == LCKV_OK;
    }
    for (size_t i = 0; !is_there && i < run->test->n_sessions; i++) {
        lckv_session_release(run->sessions[i]);
        run->sessions[i] = NULL;
        if (lckv_session_create(run->cache, &run->sessions[i]) != LCKV_OK)
            return fail_library();
    }
    return is_there || depth == 0 ? EXIT_SUCCESS : append(run, 0, depth, 1, LCKV_WANT_NOTHING);
}

static int time_once(const struct run *run, size_t n_tokens, double *speed)
{
    const struct bench_test *test = run->test;
    size_t per_call = test->is_decode ? 1 : n_tokens;
    int status = to_depth(run);
    uint32_t want = test->is_decode ? LCKV_WANT_LAST : test->want;
    double begin = now_seconds();
    for (size_t at = 0; at < n_tokens && status == EXIT_SUCCESS; at += per_call)
        status = append(run, (size_t)test->depth + at, per_call, (size_t)test->n_sessions, want);
    *speed = per_second((double)(n_tokens * test->n_sessions), now_seconds() - begin);
    return status;
}

static int compare_reals(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

static double median_of(double *values, size_t n)
{
    qsort(values, n, sizeof *values, compare_reals);
    return (values[(n - 1) / 2] + values[n / 2]) / 2;
}

static double read_rate(const struct run *run, double speed)
{
    return speed / (double)run->test->n_sessions * run->step_bytes;
}

/*
 * Times decoding between two probes, since the rate of memory may change at any time. The probes
 * drive small models out of the caches; a first token, which is not counted, brings them back.
 */
static int time_decoding(const struct run *run, size_t i)
{
    double first;
    int status = to_depth(run);
    if (status != EXIT_SUCCESS)
        return status;
    double before = read_bandwidth(run->test->n_threads);
    status = time_once(run, 1, &first);
    if (status == EXIT_SUCCESS)
        status = time_once(run, (size_t)run->test->n_tokens, &run->speeds[i]);
    if (status != EXIT_SUCCESS)
        return status;
    run->rates[i] = (before + read_bandwidth(run->test->n_threads)) / 2;
    run->shares[i] = run->rates[i] > 0 ? read_rate(run, run->speeds[i]) / run->rates[i] : 0;
    return EXIT_SUCCESS;
}

/* A short run before the first repeat warms up: it starts the threads and touches the weights. */
static int time_all(const struct run *run, struct bench_figures *figures)
{
    const struct bench_test *test = run->test;
    size_t n = (size_t)test->n_repeats, n_tokens = (size_t)test->n_tokens;
    struct progress progress = progress_begin(test->is_decode ? "decode" : "prompt");
    int status = time_once(run, n_tokens > WARM_UP ? WARM_UP : n_tokens, &run->speeds[0]);
    for (size_t i = 0; i < n && status == EXIT_SUCCESS; i++) {
        progress_update(&progress, i, n);
        status =
            test->is_decode ? time_decoding(run, i) : time_once(run, n_tokens, &run->speeds[i]);
    }
    progress_end(&progress);
    figures->median = median_of(run->speeds, n);
    figures->least = run->speeds[0];
    figures->most = run->speeds[n - 1];
    figures->step_bytes = run->step_bytes;
    figures->read_rate = read_rate(run, figures->median);
    figures->probe_rate = median_of(run->rates, n);
    figures->share = median_of(run->shares, n);
    return status;
}

/* How many positions all layers together attend to, for a token in the middle of the test. */
static double positions_read(const lckv_model *model, const lckv_model_info *info,
                             const struct bench_test *test)
{
    double all = (double)test->depth + (double)test->n_tokens / 2, sum = 0;
    for (uint32_t i = 0; i < info->n_layers; i++) {
        lckv_layer_info layer = {.size = sizeof layer};
        bool windowed = lckv_plan_get_layer(lckv_model_plan(model), i, &layer) == LCKV_OK &&
                        layer.is_windowed && info->sliding_window < all;
        sum += windowed ? info->sliding_window : all;
    }
    return sum;
}

static int run_in_cache(struct run *run, const lckv_model *model, struct bench_figures *figures)
{
    const struct bench_test *test = run->test;
    figures->report.size = sizeof figures->report;
    run->report = &figures->report;
    lckv_model_info info = {.size = sizeof info};
    lckv_cache_stats stats = {.size = sizeof stats};
    lckv_plan_info plan = {.size = sizeof plan};
    lckv_cache_options options = {
        .size = sizeof options,
        .n_tokens = test->n_sessions * (test->depth + test->n_tokens),
        .max_sessions = (uint32_t)test->n_sessions,
        .kv_dtype = test->kv_types.keys,
        .v_dtype = test->kv_types.values,
        .n_threads = test->n_threads,
    };
    uint64_t longest = test->is_decode ? test->depth : test->depth + test->n_tokens;
    uint64_t at_once = prefill_takes_whole(test->prefill) ? longest : 0;
    at_once = at_once > test->n_sessions ? at_once : test->n_sessions;
    if (at_once > DEFAULT_ROWS) /* so that a call takes one pass, not several */
        options.max_rows = (uint32_t)at_once;
    if (!test->is_decode && (test->want & LCKV_WANT_ALL) != 0)
        options.max_logit_rows = (uint32_t)(test->n_sessions * test->n_tokens);
    int status =
        create_cache(model, &options, "a smaller --depth, --batch or --prompts", &run->cache);
    if (status != EXIT_SUCCESS)
        return status;
    if (lckv_cache_get_stats(run->cache, &stats) != LCKV_OK ||
        lckv_model_get_info(model, &info) != LCKV_OK ||
        lckv_plan_get_info(lckv_model_plan(model), &plan) != LCKV_OK)
        return fail_library();
    fill_tokens(run, info.n_vocab);
    if (!test->is_decode && (test->want & LCKV_WANT_HIDDEN_ALL) != 0) {
        run->hidden_capacity = (size_t)test->n_tokens * info.hidden_size;
        run->hidden = calloc((size_t)test->n_sessions, run->hidden_capacity * sizeof *run->hidden);
        if (run->hidden == NULL)
            return fail_memory();
    }
    if (test->is_decode)
        run->step_bytes = (double)info.decode_bytes + (double)stats.bytes_per_token / plan.n_slots *
                                                          positions_read(model, &info, test) *
                                                          (double)test->n_sessions;
    return time_all(run, figures);
}

int bench_run(const lckv_model *model, const struct bench_test *test, struct bench_figures *figures)
{
    size_t n_sessions = (size_t)test->n_sessions, n_repeats = (size_t)test->n_repeats;
    struct run run = {.test = test};
    run.per_session = (size_t)(test->depth + test->n_tokens);
    run.sessions = calloc(n_sessions, sizeof *run.sessions);
    run.items = calloc(n_sessions, sizeof *run.items);
    run.tokens = calloc(n_sessions * run.per_session, sizeof *run.tokens);
    run.speeds = calloc(n_repeats, sizeof *run.speeds);
    run.rates = calloc(n_repeats, sizeof *run.rates);
    run.shares = calloc(n_repeats, sizeof *run.shares);
    int status;
    if (run.sessions == NULL || run.items == NULL || run.tokens == NULL || run.speeds == NULL ||
        run.rates == NULL || run.shares == NULL)
        status = fail_memory();
    else
        status = run_in_cache(&run, model, figures);
    for (size_t i = 0; run.sessions != NULL && i < n_sessions; i++)
        lckv_session_release(run.sessions[i]);
    lckv_cache_release(run.cache);
    free(run.sessions);
    free(run.items);
    free(run.tokens);
    free(run.hidden);
    free(run.speeds);
    free(run.rates);
    free(run.shares);
    return status;
}
