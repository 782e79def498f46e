/*
 * lckv logits writes the logits after given tokens, for comparison with other implementations.
 */
#include "commands.h"
#include "common_options.h"
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
    const char *output;
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

/* Feeds all tokens to the session and writes the rows that are wanted. */
static int write_rows(const struct settings *settings, lckv_cache *cache, lckv_session *session,
                      float *logits, size_t n_vocab, FILE *file)
{
    size_t n_tokens = settings->tokens.count;
    lckv_evaluate_options options = evaluate_options(settings->prefill);
    struct progress progress = progress_begin("computing");
    int status = EXIT_SUCCESS;
    for (size_t at = 0; at < n_tokens && status == EXIT_SUCCESS;) {
        size_t n = call_length(settings, at);
        size_t n_rows = settings->only_last ? at + n == n_tokens : n;
        lckv_item item = {
            .session = session,
            .tokens = settings->tokens.ids + at,
            .n_tokens = n,
            .want = n_rows == 0           ? LCKV_WANT_NOTHING
                    : settings->only_last ? LCKV_WANT_LAST
                                          : LCKV_WANT_ALL,
            .logits = n_rows > 0 ? logits : NULL,
            .logits_capacity = n_rows * n_vocab,
        };
        if (lckv_evaluate(cache, &item, sizeof item, 1, &options, NULL) != LCKV_OK)
            status = fail_library();
        else if (!npy_write(file, logits, n_rows * n_vocab))
            status = fail_output(settings);
        at += n;
        progress_update(&progress, at, n_tokens);
    }
    progress_end(&progress);
    return status;
}

static int compute(const struct settings *settings, lckv_cache *cache, size_t n_vocab)
{
    size_t n_rows = settings->only_last ? 1 : longest_call(settings);
    lckv_session *session;
    if (lckv_session_create(cache, &session) != LCKV_OK)
        return fail_library();
    int status = EXIT_FAILURE;
    float *logits = n_vocab > 0 && n_rows <= SIZE_MAX / sizeof *logits / n_vocab
                        ? malloc(n_rows * n_vocab * sizeof *logits)
                        : NULL;
    struct output_file output;
    if (logits == NULL) {
        complain("out of memory for %zu rows of logits; --chunk makes calls shorter", n_rows);
    } else if (!output_file_open(&output, settings->output)) {
        fail_output(settings);
    } else {
        size_t n_written = settings->only_last ? 1 : settings->tokens.count;
        status = npy_begin(output.stream, n_written, n_vocab)
                     ? write_rows(settings, cache, session, logits, n_vocab, output.stream)
                     : fail_output(settings);
        if (status != EXIT_SUCCESS)
            output_file_discard(&output);
        else if (!output_file_commit(&output))
            status = fail_output(settings);
    }
    free(logits);
    lckv_session_release(session);
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
        .n_tokens = settings->tokens.count,
        .max_sessions = 1,
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
        .description = "Writes the logits after each token as float32 [n_tokens, n_vocab], a NumPy "
                       "file. Here\n"
                       "full precision and f32 keys and values are the default.",
        .examples =
            "lckv logits model.gguf --tokens 1,2,3 --output logits.npy\n"
            "lckv tokenize model.gguf --text 'Once upon a time' > ids.txt\n"
            "lckv logits model.gguf --tokens @ids.txt --prefill iterated:7+2 --last -o last.npy",
    };
    add_argument(&line, "MODEL", &settings.model.path);
    add_token_list(&line, &settings.tokens);
    add_text(&line, "-o, --output FILE", &settings.output, "the .npy file to write");
    add_flag(&line, "--last", &settings.only_last, "only the row after the last token");
    add_number(&line, "--chunk N", &settings.chunk, 1, UINT32_MAX, "feed the tokens in calls of N");
    add_number(&line, "--split N", &settings.split, 1, UINT32_MAX,
               "feed the first N tokens, then the rest");
    add_prefill_mode(&line, &settings.prefill);
    add_model_options(&line, &settings.model);
    add_cache_options(&line, &settings.cache);
    int status;
    if (options_parse(&line, argc, argv, &status)) {
        if (settings.tokens.ids == NULL)
            status = fail_usage("logits", "--tokens is missing");
        else if (settings.tokens.count == 0)
            status = fail_usage("logits", "--tokens: expected at least one token");
        else if (settings.output == NULL)
            status = fail_usage("logits", "--output is missing");
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
