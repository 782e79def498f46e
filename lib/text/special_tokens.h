/*
 * Special tokens in text: control and user-defined tokens are found as they are written, the
 * leftmost first, the longest of several, before anything else looks at the text.
 *
 * An automaton (Aho and Corasick's, over the tokens read backwards) reads the text from its end and
 * so knows at each byte the longest token that begins there. A byte costs a few steps, however long
 * the tokens are and whatever they share.
 */
#ifndef LCKV_TEXT_SPECIAL_TOKENS_H
#define LCKV_TEXT_SPECIAL_TOKENS_H

#include "base/checked.h"
#include "text/vocabulary.h"

/* The automaton's states: one for each different end of a token. */
#define SPECIAL_TOKENS_MAX_STATES (1u << 22)

struct special_state {
    uint32_t first_child; /* its children end where those of the next state begin */
    uint32_t fallback;    /* the state of the longest shorter text that is a token's end, too */
    int32_t token[2];     /* the longest token that has been read, or -1; [1]: control ones too */
    uint8_t byte;         /* that leads here */
};

struct special_tokens {
    const struct vocabulary *vocabulary;
    struct special_state *states; /* by depth, so that children lie together; one more at the end */
    uint32_t roots[256];          /* the state after one byte, 0: none */
    size_t longest;               /* token, in bytes; 0: there are no special tokens */
};

struct special_match {
    size_t begin, end; /* in the text, with the white space that the token takes */
    lckv_token id;
};

/* The vocabulary is finished and outlives it. */
CHECKED lckv_status special_tokens_init(struct special_tokens *specials,
                                        const struct vocabulary *vocabulary);

/* One call's way through a text. */
struct special_finder {
    const struct special_tokens *specials;
    const lckv_allocator *allocator;
    const char *text;
    size_t length;
    bool controls;      /* look for control tokens, too */
    size_t at;          /* where the next match may begin */
    size_t block_begin; /* the part of the text for which `tokens` holds what begins there */
    size_t block_length;
    lckv_token *tokens;
    size_t capacity;
};

/* The text and the special tokens outlive the finder. */
CHECKED lckv_status special_finder_init(struct special_finder *finder,
                                        const struct special_tokens *specials,
                                        const lckv_allocator *allocator, const char *text,
                                        size_t length, bool controls);
void special_finder_release(struct special_finder *finder);

/* The next match; false if there is none. */
CHECKED bool special_finder_next(struct special_finder *finder, struct special_match *match);

#endif
