/*
 * Guesses what a mistyped word was meant to be: "did you mean generate?".
 */
#ifndef TOOLS_SUGGEST_H
#define TOOLS_SUGGEST_H

#include <stddef.h>

/* Initialise it as {.word = WORD, .length = LENGTH}. `name` is the nearest one so far, or NULL. */
struct suggestion {
    const char *word;
    size_t length;
    const char *name;
    size_t name_length;
    size_t distance;
};

/* Offers a name that the word may have been meant to be. It must live as long as the suggestion. */
void suggest(struct suggestion *suggestion, const char *name, size_t length);

#endif
