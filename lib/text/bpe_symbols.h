/*
 * The symbols of a word: its bytes or characters at first, its tokens in the end. Only bpe.c joins
 * them.
 */
#ifndef LCKV_TEXT_BPE_SYMBOLS_H
#define LCKV_TEXT_BPE_SYMBOLS_H

#include "text/bpe.h"

#include <stdint.h>

/*
 * Stands for a neighbour that does not exist, a pair that cannot be joined, and the token of a
 * symbol that has none.
 */
#define BPE_NONE UINT32_MAX

struct bpe_symbol {
    uint32_t token;
    uint32_t previous, next;
    uint32_t urgency; /* of joining it with the next symbol: the smaller the sooner, or BPE_NONE */
    uint32_t result;  /* what joining gives */
    uint32_t begin;   /* where its bytes begin in the word */
};

/* Makes the symbols of a word; of some words there are none. */
CHECKED lckv_status bpe_list_symbols(const struct bpe *bpe, struct bpe_workspace *workspace,
                                     const char *word, size_t length);

/* Appends the tokens of the symbols that are left. */
CHECKED lckv_status bpe_give_tokens(const struct bpe *bpe, const struct bpe_workspace *workspace,
                                    const char *word, size_t length, struct token_list *list);

/* Where the bytes of a symbol end. */
static inline uint32_t bpe_symbol_end(const struct bpe_symbol *symbols, uint32_t index,
                                      size_t length)
{
    uint32_t next = symbols[index].next;
    return next == BPE_NONE ? (uint32_t)length : symbols[next].begin;
}

#endif
