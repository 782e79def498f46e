/*
 * lckv bench: prompt and decode speed of a model, for each number of threads.
 */
#include "commands.h"
#include "common_options.h"
#include "json.h"
#include "progress.h"
#include "report.h"
#include "setup.h"

#include <inttypes.h>
#include <stdlib.h>

struct settings {
    struct model_settings model;
    uint64_t n_prompt;
    uint64_t n_decode;
    struct number_list threads;
    uint64_t n_repeats;
    struct prefill prefill;
    lckv_dtype kv_type;
    bool as_json;
};

/* What stays the same over all tests. */
struct bench {
    const struct settings *settings;
    const lckv_model *model;
    lckv_model_info info;
    double weight_bytes; /* read for one decoded token */
    lckv_token *tokens;  /* for the longer of the two tests */
    double *speeds;      /* of the repeats of one test */
    struct json *json;   /* NULL: text */
};

/* Any tokens will do, but not always the same one, whose row of the embedding stays in the cache.
 */
static void fill_tokens(lckv_token *tokens, size_t n_tokens, uint32_t n_vocab)
{
    uint32_t state = 1;
    for (size_t i = 0; i < n_tokens; i++) {
        state = state * UINT32_C(1664525) + UINT32_C(1013904223);
        tokens[i] = (lckv_token)((state >> 8) % n_vocab);
    }
}

static int evaluate(const struct bench *bench, lckv_cache *cache, lckv_session *session,
                    const lckv_token *tokens, size_t n_tokens)
{
    lckv_evaluate_options options = evaluate_options(bench->settings->prefill);
    lckv_item item = {
        .session = session, .tokens = tokens, .n_tokens = n_tokens, .want = LCKV_WANT_LAST};
    return lckv_evaluate(cache, &item, sizeof item, 1, &options, NULL) == LCKV_OK ? EXIT_SUCCESS
                                                                                  : fail_library();
}

/* Encodes the prompt in one call, or decodes token by token, in a session of its own. */
static int time_once(const struct bench *bench, lckv_cache *cache, bool is_decode, double *seconds)
{
    size_t n_tokens = (size_t)(is_decode ? bench->settings->n_decode : bench->settings->n_prompt);
    size_t per_call = is_decode ? 1 : n_tokens;
    lckv_session *session;
    if (lckv_session_create(cache, &session) != LCKV_OK)
        return fail_library();
    int status = EXIT_SUCCESS;
    double begin = now_seconds();
    for (size_t at = 0; at < n_tokens && status == EXIT_SUCCESS; at += per_call)
        status = evaluate(bench, cache, session, bench->tokens + at, per_call);
    *seconds = now_seconds() - begin;
    lckv_session_release(session);
    return status;
}

static int compare_reals(const void *left, const void *right)
{
    double a, b;
    a = *(const double *)left;
    b = *(const double *)right;
    return (a > b) - (a < b);
}

static void print_test(const struct bench *bench, uint32_t n_threads, bool is_decode, size_t n)
{
    const struct settings *settings = bench->settings;
    const double *speeds = bench->speeds;
    uint64_t n_tokens = is_decode ? settings->n_decode : settings->n_prompt;
    double median = (speeds[(n - 1) / 2] + speeds[n / 2]) / 2;
    double gigabytes = is_decode ? median * bench->weight_bytes / 1e9 : 0;
    if (bench->json != NULL) {
        json_begin_object(bench->json);
        json_add_string(bench->json, "test", is_decode ? "decode" : "prompt");
        json_add_unsigned(bench->json, "n_tokens", n_tokens);
        json_add_unsigned(bench->json, "n_threads", n_threads);
        json_add_real(bench->json, "median", median);
        json_add_real(bench->json, "min", speeds[0]);
        json_add_real(bench->json, "max", speeds[n - 1]);
        if (is_decode)
            json_add_real(bench->json, "weight_gigabytes_per_second", gigabytes);
        json_end_object(bench->json);
        return;
    }
    printf("%-8s %8" PRIu64 " %8" PRIu32 " %12.2f %12.2f %12.2f", is_decode ? "decode" : "prompt",
           n_tokens, n_threads, median, speeds[0], speeds[n - 1]);
    if (is_decode)
        printf(" %9.2f", gigabytes);
    putchar('\n');
    fflush(stdout);
}

static int run_test(const struct bench *bench, lckv_cache *cache, uint32_t n_threads,
                    bool is_decode)
{
    size_t n_repeats = (size_t)bench->settings->n_repeats;
    uint64_t n_tokens = is_decode ? bench->settings->n_decode : bench->settings->n_prompt;
    if (n_tokens == 0)
        return EXIT_SUCCESS;
    struct progress progress = progress_begin(is_decode ? "decode" : "prompt");
    int status = EXIT_SUCCESS;
    /* The run before the first warms up: it starts the threads and touches the pages. */
    for (size_t i = 0; i <= n_repeats && status == EXIT_SUCCESS; i++) {
        double seconds = 0;
        status = time_once(bench, cache, is_decode, &seconds);
        if (status == EXIT_SUCCESS && i > 0)
            bench->speeds[i - 1] = per_second((double)n_tokens, seconds);
        progress_update(&progress, i, n_repeats);
    }
    progress_end(&progress);
    if (status != EXIT_SUCCESS)
        return status;
    qsort(bench->speeds, n_repeats, sizeof *bench->speeds, compare_reals);
    print_test(bench, n_threads, is_decode, n_repeats);
    return EXIT_SUCCESS;
}

static int run_threads(const struct bench *bench, uint32_t n_threads)
{
    const struct settings *settings = bench->settings;
    uint64_t longer =
        settings->n_prompt > settings->n_decode ? settings->n_prompt : settings->n_decode;
    lckv_cache_options options = {
        .size = sizeof options,
        .n_tokens = longer,
        .max_sessions = 1,
        .kv_dtype = settings->kv_type,
        .n_threads = n_threads,
    };
    if (prefill_takes_whole(settings->prefill) && settings->n_prompt > 256)
        options.max_rows = (uint32_t)settings->n_prompt;
    lckv_cache *cache;
    lckv_cache_stats stats = {.size = sizeof stats};
    if (lckv_cache_create(bench->model, &options, &cache) != LCKV_OK)
        return fail_library();
    int status = lckv_cache_get_stats(cache, &stats) == LCKV_OK ? EXIT_SUCCESS : fail_library();
    if (status == EXIT_SUCCESS)
        status = run_test(bench, cache, stats.n_threads, false);
    if (status == EXIT_SUCCESS)
        status = run_test(bench, cache, stats.n_threads, true);
    lckv_cache_release(cache);
    return status;
}

static int run_all(struct bench *bench)
{
    const struct settings *settings = bench->settings;
    const lckv_model_info *info = &bench->info;
    struct json json;
    if (settings->as_json) {
        json = json_open(stdout);
        bench->json = &json;
        json_add_string(&json, "model", info->name);
        json_add_string(&json, "weight_types", info->weight_dtypes);
        json_add_string(&json, "kernel_set", info->kernel_set);
        json_add_string(&json, "precision",
                        info->precision == LCKV_PRECISION_FULL ? "full" : "fast");
        json_add_string(&json, "prefill", prefill_text(settings->prefill).text);
        json_add_real(&json, "weight_bytes_per_token", bench->weight_bytes);
        json_add_unsigned(&json, "n_repeats", settings->n_repeats);
        json_key(&json, "tests"); /* in tokens per second */
        json_begin_array(&json);
    } else {
        printf("%s, %s, kernel set %s, precision %s, prefill %s\n"
               "about %s of weights read for each decoded token; tokens/s of %" PRIu64 " runs\n\n",
               info->name[0] != '\0' ? info->name : info->architecture, info->weight_dtypes,
               info->kernel_set, info->precision == LCKV_PRECISION_FULL ? "full" : "fast",
               prefill_text(settings->prefill).text,
               human_bytes((uint64_t)bench->weight_bytes).text, settings->n_repeats);
        printf("%-8s %8s %8s %12s %12s %12s %9s\n", "test", "tokens", "threads", "median", "min",
               "max", "GB/s");
    }
    int status = EXIT_SUCCESS;
    if (settings->threads.count == 0)
        status = run_threads(bench, 0);
    for (size_t i = 0; i < settings->threads.count && status == EXIT_SUCCESS; i++)
        status = run_threads(bench, (uint32_t)settings->threads.items[i]);
    if (settings->as_json) {
        json_end_array(&json);
        json_close(&json);
    }
    return status;
}

/* Of an embedding that is not the output matrix too, a token reads one row: nearly nothing. */
static double decode_bytes(const lckv_model_info *info)
{
    double all = (double)info->weight_bytes;
    if (info->is_tied || info->n_parameters == 0)
        return all;
    double embedding = (double)info->n_vocab * (double)info->hidden_size;
    return all * (1 - embedding / (double)info->n_parameters);
}

static int run(const struct settings *settings)
{
    lckv_model *model;
    int status = open_model(&settings->model, NULL, &model);
    if (status != EXIT_SUCCESS)
        return status;
    struct bench bench = {
        .settings = settings, .model = model, .info = {.size = sizeof bench.info}};
    size_t longer =
        (size_t)(settings->n_prompt > settings->n_decode ? settings->n_prompt : settings->n_decode);
    bench.tokens = calloc(longer + 1, sizeof *bench.tokens);
    bench.speeds = calloc((size_t)settings->n_repeats, sizeof *bench.speeds);
    if (lckv_model_get_info(model, &bench.info) != LCKV_OK) {
        status = fail_library();
    } else if (bench.tokens == NULL || bench.speeds == NULL) {
        status = fail_memory();
    } else {
        bench.weight_bytes = decode_bytes(&bench.info);
        fill_tokens(bench.tokens, longer, bench.info.n_vocab);
        status = run_all(&bench);
    }
    free(bench.tokens);
    free(bench.speeds);
    lckv_model_release(model);
    return status;
}

int cmd_bench(int argc, char **argv)
{
    struct settings settings = {
        .n_prompt = 512, .n_decode = 64, .n_repeats = 5, .kv_type = LCKV_DTYPE_F16};
    const struct argument arguments[] = {{"MODEL", &settings.model.path, false},
                                         {NULL, NULL, false}};
    const struct option options[] = {
        {.name = "prompt",
         .letter = 'p',
         .kind = OPTION_NUMBER,
         .to.number = &settings.n_prompt,
         .value = "N",
         .help = "tokens of the prompt (default 512; 0: no such test)",
         .most = 1u << 24},
        {.name = "decode",
         .letter = 'n',
         .kind = OPTION_NUMBER,
         .to.number = &settings.n_decode,
         .value = "N",
         .help = "tokens decoded one by one (default 64; 0: no such\ntest)",
         .most = 1u << 24},
        {.name = "threads",
         .letter = 't',
         .kind = OPTION_NUMBERS,
         .to.numbers = &settings.threads,
         .value = "LIST",
         .help = "numbers of threads: 1,2 (default: the physical\ncores)",
         .least = 1,
         .most = 1024},
        {.name = "repeats",
         .letter = 'r',
         .kind = OPTION_NUMBER,
         .to.number = &settings.n_repeats,
         .value = "N",
         .help = "runs of each test, beside one that warms up\n(default 5)",
         .least = 1,
         .most = 100000},
        option_prefill(&settings.prefill),
        option_precision(&settings.model.precision),
        option_gemm(&settings.model.gemm),
        option_kernel_set(&settings.model.kernel_set),
        option_sliding_window(&settings.model.sliding_window),
        option_kv_type(&settings.kv_type),
        option_json(&settings.as_json),
        {.name = NULL},
    };
    const struct command_line line = {
        "bench",
        "Measures prompt and decode speed in tokens per second: median, least and most of\n"
        "several runs, for each number of threads. Every run begins with an empty session.",
        "lckv bench model.gguf\nlckv bench model.gguf -p 512 -n 64 -t 1,2 -r 5 --json", arguments,
        options};
    int status;
    if (options_parse(&line, argc, argv, &status)) {
        if (settings.n_prompt == 0 && settings.n_decode == 0)
            status = fail_usage("bench", "--prompt and --decode are both 0: nothing to measure");
        else
            status = run(&settings);
    }
    free(settings.threads.items);
    return status;
}
