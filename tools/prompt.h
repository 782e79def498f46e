/*
 * The prompt of lckv generate: where it comes from, its tokens, and the text that a reader sees.
 */
#ifndef TOOLS_PROMPT_H
#define TOOLS_PROMPT_H

#include "values.h"

/*
 * At most one of the first three is given. Without any, the prompt is BOS, or if it continues a
 * text, empty.
 */
struct prompt_source {
    const char *text;
    const char *file;
    struct token_list tokens;
    bool continues; /* a text that is there already, so that no BOS is added */
};

struct prompt {
    struct token_list tokens;
    struct bytes text; /* empty if the source is tokens and the model has no tokenizer */
};

/* Complains and returns an exit status. */
int prompt_load(const lckv_model *model, const struct prompt_source *source, struct prompt *prompt);

/* Prints the text. On terminals that can, it is dim, so that the continuation stands out. */
void prompt_print(const struct prompt *prompt);

void prompt_free(struct prompt *prompt);

#endif
