/*
 * The unigram model of SentencePiece: of all ways to cut a text into tokens it takes the one with
 * the largest sum of scores. A character that is no token counts as the unknown token.
 */
#ifndef LCKV_TEXT_UNIGRAM_H
#define LCKV_TEXT_UNIGRAM_H

#include "base/checked.h"
#include "text/prefix_tree.h"
#include "text/vocabulary.h"

#define UNIGRAM_UNKNOWN_PENALTY 10.0 /* by which the unknown token is below all others */

struct unigram {
    const struct vocabulary *vocabulary;
    struct prefix_tree tree;
    double unknown_score;
    bool has_own_unknown_score; /* not the one that unigram_init sets */
    bool single;                /* sums are rounded to single precision, as in SentencePiece */
    lckv_token unknown;         /* or -1 */
};

/* The memory of one call, used again for each word. */
struct unigram_workspace {
    const lckv_allocator *allocator;
    struct unigram_node *nodes; /* for each byte of the text and its end */
    size_t capacity;
};

/*
 * The vocabulary must be finished, have scores, and outlive `unigram`, of which `single` is set
 * already. The unknown token's score is 10 below the least score of a normal token.
 */
CHECKED lckv_status unigram_init(struct unigram *unigram, const struct vocabulary *vocabulary,
                                 lckv_token unknown);
void unigram_workspace_release(struct unigram_workspace *workspace);

/* Appends the tokens of a text, which may hold bytes that are no UTF-8. */
CHECKED lckv_status unigram_encode(const struct unigram *unigram,
                                   struct unigram_workspace *workspace, const char *text,
                                   size_t length, struct token_list *list);

#endif
