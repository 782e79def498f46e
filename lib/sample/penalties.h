/*
 * Penalties: the last accepted tokens, and what they subtract from the logits of tokens among them.
 */
#ifndef LCKV_SAMPLE_PENALTIES_H
#define LCKV_SAMPLE_PENALTIES_H

#include "base/checked.h"
#include "base/memory.h"

struct penalties {
    lckv_allocator allocator;
    float repetition; /* > 0; 1: none */
    float frequency, presence;
    size_t window;

    /* The last `window` accepted tokens; a full array is a ring that begins with `oldest`. */
    lckv_token *tokens;
    size_t capacity, n_tokens, oldest;

    uint32_t *counts; /* by token; all zero between calls */
    size_t n_counts;
};

/* A new struct has its options set and is zero otherwise. */
void penalties_release(struct penalties *penalties);

/* Forgets the tokens. */
void penalties_reset(struct penalties *penalties);

/* Copies the tokens of `from`, which has the same window. Nothing changes on failure. */
CHECKED lckv_status penalties_copy(struct penalties *penalties, const struct penalties *from);

/* Remembers a token, which must not be negative. */
CHECKED lckv_status penalties_accept(struct penalties *penalties, lckv_token token);

/*
 * Changes the logits of the remembered tokens. Those beyond the vocabulary cannot be chosen anyway.
 */
CHECKED lckv_status penalties_apply(struct penalties *penalties, float *logits, size_t n_vocab);

#endif
