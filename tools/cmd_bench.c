/*
 * lckv bench measures prompt and decode speed of a model, for each number of threads, depth and
 * batch.
 */
#include "bench_calibrate.h"
#include "commands.h"
#include "common_options.h"
#include "json.h"
#include "report.h"
#include "show.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct settings {
    struct model_settings model;
    uint64_t n_prompt;
    uint64_t n_decode;
    struct number_list threads, depths, batches, prompts;
    const char *calibration_text; /* a file; NULL: measure, do not calibrate */
    uint64_t n_repeats;
    int32_t want;
    struct prefill prefill;
    struct kv_types kv_types;
    bool as_json;
};

/* What a prompt may want: the words of --want. */
static const struct choice wants[] = {
    {"last", LCKV_WANT_LAST},
    {"hidden", LCKV_WANT_LAST | LCKV_WANT_HIDDEN_ALL},
    {"all", LCKV_WANT_ALL},
    {NULL, 0},
};

static const char *want_name(int32_t want)
{
    const struct choice *choice = wants;
    while (choice->name != NULL && choice->value != want)
        choice++;
    return choice->name;
}

/* What all tests share. */
struct bench {
    const struct settings *settings;
    const lckv_model *model;
    lckv_model_info info;
    struct token_list text; /* to calibrate with */
    struct json *json;      /* NULL: text */
};

/* An empty list counts as one entry, the default. */
static size_t list_count(const struct number_list *list)
{
    return list->count > 0 ? list->count : 1;
}

static uint64_t list_item(const struct number_list *list, size_t i, uint64_t otherwise)
{
    return list->count > 0 ? list->items[i] : otherwise;
}

static double per_token(uint64_t n, const lckv_evaluate_report *report)
{
    return (double)n / (double)report->n_tokens;
}

static void print_test(const struct bench *bench, const struct bench_test *test,
                       const struct bench_figures *figures)
{
    const char *name = test->is_decode ? "decode" : "prompt";
    if (bench->json != NULL) {
        json_begin_object(bench->json);
        json_add_string(bench->json, "test", name);
        json_add_unsigned(bench->json, "n_tokens", test->n_tokens);
        json_add_unsigned(bench->json, "n_threads", test->n_threads);
        json_add_unsigned(bench->json, "depth", test->depth);
        json_add_unsigned(bench->json, "n_sessions", test->n_sessions);
        json_add_real(bench->json, "median", figures->median, 6);
        json_add_real(bench->json, "min", figures->least, 6);
        json_add_real(bench->json, "max", figures->most, 6);
        if (!test->is_decode && figures->report.window > 0) {
            const lckv_evaluate_report *report = &figures->report;
            json_add_unsigned(bench->json, "window", report->window);
            json_add_real(bench->json, "tolerance", (double)report->tolerance, 6);
            json_add_real(bench->json, "residual", (double)report->residual, 6);
            json_add_real(bench->json, "work", per_token(report->n_rows, report), 6);
            json_add_real(bench->json, "reads", per_token(report->n_passes, report), 6);
        }
        if (test->is_decode) {
            json_add_real(bench->json, "bytes_per_step", figures->step_bytes, 10);
            json_add_real(bench->json, "gigabytes_per_second", figures->read_rate / 1e9, 6);
            json_add_real(bench->json, "probe_gigabytes_per_second", figures->probe_rate / 1e9, 6);
            json_add_real(bench->json, "share_of_bandwidth", figures->share, 6);
        }
        json_end_object(bench->json);
        return;
    }
    printf("%-7s %7" PRIu64 " %7" PRIu64 " %8" PRIu64 " %7" PRIu32 " %10.2f %10.2f %10.2f", name,
           test->n_tokens, test->depth, test->n_sessions, test->n_threads, figures->median,
           figures->least, figures->most);
    if (test->is_decode)
        printf(" %7.2f %5.0f%%", figures->read_rate / 1e9, 100 * figures->share);
    else if (figures->report.window > 0)
        printf("  window %" PRIu32 ": work %.2f, reads %.2f", figures->report.window,
               per_token(figures->report.n_rows, &figures->report),
               per_token(figures->report.n_passes, &figures->report));
    putchar('\n');
    fflush(stdout);
}

static int run_test(const struct bench *bench, struct bench_test test)
{
    struct bench_figures figures;
    if (test.n_tokens == 0)
        return EXIT_SUCCESS;
    int status = bench_run(bench->model, &test, &figures);
    if (status == EXIT_SUCCESS)
        print_test(bench, &test, &figures);
    return status;
}

/* The prompts of each number of sessions. */
static int run_prompts(const struct bench *bench, struct bench_test test)
{
    const struct number_list *prompts = &bench->settings->prompts;
    int status = EXIT_SUCCESS;
    test.n_tokens = bench->settings->n_prompt;
    for (size_t p = 0; p < list_count(prompts) && status == EXIT_SUCCESS; p++) {
        test.n_sessions = list_item(prompts, p, 1);
        status = test.text != NULL ? calibrate_prompts(bench->model, test, bench->json)
                                   : run_test(bench, test);
    }
    return status;
}

static int run_threads(const struct bench *bench, uint32_t n_threads)
{
    const struct settings *settings = bench->settings;
    struct bench_test test = {.n_threads = n_threads,
                              .n_repeats = settings->n_repeats,
                              .want = (uint32_t)settings->want,
                              .kv_types = settings->kv_types,
                              .prefill = settings->prefill,
                              .text = bench->text.count > 0 ? &bench->text : NULL};
    int status = EXIT_SUCCESS;
    if (test.text != NULL)
        status = calibrate_passes(bench->model, test, bench->json);
    for (size_t d = 0; d < list_count(&settings->depths) && status == EXIT_SUCCESS; d++) {
        test.depth = list_item(&settings->depths, d, 0);
        test.is_decode = false;
        status = run_prompts(bench, test);
        test.is_decode = true;
        test.n_tokens = settings->n_decode;
        for (size_t b = 0; b < list_count(&settings->batches) && status == EXIT_SUCCESS; b++) {
            test.n_sessions = list_item(&settings->batches, b, 1);
            status = run_test(bench, test);
        }
    }
    return status;
}

/* The number of threads that a cache takes by default. */
static int default_threads(const lckv_model *model, uint32_t *n_threads)
{
    lckv_cache_options options = {.size = sizeof options, .n_tokens = 1, .max_sessions = 1};
    lckv_cache_stats stats = {.size = sizeof stats};
    lckv_cache *cache;
    if (lckv_cache_create(model, &options, &cache) != LCKV_OK)
        return fail_library();
    int status = lckv_cache_get_stats(cache, &stats) == LCKV_OK ? EXIT_SUCCESS : fail_library();
    *n_threads = stats.n_threads;
    lckv_cache_release(cache);
    return status;
}

static int run_all(struct bench *bench)
{
    const struct settings *settings = bench->settings;
    const lckv_model_info *info = &bench->info;
    const char *precision = info->precision == LCKV_PRECISION_FULL ? "full" : "fast";
    struct json json;
    uint32_t by_default = 0;
    int status = default_threads(bench->model, &by_default);
    if (status != EXIT_SUCCESS)
        return status;
    if (settings->as_json) {
        json = json_open(stdout);
        bench->json = &json;
        json_add_string(&json, "model", info->name);
        json_add_string(&json, "weight_types", info->weight_dtypes);
        json_add_string(&json, "kernel_set", info->kernel_set);
        json_add_string(&json, "precision", precision);
        json_add_string(&json, "kv_type", kv_types_text(settings->kv_types).text);
        json_add_string(&json, "prefill", prefill_text(settings->prefill).text);
        json_add_string(&json, "want", want_name(settings->want));
        json_add_unsigned(&json, "weight_bytes_per_step", info->decode_bytes);
        json_add_unsigned(&json, "ring_bytes", info->ring_bytes);
        json_add_unsigned(&json, "n_repeats", settings->n_repeats);
        json_key(&json, "tests"); /* speeds are tokens per second of all sessions together */
        json_begin_array(&json);
    } else {
        printf("%s, %s, kernel set %s, precision %s, KV %s, prefill %s\n"
               "%s of weights read for each decode step; tokens/s of %" PRIu64 " runs\n\n",
               shown(info->name[0] != '\0' ? info->name : info->architecture).text,
               info->weight_dtypes, info->kernel_set, precision,
               kv_types_text(settings->kv_types).text, prefill_text(settings->prefill).text,
               human_bytes(info->decode_bytes).text, settings->n_repeats);
        if (settings->calibration_text == NULL)
            printf("%-7s %7s %7s %8s %7s %10s %10s %10s %7s %6s\n", "test", "tokens", "depth",
                   "sessions", "threads", "median", "min", "max", "GB/s", "share");
    }
    for (size_t i = 0; i < list_count(&settings->threads) && status == EXIT_SUCCESS; i++)
        status = run_threads(bench, (uint32_t)list_item(&settings->threads, i, by_default));
    if (settings->as_json) {
        json_end_array(&json);
        json_close(&json);
    }
    return status;
}

/* The tokens of the text that the windows are calibrated with. */
static int load_text(struct bench *bench)
{
    const char *path = bench->settings->calibration_text;
    struct bytes text = {0};
    if (path == NULL)
        return EXIT_SUCCESS;
    int status = calibrate_check(bench->model);
    if (status == EXIT_SUCCESS && !read_whole(path, &text)) {
        complain("cannot read %s: %s", path, strerror(errno));
        status = EXIT_FAILURE;
    }
    if (status == EXIT_SUCCESS)
        status = tokenize_prompt(bench->model, text.data, text.length, &bench->text);
    free(text.data);
    if (status == EXIT_SUCCESS && bench->text.count == 0) {
        complain("%s holds no text", path);
        status = EXIT_FAILURE;
    }
    return status;
}

static int run(const struct settings *settings)
{
    lckv_model *model;
    int status = open_model(&settings->model, NULL, &model);
    if (status != EXIT_SUCCESS)
        return status;
    struct bench bench = {
        .settings = settings, .model = model, .info = {.size = sizeof bench.info}};
    if (lckv_model_get_info(model, &bench.info) != LCKV_OK) {
        status = fail_library();
    } else {
        status = load_text(&bench);
        if (status == EXIT_SUCCESS)
            status = run_all(&bench);
    }
    free(bench.text.ids);
    lckv_model_release(model);
    return status;
}

int cmd_bench(int argc, char **argv)
{
    enum { MAX_TOKENS = 1 << 24 };
    struct settings settings = {
        .n_prompt = 512,
        .n_decode = 64,
        .n_repeats = 5,
        .want = LCKV_WANT_LAST,
        .kv_types = KV_TYPES_DEFAULT,
    };
    struct command_line line = {
        .command = "bench",
        .description =
            "Measures prompt and decode speed in tokens per second: median, least and most of\n"
            "several runs, for each number of threads, depth and batch. For decoding it also\n"
            "shows how fast weights, keys and values are read (GB/s), and the share that this is\n"
            "of the rate at which a probe reads 512 MiB or more before and after each run.\n\n"
            "With --calibrate it finds the window with which the prompts of a text take the least\n"
            "time on this machine, for plans whose layers read higher ones.",
        .examples = "lckv bench model.gguf\n"
                    "lckv bench model.gguf -p 512 -n 64 -t 1,2 -r 5 --json\n"
                    "lckv bench model.gguf -p 0 -n 64 -d 128 -b 1,8,32\n"
                    "lckv bench model.gguf --calibrate text.txt -d 0,2048 --prompts 1,4",
    };
    add_argument(&line, "MODEL", &settings.model.path);
    add_number(&line, "-p, --prompt N", &settings.n_prompt, 0, MAX_TOKENS,
               "tokens of the prompt (default 512; 0: no such test)");
    add_number(&line, "-n, --decode N", &settings.n_decode, 0, MAX_TOKENS,
               "tokens decoded one by one (default 64; 0: no such\ntest)");
    add_numbers(&line, "-d, --depth LIST", &settings.depths, 0, MAX_TOKENS,
                "tokens that the sessions hold before: 0,2048\n(default 0)");
    add_numbers(&line, "-b, --batch LIST", &settings.batches, 1, 4096,
                "sessions that are decoded together: 1,8,32\n(default 1)");
    add_numbers(&line, "--prompts LIST", &settings.prompts, 1, 4096,
                "sessions whose prompts are computed together\n(default 1)");
    add_numbers(&line, "-t, --threads LIST", &settings.threads, 1, 1024,
                "numbers of threads: 1,2 (default: the physical\ncores)");
    add_number(&line, "-r, --repeats N", &settings.n_repeats, 1, 100000,
               "runs of each test, beside those that warm up\n(default 5)");
    add_choice(&line, "--want last|hidden|all", &settings.want, wants,
               "what a prompt gives: logits of its last token\n"
               "(default), also hidden states of all its tokens, or\n"
               "logits of all; tokens that give nothing stop at the\n"
               "last layer that computes keys and values");
    add_prefill_mode(&line, &settings.prefill);
    add_text(&line, "--calibrate FILE", &settings.calibration_text,
             "time the prompts of this text with every window, and\n"
             "passes of one token of 1 to 128 sessions; nothing is\n"
             "decoded");
    add_model_options(&line, &settings.model);
    add_kv_type(&line, &settings.kv_types);
    add_json(&line, &settings.as_json);
    int status;
    if (options_parse(&line, argc, argv, &status)) {
        if (settings.calibration_text != NULL)
            settings.n_decode = 0;
        if (settings.n_prompt == 0 && settings.n_decode == 0)
            status = fail_usage("bench", "--prompt and --decode are both 0: nothing to measure");
        else
            status = run(&settings);
    }
    free(settings.threads.items);
    free(settings.depths.items);
    free(settings.batches.items);
    free(settings.prompts.items);
    return status;
}
