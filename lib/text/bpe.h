/*
 * Byte-pair encoding makes tokens of a word's bytes by joining neighbours: the merge that comes
 * first in the list is done first, and of equal ones the leftmost. Words come from pretokenizer.h.
 */
#ifndef LCKV_TEXT_BPE_H
#define LCKV_TEXT_BPE_H

#include "base/checked.h"
#include "text/vocabulary.h"

struct bpe_merge {
    uint32_t left, right; /* together they are the key in the table */
    uint32_t result;
};

struct bpe {
    const struct vocabulary *vocabulary;
    struct bpe_merge *merges; /* the index is the rank */
    uint32_t n_merges;
    struct table ranks; /* from (left, right) to the rank */
    bool last_counts;   /* if a merge is listed twice, the last one counts; otherwise the first */
    char *joined;       /* room for the longest spelling, while merges are added */
    bool ignore_merges; /* a word that is a token stays whole, whatever the merges */
    /*
     * The token for a byte that has none of its own; -1: such a byte gives no token, as in the
     * field's tools. Some vocabularies (SmolLM2's, for one) have no tokens for bytes that UTF-8
     * never has, and for a few control characters.
     */
    lckv_token unknown;
};

/* Tokens that are collected for the caller. */
struct token_list {
    const lckv_allocator *allocator;
    lckv_token *tokens;
    size_t count, capacity;
};

/* The memory of one call, used again for each word. */
struct bpe_workspace {
    const lckv_allocator *allocator;
    struct bpe_symbol *symbols;
    size_t symbols_capacity;
    uint64_t *candidates; /* a binary heap; the rank is in the upper half, the position below */
    size_t n_candidates, candidates_capacity;
    char *spelling;
    size_t spelling_capacity;
};

/* The vocabulary must be finished and outlive `bpe`. At most `max_merges` may be added. */
CHECKED lckv_status bpe_init(struct bpe *bpe, const struct vocabulary *vocabulary,
                             uint64_t max_merges);

/*
 * Adds the next merge. If a part or the whole is no token, nothing is added and *known is false. A
 * merge that is there already moves to the new rank if the last one counts; otherwise it stays.
 */
CHECKED lckv_status bpe_add_merge(struct bpe *bpe, struct text left, struct text right,
                                  bool *known);

CHECKED lckv_status token_list_add(struct token_list *list, lckv_token token);
void token_list_release(struct token_list *list);
void bpe_workspace_release(struct bpe_workspace *workspace);

/* Whether the merge at that index counts. Of one that is listed twice, the other place does not. */
CHECKED bool bpe_uses_merge(const struct bpe *bpe, uint32_t index);

/* Appends the tokens of a word. */
CHECKED lckv_status bpe_encode(const struct bpe *bpe, struct bpe_workspace *workspace,
                               const char *word, size_t length, struct token_list *list);

#endif
