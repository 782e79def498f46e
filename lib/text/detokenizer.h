/*
 * The streaming detokenizer takes one token at a time, and never gives half a UTF-8 character.
 */
#ifndef LCKV_TEXT_DETOKENIZER_H
#define LCKV_TEXT_DETOKENIZER_H

#include "base/checked.h"
#include "text/tokenizer.h"

/* = lckv_detokenizer. The library's own detokenizers are members of other structs. */
struct lckv_detokenizer {
    /* Of a caller's handle (api/): how often it is held, and what owns its tokenizer. */
    _Atomic uint32_t references;
    const struct lckv_model *model;
    const struct tokenizer *tokenizer;
    lckv_allocator allocator;
    uint32_t flags;
    char *buffer; /* the text given last, then the bytes that wait for the next one */
    size_t capacity;
    size_t given, waiting;
    bool at_begin; /* of a text */
};

void detokenizer_init(struct lckv_detokenizer *detokenizer, const struct tokenizer *tokenizer,
                      uint32_t flags, const lckv_allocator *allocator);
void detokenizer_release(struct lckv_detokenizer *detokenizer);

/* As lckv_detokenizer_push and lckv_detokenizer_flush. */
CHECKED lckv_status detokenizer_push(struct lckv_detokenizer *detokenizer, lckv_token token,
                                     struct text *text);
struct text detokenizer_flush(struct lckv_detokenizer *detokenizer);

#endif
