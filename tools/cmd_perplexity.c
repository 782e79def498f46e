/*
 * lckv perplexity cuts a text into windows or lines and measures them.
 */
#include "commands.h"
#include "common_options.h"
#include "json.h"
#include "perplexity.h"
#include "report.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct settings {
    struct model_settings model;
    const char *file;
    const char *tokens_file;
    uint64_t context;
    bool all_positions;
    bool per_line;
    struct prefill prefill;
    struct cache_settings cache;
    bool as_json;
};

/* Documents, and the tokens that they point to. */
struct corpus {
    struct token_list tokens;
    struct document *documents;
    size_t n_documents;
    uint64_t context; /* tokens of a window; 0: lines, or the whole text */
};

static int read_input(const char *path, struct bytes *bytes)
{
    if (read_whole(path, bytes))
        return EXIT_SUCCESS;
    complain("cannot read %s: %s", path, strerror(errno));
    return EXIT_FAILURE;
}

/* Loads the tokens of the whole text. None of them is special, except BOS if the rule adds it. */
static int load_tokens(const struct settings *settings, const lckv_model *model,
                       struct token_list *tokens)
{
    bool is_text = settings->tokens_file == NULL;
    const char *path = is_text ? settings->file : settings->tokens_file;
    struct bytes input = {0};
    int status = read_input(path, &input);
    if (status != EXIT_SUCCESS)
        return status;
    if (is_text) {
        uint32_t flags = model_adds_bos(model) ? LCKV_TOKENIZE_BOS : LCKV_TOKENIZE_NO_BOS;
        status = tokenize_text(model, input.data, input.length, flags | LCKV_TOKENIZE_NO_SPECIAL,
                               tokens);
    } else if (!parse_tokens(input.data, input.length, tokens)) {
        complain("%s: expected token ids with commas or blanks between them", path);
        status = EXIT_FAILURE;
    }
    free(input.data);
    return status;
}

/*
 * Cuts the text into windows of N tokens, one after the other, and drops what is left. If the
 * model's texts begin with BOS, it takes the place of each window's first token, as in llama.cpp.
 */
static int cut_windows(const struct settings *settings, const lckv_model *model,
                       struct corpus *corpus)
{
    lckv_model_info info = {.size = sizeof info};
    if (lckv_model_get_info(model, &info) != LCKV_OK)
        return fail_library();
    uint64_t context = settings->context;
    if (context == 0)
        context = info.context_length >= 4 && info.context_length < 512 ? info.context_length : 512;
    int status = load_tokens(settings, model, &corpus->tokens);
    if (status != EXIT_SUCCESS)
        return status;
    lckv_token *ids = corpus->tokens.ids;
    size_t n_windows = (size_t)(corpus->tokens.count / context);
    if (n_windows == 0) {
        complain("the text has %zu token%s, less than one window of %" PRIu64
                 "; --context makes windows shorter",
                 corpus->tokens.count, plural(corpus->tokens.count), context);
        return EXIT_FAILURE;
    }
    corpus->documents = calloc(n_windows, sizeof *corpus->documents);
    if (corpus->documents == NULL)
        return fail_memory();
    bool adds_bos = model_adds_bos(model);
    for (size_t i = 0; i < n_windows; i++) {
        lckv_token *window = ids + i * (size_t)context;
        if (adds_bos)
            window[0] = lckv_model_special_token(model, LCKV_SPECIAL_BOS);
        corpus->documents[i] = (struct document){window, (size_t)context,
                                                 settings->all_positions ? 0 : (size_t)context / 2};
    }
    corpus->n_documents = n_windows;
    corpus->context = context;
    return EXIT_SUCCESS;
}

/* Makes the whole text one document: a context window moves over it. */
static int take_whole(const struct settings *settings, const lckv_model *model,
                      struct corpus *corpus)
{
    int status = load_tokens(settings, model, &corpus->tokens);
    if (status != EXIT_SUCCESS)
        return status;
    if (corpus->tokens.count < 2) {
        complain("the text has %zu token%s; expected at least 2", corpus->tokens.count,
                 plural(corpus->tokens.count));
        return EXIT_FAILURE;
    }
    corpus->documents = calloc(1, sizeof *corpus->documents);
    if (corpus->documents == NULL)
        return fail_memory();
    *corpus->documents = (struct document){corpus->tokens.ids, corpus->tokens.count, 0};
    corpus->n_documents = 1;
    return EXIT_SUCCESS;
}

/* Appends BOS, the tokens of the line and EOS to corpus->tokens. */
static int append_line(const lckv_model *model, const char *line, size_t length,
                       struct corpus *corpus, size_t *capacity)
{
    struct token_list tokens = {0};
    int status = tokenize_text(model, line, length, LCKV_TOKENIZE_NO_BOS | LCKV_TOKENIZE_NO_SPECIAL,
                               &tokens);
    if (status != EXIT_SUCCESS)
        return status;
    struct token_list *all = &corpus->tokens;
    size_t needed = all->count + tokens.count + 2;
    if (needed > *capacity) {
        size_t larger = needed * 2;
        lckv_token *ids = realloc(all->ids, larger * sizeof *ids);
        if (ids == NULL) {
            free(tokens.ids);
            return fail_memory();
        }
        all->ids = ids;
        *capacity = larger;
    }
    all->ids[all->count++] = lckv_model_special_token(model, LCKV_SPECIAL_BOS);
    memcpy(all->ids + all->count, tokens.ids, tokens.count * sizeof *tokens.ids);
    all->count += tokens.count;
    all->ids[all->count++] = lckv_model_special_token(model, LCKV_SPECIAL_EOS);
    corpus->documents[corpus->n_documents++] = (struct document){.n_tokens = tokens.count + 2};
    free(tokens.ids);
    return EXIT_SUCCESS;
}

/* Makes each line a document from BOS to EOS. Empty lines are left out. */
static int cut_lines(const struct settings *settings, const lckv_model *model,
                     struct corpus *corpus)
{
    if (lckv_model_special_token(model, LCKV_SPECIAL_BOS) < 0 ||
        lckv_model_special_token(model, LCKV_SPECIAL_EOS) < 0) {
        complain("--per-line needs a model with BOS and EOS tokens");
        return EXIT_FAILURE;
    }
    struct bytes input = {0};
    int status = read_input(settings->file, &input);
    if (status != EXIT_SUCCESS)
        return status;
    size_t n_lines = 1, capacity = 0;
    for (size_t i = 0; i < input.length; i++)
        n_lines += input.data[i] == '\n';
    corpus->documents = calloc(n_lines, sizeof *corpus->documents);
    status = corpus->documents != NULL ? EXIT_SUCCESS : fail_memory();
    for (size_t at = 0; at < input.length && status == EXIT_SUCCESS;) {
        const char *line = input.data + at;
        const char *newline = memchr(line, '\n', input.length - at);
        size_t length = newline != NULL ? (size_t)(newline - line) : input.length - at;
        at += length + 1;
        if (length > 0 && line[length - 1] == '\r')
            length--;
        if (length > 0)
            status = append_line(model, line, length, corpus, &capacity);
    }
    free(input.data);
    /* Only now are the tokens at their final address. */
    const lckv_token *tokens = corpus->tokens.ids;
    for (size_t i = 0; i < corpus->n_documents; i++) {
        corpus->documents[i].tokens = tokens;
        tokens += corpus->documents[i].n_tokens;
    }
    if (status == EXIT_SUCCESS && corpus->n_documents == 0) {
        complain("%s: expected at least one line that is not empty", settings->file);
        status = EXIT_FAILURE;
    }
    return status;
}

/* Prints exp(mean): if it is large, with an exponent; if it is beyond doubles, as a power of e. */
static void print_perplexity(double mean)
{
    double perplexity = exp(mean);
    if (isinf(perplexity))
        printf("perplexity e^%.1f", mean);
    else
        printf(perplexity < 1e6 ? "perplexity %.5f" : "perplexity %.5e", perplexity);
}

static void print_result(const struct settings *settings, const struct corpus *corpus,
                         const struct perplexity_result *result)
{
    double mean = result->nll / (double)result->n_tokens;
    double speed = per_second((double)result->n_encoded, result->seconds);
    if (settings->as_json) {
        struct json json = json_open(stdout);
        json_add_real(&json, "perplexity", exp(mean), 10);
        json_add_unsigned(&json, "n_tokens", result->n_tokens);
        json_add_real(&json, "mean_nll", mean, 10);
        json_add_unsigned(&json, "n_documents", corpus->n_documents);
        if (corpus->context != 0)
            json_add_unsigned(&json, "context", corpus->context);
        if (settings->cache.context_window != 0)
            json_add_unsigned(&json, "context_window", settings->cache.context_window);
        json_add_string(&json, "prefill", prefill_text(settings->prefill).text);
        json_add_real(&json, "tokens_per_second", speed, 6);
        json_close(&json);
        return;
    }
    print_perplexity(mean);
    printf(" over %" PRIu64 " tokens of %zu ", result->n_tokens, corpus->n_documents);
    if (corpus->context != 0)
        printf("windows of %" PRIu64, corpus->context);
    else
        printf(settings->per_line ? "lines" : "text");
    printf(" (%.1f tokens/s)\n", speed);
}

static int run(const struct settings *settings)
{
    lckv_model *model;
    int status = open_model(&settings->model, NULL, &model);
    if (status != EXIT_SUCCESS)
        return status;
    struct corpus corpus = {0};
    if (settings->per_line)
        status = cut_lines(settings, model, &corpus);
    else if (settings->cache.context_window != 0)
        status = take_whole(settings, model, &corpus);
    else
        status = cut_windows(settings, model, &corpus);
    if (status == EXIT_SUCCESS) {
        struct perplexity_job job = {
            .model = model,
            .documents = corpus.documents,
            .n_documents = corpus.n_documents,
            .prefill = settings->prefill,
            .cache = settings->cache,
        };
        struct perplexity_result result;
        status = perplexity_measure(&job, &result);
        if (status == EXIT_SUCCESS)
            print_result(settings, &corpus, &result);
    }
    free(corpus.documents);
    free(corpus.tokens.ids);
    lckv_model_release(model);
    return status;
}

int cmd_perplexity(int argc, char **argv)
{
    struct settings settings = {.cache.kv_types = KV_TYPES_DEFAULT};
    struct command_line line = {
        .command = "perplexity",
        .description =
            "Measures how well the model predicts a text. The text is cut into windows, and the\n"
            "second half of each is counted, as llama.cpp does it. With --context-window it stays\n"
            "whole, and all of it is counted.",
        .examples = "lckv perplexity model.gguf -f text.txt\n"
                    "lckv perplexity model.gguf -f text.txt --per-line --precision full --json",
    };
    add_argument(&line, "MODEL", &settings.model.path);
    add_file(&line, &settings.file);
    add_text(&line, "--tokens-file FILE", &settings.tokens_file, "token ids instead of a text");
    add_number(&line, "-c, --context N", &settings.context, 4, UINT32_MAX,
               "tokens of a window (default: the model's context,\nat most 512)");
    add_flag(&line, "--all-positions", &settings.all_positions,
             "count whole windows, not their second halves");
    add_flag(&line, "--per-line", &settings.per_line,
             "each line is a text of its own, from BOS to EOS,\nand counted whole");
    add_prefill_mode(&line, &settings.prefill);
    add_model_options(&line, &settings.model);
    add_cache_options(&line, &settings.cache);
    add_context_window(&line, &settings.cache);
    add_json(&line, &settings.as_json);
    int status;
    if (!options_parse(&line, argc, argv, &status))
        return status;
    if ((settings.file == NULL) == (settings.tokens_file == NULL))
        return fail_usage("perplexity", "expected one of --file and --tokens-file");
    if (settings.per_line && settings.tokens_file != NULL)
        return fail_usage("perplexity", "--per-line needs a text, so not --tokens-file");
    if (settings.per_line && settings.context != 0)
        return fail_usage("perplexity", "--per-line and --context exclude each other");
    if (settings.cache.context_window != 0 && settings.context != 0)
        return fail_usage("perplexity", "--context-window and --context exclude each other");
    return run(&settings);
}
