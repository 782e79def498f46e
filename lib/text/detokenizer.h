/*
 * The streaming detokenizer: one token at a time, never half a UTF-8 character.
 */
#ifndef LCKV_TEXT_DETOKENIZER_H
#define LCKV_TEXT_DETOKENIZER_H

#include "text/tokenizer.h"

struct detokenizer {
    const struct tokenizer *tokenizer;
    lckv_allocator allocator;
    uint32_t flags;
    char *buffer; /* what was given last, then what waits for its next byte */
    size_t capacity;
    size_t given, waiting;
};

void detokenizer_init(struct detokenizer *detokenizer, const struct tokenizer *tokenizer,
                      uint32_t flags, const lckv_allocator *allocator);
void detokenizer_release(struct detokenizer *detokenizer);

/* As lckv_detokenizer_push and lckv_detokenizer_flush. */
lckv_status detokenizer_push(struct detokenizer *detokenizer, lckv_token token, struct text *text);
struct text detokenizer_flush(struct detokenizer *detokenizer);

#endif
