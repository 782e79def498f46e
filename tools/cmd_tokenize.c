/*
 * lckv tokenize and lckv detokenize turn text into token ids and back.
 */
#include "commands.h"
#include "common_options.h"
#include "json.h"
#include "report.h"
#include "setup.h"
#include "show.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int print_tokens(const lckv_model *model, const char *text, size_t length, uint32_t flags,
                        bool as_json)
{
    struct token_list tokens = {0};
    int status = tokenize_text(model, text, length, flags, &tokens);
    if (status != EXIT_SUCCESS)
        return status;
    if (as_json) {
        struct json json = json_open(stdout);
        json_add_tokens(&json, "tokens", tokens.ids, tokens.count);
        json_close(&json);
    } else {
        for (size_t i = 0; i < tokens.count; i++)
            printf("%s%d", i > 0 ? "," : "", (int)tokens.ids[i]);
        putchar('\n');
    }
    free(tokens.ids);
    return EXIT_SUCCESS;
}

int cmd_tokenize(int argc, char **argv)
{
    struct model_settings settings = {.without_weights = true};
    const char *text = NULL, *path = NULL;
    bool no_special = false, bos = false, no_bos = false, as_json = false;
    struct command_line line = {
        .command = "tokenize",
        .description =
            "Prints the token ids of a text. Any bytes are a text, and no newline is removed.",
        .examples = "lckv tokenize model.gguf --text 'Once upon a time' > ids.txt\n"
                    "lckv detokenize model.gguf --tokens @ids.txt\n"
                    "lckv tokenize model.gguf --json < story.txt",
    };
    add_argument(&line, "MODEL", &settings.path);
    add_text(&line, "--text TEXT", &text, "the text (default: standard input)");
    add_file(&line, &path);
    add_flag(&line, "--no-special", &no_special,
             "text that looks like a special token is plain text");
    add_flag(&line, "--bos", &bos, "begin with BOS (default: the model's own rule)");
    add_flag(&line, "--no-bos", &no_bos, "add nothing at either end");
    add_json(&line, &as_json);
    int status;
    if (!options_parse(&line, argc, argv, &status))
        return status;
    if (bos && no_bos)
        return fail_usage(line.command, "--bos and --no-bos exclude each other");
    if (text != NULL && path != NULL)
        return fail_usage(line.command, "--text and --file exclude each other");
    lckv_model *model;
    status = open_model(&settings, NULL, &model);
    if (status != EXIT_SUCCESS)
        return status;
    uint32_t flags = (no_special ? LCKV_TOKENIZE_NO_SPECIAL : 0u) | (bos ? LCKV_TOKENIZE_BOS : 0u) |
                     (no_bos ? LCKV_TOKENIZE_NO_BOS : 0u);
    struct bytes input = {0};
    if (text != NULL) {
        status = print_tokens(model, text, strlen(text), flags, as_json);
    } else if (read_whole(path != NULL ? path : "-", &input)) {
        status = print_tokens(model, input.data, input.length, flags, as_json);
    } else {
        complain("cannot read %s: %s", path != NULL ? path : "standard input", strerror(errno));
        status = EXIT_FAILURE;
    }
    free(input.data);
    lckv_model_release(model);
    return status;
}

static int print_text(const lckv_model *model, const struct token_list *tokens, uint32_t flags,
                      bool as_json)
{
    size_t length = 0;
    lckv_status status =
        lckv_detokenize(model, tokens->ids, tokens->count, flags, NULL, 0, &length);
    if (status != LCKV_OK && status != LCKV_BUFFER_TOO_SMALL)
        return fail_library();
    char *text = malloc(length + 1);
    if (text == NULL)
        return fail_memory();
    if (lckv_detokenize(model, tokens->ids, tokens->count, flags, text, length, &length) !=
        LCKV_OK) {
        free(text);
        return fail_library();
    }
    if (as_json) {
        struct json json = json_open(stdout);
        json_add_text(&json, "text", text, length);
        json_close(&json);
    } else {
        show_text(text, length);
        if (shows_on_terminal() && length > 0 && text[length - 1] != '\n')
            putchar('\n');
    }
    free(text);
    return EXIT_SUCCESS;
}

int cmd_detokenize(int argc, char **argv)
{
    struct model_settings settings = {.without_weights = true};
    struct token_list tokens = {0};
    bool special = false, as_json = false;
    struct command_line line = {
        .command = "detokenize",
        .description =
            "Prints the text of tokens, byte for byte. On a terminal a newline is added, "
            "and\ncontrol characters are escaped.",
        .examples = "lckv detokenize model.gguf --tokens 1,2,3\n"
                    "lckv tokenize model.gguf --text Hi | lckv detokenize model.gguf --tokens @-",
    };
    add_argument(&line, "MODEL", &settings.path);
    add_token_list(&line, &tokens);
    add_flag(&line, "--special", &special, "show special tokens as their text");
    add_json(&line, &as_json);
    int status;
    lckv_model *model = NULL;
    if (options_parse(&line, argc, argv, &status)) {
        if (tokens.ids == NULL)
            status = fail_usage(line.command, "--tokens is missing");
        else
            status = open_model(&settings, NULL, &model);
        if (status == EXIT_SUCCESS)
            status = print_text(model, &tokens, special ? LCKV_DETOKENIZE_SPECIAL : 0u, as_json);
    }
    lckv_model_release(model);
    free(tokens.ids);
    return status;
}
