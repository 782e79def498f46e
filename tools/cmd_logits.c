/*
 * lckv logits writes the logits after given tokens, for comparison with other implementations.
 */
#include "commands.h"
#include "common_options.h"
#include "deviation.h"
#include "json.h"
#include "npy.h"
#include "output_file.h"
#include "progress.h"
#include "report.h"
#include "setup.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct settings {
    struct model_settings model;
    struct token_list tokens;
    struct prefill prefill;
    struct cache_settings cache;
    uint64_t chunk; /* the most tokens of a call; 0: no limit */
    uint64_t split; /* tokens after which a call ends in any case; 0: none */
    bool only_last;
    bool verify, as_json;
    const char *output;
};

/* What goes through the calls. */
struct computation {
    const struct settings *settings;
    lckv_cache *cache;
    lckv_session *session;
    lckv_session *exactly;  /* to verify with; NULL: not asked for */
    size_t n_vocab, n_rows; /* the most rows of a call */
    float *logits;          /* [n_rows, n_vocab] */
    float *exact;           /* the same, or NULL */
    struct deviation deviation;
    uint64_t n_layer_rows, n_passes; /* sums of the reports */
    uint32_t window;                 /* of the last report that had one */
    float tolerance;
    float residual; /* the largest */
};

/* The number of tokens in the call that begins with token `at`. */
static size_t call_length(const struct settings *settings, size_t at)
{
    size_t end = settings->tokens.count;
    if (at < settings->split && settings->split < end)
        end = (size_t)settings->split;
    size_t n = end - at;
    return settings->chunk != 0 && settings->chunk < n ? (size_t)settings->chunk : n;
}

static size_t longest_call(const struct settings *settings)
{
    size_t longest = 0;
    for (size_t at = 0; at < settings->tokens.count;) {
        size_t n = call_length(settings, at);
        longest = n > longest ? n : longest;
        at += n;
    }
    return longest;
}

static int fail_output(const struct settings *settings)
{
    complain("cannot write %s: %s", settings->output, strerror(errno));
    return EXIT_FAILURE;
}

/* Computes the same exactly, and compares. */
static int verify(struct computation *computation, lckv_item item, size_t n_rows)
{
    lckv_evaluate_options options = evaluate_options((struct prefill){.mode = LCKV_PREFILL_EXACT});
    item.session = computation->exactly;
    item.logits = n_rows > 0 ? computation->exact : NULL;
    if (lckv_evaluate(computation->cache, &item, sizeof item, 1, &options, NULL) != LCKV_OK)
        return fail_library();
    deviation_add(&computation->deviation, computation->logits, computation->exact, n_rows,
                  computation->n_vocab);
    return EXIT_SUCCESS;
}

/* Feeds `n` tokens from the one at `at` on, and writes the rows that are wanted of them. */
static int feed(struct computation *computation, size_t at, size_t n, FILE *file)
{
    const struct settings *settings = computation->settings;
    const size_t n_vocab = computation->n_vocab;
    const size_t n_rows = settings->only_last ? at + n == settings->tokens.count : n;
    lckv_evaluate_options options = evaluate_options(settings->prefill);
    lckv_evaluate_report report = {.size = sizeof report};
    const lckv_item item = {
        .session = computation->session,
        .tokens = settings->tokens.ids + at,
        .n_tokens = n,
        .want = n_rows == 0           ? LCKV_WANT_NOTHING
                : settings->only_last ? LCKV_WANT_LAST
                                      : LCKV_WANT_ALL,
        .logits = n_rows > 0 ? computation->logits : NULL,
        .logits_capacity = n_rows * n_vocab,
    };
    if (lckv_evaluate(computation->cache, &item, sizeof item, 1, &options, &report) != LCKV_OK)
        return fail_library();
    if (!npy_write(file, computation->logits, n_rows * n_vocab))
        return fail_output(settings);
    computation->n_layer_rows += report.n_rows;
    computation->n_passes += report.n_passes;
    if (report.window > 0) {
        computation->window = report.window;
        computation->tolerance = report.tolerance;
    }
    if (report.residual > computation->residual)
        computation->residual = report.residual;
    return computation->exactly != NULL ? verify(computation, item, n_rows) : EXIT_SUCCESS;
}

static int feed_all(struct computation *computation, FILE *file)
{
    const size_t n_tokens = computation->settings->tokens.count;
    struct progress progress = progress_begin("computing");
    int status = EXIT_SUCCESS;
    for (size_t at = 0; at < n_tokens && status == EXIT_SUCCESS;) {
        const size_t n = call_length(computation->settings, at);
        status = feed(computation, at, n, file);
        at += n;
        progress_update(&progress, at, n_tokens);
    }
    progress_end(&progress);
    return status;
}

static int write_file(struct computation *computation)
{
    const struct settings *settings = computation->settings;
    struct output_file output;
    if (!output_file_open(&output, settings->output))
        return fail_output(settings);
    const size_t n_written = settings->only_last ? 1 : settings->tokens.count;
    int status = npy_begin(output.stream, n_written, computation->n_vocab)
                     ? feed_all(computation, output.stream)
                     : fail_output(settings);
    if (status != EXIT_SUCCESS)
        output_file_discard(&output);
    else if (!output_file_commit(&output))
        status = fail_output(settings);
    return status;
}

static void print_verification(const struct computation *computation)
{
    const struct settings *settings = computation->settings;
    const struct deviation *deviation = &computation->deviation;
    const double n_tokens = (double)settings->tokens.count;
    const double work = (double)computation->n_layer_rows / n_tokens;
    const double reads = (double)computation->n_passes / n_tokens;
    const double largest = deviation_largest(deviation), mean = deviation_mean(deviation);
    if (settings->as_json) {
        struct json json = json_open(stdout);
        json_add_string(&json, "prefill", prefill_text(settings->prefill).text);
        json_add_unsigned(&json, "n_tokens", settings->tokens.count);
        json_add_unsigned(&json, "window", computation->window);
        json_add_float(&json, "tolerance", computation->tolerance);
        json_add_real(&json, "work", work, 6);
        json_add_real(&json, "reads", reads, 6);
        json_add_float(&json, "residual", computation->residual);
        json_add_real(&json, "largest_deviation", largest, 6);
        json_add_real(&json, "mean_deviation", mean, 6);
        json_add_unsigned(&json, "n_rows", deviation->n_rows);
        json_add_unsigned(&json, "n_same_token", deviation->n_agreeing);
        json_close(&json);
        return;
    }
    printf("Prefill %s", prefill_text(settings->prefill).text);
    if (computation->window > 0)
        printf(" (window %" PRIu32 ", tolerance %g, residual %.2g)", computation->window,
               (double)computation->tolerance, (double)computation->residual);
    printf(": %.2f passes and %.3f reads of the weights for each token.\n"
           "From the exact logits they deviate by at most %.3g of their standard deviation, by\n"
           "%.3g on average. The most likely token is the same after %" PRIu64 " of %" PRIu64
           " tokens.\n",
           work, reads, largest, mean, deviation->n_agreeing, deviation->n_rows);
}

static float *allocate_rows(const struct computation *computation)
{
    const size_t n_rows = computation->n_rows, n_vocab = computation->n_vocab;
    float *rows = n_vocab > 0 && n_rows <= SIZE_MAX / sizeof *rows / n_vocab
                      ? malloc(n_rows * n_vocab * sizeof *rows)
                      : NULL;
    if (rows == NULL)
        complain("out of memory for %zu rows of logits; --chunk makes calls shorter", n_rows);
    return rows;
}

static int create_sessions(struct computation *computation)
{
    if (lckv_session_create(computation->cache, &computation->session) != LCKV_OK ||
        (computation->settings->verify &&
         lckv_session_create(computation->cache, &computation->exactly) != LCKV_OK))
        return fail_library();
    return EXIT_SUCCESS;
}

static int compute(const struct settings *settings, lckv_cache *cache, size_t n_vocab)
{
    struct computation computation = {.settings = settings,
                                      .cache = cache,
                                      .n_vocab = n_vocab,
                                      .n_rows = settings->only_last ? 1 : longest_call(settings)};
    int status = create_sessions(&computation);
    if (status == EXIT_SUCCESS) {
        computation.logits = allocate_rows(&computation);
        if (settings->verify && computation.logits != NULL)
            computation.exact = allocate_rows(&computation);
        if (computation.logits == NULL || (settings->verify && computation.exact == NULL))
            status = EXIT_FAILURE;
    }
    if (status == EXIT_SUCCESS)
        status = write_file(&computation);
    if (status == EXIT_SUCCESS && settings->verify)
        print_verification(&computation);
    free(computation.logits);
    free(computation.exact);
    lckv_session_release(computation.session);
    lckv_session_release(computation.exactly);
    return status;
}

/* This is checked before the output is opened, so that a wrong id leaves no trace. */
static int check_tokens(const struct settings *settings, uint32_t n_vocab)
{
    for (size_t i = 0; i < settings->tokens.count; i++) {
        lckv_token token = settings->tokens.ids[i];
        if (token < 0 || (uint32_t)token >= n_vocab) {
            complain("token %zu is %" PRId32 "; the model's ids are 0 to %" PRIu32, i, token,
                     n_vocab - 1);
            return EXIT_FAILURE;
        }
    }
    return EXIT_SUCCESS;
}

static int run(const struct settings *settings)
{
    lckv_model *model;
    int status = open_model(&settings->model, NULL, &model);
    if (status != EXIT_SUCCESS)
        return status;
    size_t longest = longest_call(settings);
    lckv_cache_options options = {
        .size = sizeof options,
        .n_tokens = settings->tokens.count * (settings->verify ? 2 : 1),
        .max_sessions = settings->verify ? 2 : 1,
        .kv_dtype = settings->cache.kv_types.keys,
        .v_dtype = settings->cache.kv_types.values,
        .n_threads = (uint32_t)settings->cache.n_threads,
    };
    if (prefill_takes_whole(settings->prefill) && longest > 256 && longest <= UINT32_MAX)
        options.max_rows = (uint32_t)longest;
    lckv_model_info info = {.size = sizeof info};
    lckv_cache *cache = NULL;
    status = lckv_model_get_info(model, &info) == LCKV_OK ? check_tokens(settings, info.n_vocab)
                                                          : fail_library();
    if (status == EXIT_SUCCESS)
        status = create_cache(model, &options, "fewer --tokens", &cache);
    if (status == EXIT_SUCCESS)
        note_training_context(model, settings->tokens.count);
    if (status == EXIT_SUCCESS)
        status = compute(settings, cache, info.n_vocab);
    lckv_cache_release(cache);
    lckv_model_release(model);
    return status;
}

int cmd_logits(int argc, char **argv)
{
    struct settings settings = {.model.precision = LCKV_PRECISION_FULL,
                                .cache.kv_types = {LCKV_DTYPE_F32, LCKV_DTYPE_F32}};
    struct command_line line = {
        .command = "logits",
        .description =
            "Writes the logits after each token as float32 [n_tokens, n_vocab], a NumPy "
            "file. Here\n"
            "full precision and f32 keys and values are the default. --verify tells how\n"
            "far they are from the exact ones, token by token.",
        .examples =
            "lckv logits model.gguf --tokens 1,2,3 --output logits.npy\n"
            "lckv tokenize model.gguf --text 'Once upon a time' > ids.txt\n"
            "lckv logits model.gguf --tokens @ids.txt --prefill iterated:7+2 --last -o last.npy\n"
            "lckv logits model.gguf --tokens @ids.txt --prefill auto:16,0.01 --verify -o all.npy",
    };
    add_argument(&line, "MODEL", &settings.model.path);
    add_token_list(&line, &settings.tokens);
    add_text(&line, "-o, --output FILE", &settings.output, "the .npy file to write");
    add_flag(&line, "--last", &settings.only_last, "only the row after the last token");
    add_number(&line, "--chunk N", &settings.chunk, 1, UINT32_MAX, "feed the tokens in calls of N");
    add_number(&line, "--split N", &settings.split, 1, UINT32_MAX,
               "feed the first N tokens, then the rest");
    add_flag(&line, "--verify", &settings.verify,
             "compute the exact logits too, and print how far\nthose written are from them");
    add_prefill_mode(&line, &settings.prefill);
    add_model_options(&line, &settings.model);
    add_cache_options(&line, &settings.cache);
    add_json(&line, &settings.as_json);
    int status;
    if (options_parse(&line, argc, argv, &status)) {
        if (settings.tokens.ids == NULL)
            status = fail_usage("logits", "--tokens is missing");
        else if (settings.tokens.count == 0)
            status = fail_usage("logits", "--tokens: expected at least one token");
        else if (settings.output == NULL)
            status = fail_usage("logits", "--output is missing");
        else if (settings.as_json && !settings.verify)
            status = fail_usage("logits", "--json is about what --verify prints");
        else if (settings.split >= settings.tokens.count && settings.split != 0)
            status = fail_usage("logits",
                                "--split: expected less than the number of tokens, %zu, got "
                                "%" PRIu64,
                                settings.tokens.count, settings.split);
        else
            status = run(&settings);
    }
    free(settings.tokens.ids);
    return status;
}
