/*
 * Byte-pair encoding: a word's bytes become tokens by joining neighbours, the earliest merge of the
 * list first, the leftmost of equals. Words come from pretokenizer.h.
 */
#ifndef LCKV_TEXT_BPE_H
#define LCKV_TEXT_BPE_H

#include "base/checked.h"
#include "text/vocabulary.h"

struct bpe_merge {
    uint32_t left, right; /* together the key of the table */
    uint32_t result;
};

struct bpe {
    const struct vocabulary *vocabulary;
    struct bpe_merge *merges; /* the index is the rank */
    uint32_t n_merges;
    struct table ranks; /* of (left, right) */
    bool last_counts;   /* of merges listed twice; otherwise the first does */
    char *joined;       /* room for the longest spelling, while merges are added */
    bool ignore_merges; /* a word that is a token stays whole, whatever the merges */
    /*
     * What stands for a byte that has no token; -1: nothing, as in the field's tools. There are
     * vocabularies without some bytes, SmolLM2's for one: bytes that UTF-8 never has, and a few
     * control characters.
     */
    lckv_token unknown;
};

/* Tokens on their way to the caller. */
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
    uint64_t *candidates; /* a binary heap: rank above position */
    size_t n_candidates, candidates_capacity;
    char *spelling;
    size_t spelling_capacity;
};

/* The vocabulary is finished and outlives it; `max_merges` are going to be added. */
CHECKED lckv_status bpe_init(struct bpe *bpe, const struct vocabulary *vocabulary,
                             uint64_t max_merges);

/*
 * Adds the next merge. *known false, and nothing added, if a part or the whole is no token. A merge
 * that is there already moves to the new rank if the last counts, and stays otherwise.
 */
CHECKED lckv_status bpe_add_merge(struct bpe *bpe, struct text left, struct text right,
                                  bool *known);

CHECKED lckv_status token_list_add(struct token_list *list, lckv_token token);
void token_list_release(struct token_list *list);
void bpe_workspace_release(struct bpe_workspace *workspace);

/* Whether the merge of that index counts; one listed twice stays in the list where it does not. */
CHECKED bool bpe_uses_merge(const struct bpe *bpe, uint32_t index);

/* Appends the tokens of a word. */
CHECKED lckv_status bpe_encode(const struct bpe *bpe, struct bpe_workspace *workspace,
                               const char *word, size_t length, struct token_list *list);

#endif
