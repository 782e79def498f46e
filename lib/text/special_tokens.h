/*
 * Special tokens in text: control and user-defined tokens are found as they are written, the
 * leftmost first, the longest of several, before anything else looks at the text.
 */
#ifndef LCKV_TEXT_SPECIAL_TOKENS_H
#define LCKV_TEXT_SPECIAL_TOKENS_H

#include "text/vocabulary.h"

/* Bounds what a byte of text costs. */
#define SPECIAL_TOKEN_MAX_LENGTH 512

struct special_token {
    struct text text;
    lckv_token id;
    bool control;
};

struct special_tokens {
    const struct vocabulary *vocabulary;
    struct special_token *tokens; /* sorted by text */
    size_t count;
    size_t first[257]; /* those that begin with byte b: first[b] to first[b + 1] */
};

struct special_match {
    size_t begin, end; /* in the text, with the white space that the token takes */
    lckv_token id;
};

/* The vocabulary is finished and outlives it. */
lckv_status special_tokens_init(struct special_tokens *specials,
                                const struct vocabulary *vocabulary);

/* The next match from byte `from` on; control tokens only if `controls`. */
bool special_tokens_find(const struct special_tokens *specials, const char *text, size_t length,
                         size_t from, bool controls, struct special_match *match);

#endif
