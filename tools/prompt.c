/*
 * See prompt.h.
 */
#include "prompt.h"

#include "report.h"
#include "setup.h"
#include "show.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int copy_text(const char *text, struct bytes *copy)
{
    copy->length = strlen(text);
    copy->data = strdup(text);
    return copy->data != NULL ? EXIT_SUCCESS : fail_memory();
}

static int copy_tokens(const struct token_list *tokens, struct token_list *copy)
{
    *copy = (struct token_list){calloc(tokens->count + 1, sizeof *copy->ids), tokens->count};
    if (copy->ids == NULL)
        return fail_memory();
    memcpy(copy->ids, tokens->ids, tokens->count * sizeof *copy->ids);
    return EXIT_SUCCESS;
}

/* Makes the text of the tokens, which is only shown. If it cannot be made, it is empty. */
static void text_of_tokens(const lckv_model *model, const struct token_list *tokens,
                           struct bytes *text)
{
    size_t length = 0;
    lckv_detokenize(model, tokens->ids, tokens->count, 0, NULL, 0, &length);
    text->data = malloc(length + 1);
    if (text->data == NULL || lckv_detokenize(model, tokens->ids, tokens->count, 0, text->data,
                                              length, &text->length) != LCKV_OK)
        text->length = 0;
}

/* An empty prompt is the beginning of a text: BOS. */
static int begin_with_bos(const lckv_model *model, struct token_list *tokens)
{
    lckv_token bos = lckv_model_special_token(model, LCKV_SPECIAL_BOS);
    if (bos < 0) {
        complain("the prompt is empty, and the model has no BOS token to begin with");
        return EXIT_FAILURE;
    }
    free(tokens->ids);
    *tokens = (struct token_list){calloc(1, sizeof *tokens->ids), 1};
    if (tokens->ids == NULL)
        return fail_memory();
    tokens->ids[0] = bos;
    return EXIT_SUCCESS;
}

int prompt_load(const lckv_model *model, const struct prompt_source *source, struct prompt *prompt)
{
    int status = EXIT_SUCCESS;
    if (source->tokens.ids != NULL) {
        status = copy_tokens(&source->tokens, &prompt->tokens);
        if (status == EXIT_SUCCESS)
            text_of_tokens(model, &prompt->tokens, &prompt->text);
    } else if (source->file != NULL) {
        if (!read_whole(source->file, &prompt->text)) {
            complain("cannot read %s: %s", source->file, strerror(errno));
            return EXIT_FAILURE;
        }
    } else if (source->text != NULL) {
        status = copy_text(source->text, &prompt->text);
    }
    if (status == EXIT_SUCCESS && source->tokens.ids == NULL && prompt->text.data != NULL)
        status = source->continues ? tokenize_text(model, prompt->text.data, prompt->text.length,
                                                   LCKV_TOKENIZE_NO_BOS, &prompt->tokens)
                                   : tokenize_prompt(model, prompt->text.data, prompt->text.length,
                                                     &prompt->tokens);
    if (status == EXIT_SUCCESS && prompt->tokens.count == 0 && !source->continues)
        status = begin_with_bos(model, &prompt->tokens);
    return status;
}

void prompt_print(const struct prompt *prompt)
{
    const char *terminal = getenv("TERM");
    const char *no_color = getenv("NO_COLOR");
    bool is_dim = shows_on_terminal() && terminal != NULL && strcmp(terminal, "dumb") != 0 &&
                  (no_color == NULL || no_color[0] == '\0') && prompt->text.length > 0;
    fputs(is_dim ? "\033[2m" : "", stdout);
    show_text(prompt->text.data, prompt->text.length);
    fputs(is_dim ? "\033[22m" : "", stdout);
    fflush(stdout);
}

void prompt_free(struct prompt *prompt)
{
    free(prompt->tokens.ids);
    free(prompt->text.data);
    *prompt = (struct prompt){0};
}
