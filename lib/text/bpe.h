/*
 * Byte-pair encoding makes tokens of a word by joining neighbours, the most urgent pair first, and
 * of equal ones the leftmost. A word begins as its bytes, or as its characters.
 *
 * There are two ways to say how urgent a pair is. Most tokenizers list merges, of which the first
 * are done first. SentencePiece has no list: any two neighbours that make a token may be joined,
 * and the score of that token counts.
 */
#ifndef LCKV_TEXT_BPE_H
#define LCKV_TEXT_BPE_H

#include "base/checked.h"
#include "text/token_list.h"
#include "text/vocabulary.h"

struct bpe_merge {
    uint32_t left, right; /* together they are the key in the table */
    uint32_t result;
};

struct bpe {
    const struct vocabulary *vocabulary;
    struct bpe_merge *merges; /* the index is the rank */
    uint32_t n_merges;
    struct table ranks;  /* from (left, right) to the rank */
    bool last_counts;    /* if a merge is listed twice, the last one counts; otherwise the first */
    char *joined;        /* room for the longest spelling, while merges are added */
    bool by_score;       /* there are no merges; the vocabulary's scores count */
    bool characters;     /* words begin as characters; otherwise as bytes */
    bool ignore_merges;  /* a word that is a token stays whole, whatever the merges */
    bool whole_newlines; /* so does a word of newlines only */
    bool fuse_unknown;   /* characters without a token that follow each other give one `unknown` */
    /*
     * The token for a byte or character that has none of its own; -1: it gives no token, as in the
     * field's tools. Some vocabularies (SmolLM2's, for one) have no tokens for bytes that UTF-8
     * never has, and for a few control characters.
     */
    lckv_token unknown;
};

/* The memory of one call, used again for each word. */
struct bpe_workspace {
    const lckv_allocator *allocator;
    struct bpe_symbol *symbols; /* those that are left are linked in order, from the first on */
    size_t n_symbols, symbols_capacity;
    uint64_t *candidates; /* a binary heap; the urgency is in the upper half, the symbol below */
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
void bpe_workspace_release(struct bpe_workspace *workspace);

/* Whether the merge at that index counts. Of one that is listed twice, the other place does not. */
CHECKED bool bpe_uses_merge(const struct bpe *bpe, uint32_t index);

/* Appends the tokens of a word, which may hold bytes that are no UTF-8. */
CHECKED lckv_status bpe_encode(const struct bpe *bpe, struct bpe_workspace *workspace,
                               const char *word, size_t length, struct token_list *list);

#endif
