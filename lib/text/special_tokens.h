/*
 * Special tokens in text. Before anything else looks at the text, control and user-defined tokens
 * are found where their spelling occurs: the leftmost first, and the longest of those that begin at
 * one byte.
 *
 * An automaton (by Aho and Corasick, built from the reversed tokens) reads the text from its end.
 * So it knows at each byte the longest token that begins there. A byte costs a few steps, however
 * long the tokens are and whatever they have in common.
 */
#ifndef LCKV_TEXT_SPECIAL_TOKENS_H
#define LCKV_TEXT_SPECIAL_TOKENS_H

#include "base/checked.h"
#include "text/normalizer.h"
#include "text/prefix_tree.h"
#include "text/vocabulary.h"

/* The automaton has a state for each different end of a token. */
#define SPECIAL_TOKENS_MAX_STATES (1u << 22)

/* What a node of the tree is as a state. Of the two tokens, the second may be a control token. */
struct special_state {
    uint32_t fallback;   /* the state for the longest part of this text that ends a token, too */
    lckv_token token[2]; /* the longest that begins here, or -1 */
    uint32_t length[2];  /* of its text, perhaps normalised */
};

struct special_tokens {
    const struct vocabulary *vocabulary;
    bool normalized;
    struct prefix_tree tree; /* of the reversed tokens */
    struct special_state *states;
    size_t longest; /* the bytes of the longest token; 0: there are none */
};

struct special_match {
    size_t begin, end; /* in the text, with the white space that the token takes: may overlap */
    lckv_token id;
};

/*
 * Takes the tokens that are not normalized; or, if there is a normaliser, those that are, in the
 * form that it gives them. The vocabulary must be finished and outlive the special tokens.
 */
CHECKED lckv_status special_tokens_init(struct special_tokens *specials,
                                        const struct vocabulary *vocabulary,
                                        struct normalizing *normalizing);

/* The state that a byte leads to from this one. */
uint32_t special_tokens_next(const struct special_tokens *specials, uint32_t state, uint8_t byte);

/* ---- Finding: special_finder.c ---- */

/* Finds the special tokens of one text, one after the other. */
struct special_finder {
    const struct special_tokens *specials;
    const lckv_allocator *allocator;
    const char *text;
    size_t length;
    bool controls;      /* look for control tokens, too */
    size_t at;          /* where the next match may begin */
    size_t taken;       /* where the last match ended */
    size_t space_begin; /* white space that a match has taken at its end */
    size_t space_end;
    size_t block_begin; /* the part of the text for which `states` is known */
    size_t block_length;
    uint32_t *states; /* of the automaton at each byte; 0 where no token begins */
    size_t capacity;
};

/* The text and the special tokens must outlive the finder. */
CHECKED lckv_status special_finder_init(struct special_finder *finder,
                                        const struct special_tokens *specials,
                                        const lckv_allocator *allocator, const char *text,
                                        size_t length, bool controls);
void special_finder_release(struct special_finder *finder);

/*
 * The next match; false if there is none. White space that a match takes may be the next one's text
 * all the same, as in Hugging Face's tokenizers; such a match begins before the last one's end.
 */
CHECKED bool special_finder_next(struct special_finder *finder, struct special_match *match);

#endif
