/*
 * Penalties: the last accepted tokens, and what they cost a token that was seen.
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

    /* The last `window` accepted tokens; a ring once it is full, with the oldest at `oldest`. */
    lckv_token *tokens;
    size_t capacity, n_tokens, oldest;

    uint32_t *counts; /* by token; all zero between calls */
    size_t n_counts;
};

/* Everything else is zero at first. */
void penalties_release(struct penalties *penalties);

/* Forgets the tokens. */
void penalties_reset(struct penalties *penalties);

/* Takes the tokens of `from`, which has the same window; nothing changes on failure. */
CHECKED lckv_status penalties_copy(struct penalties *penalties, const struct penalties *from);

/* Remembers a token, which is not negative. */
CHECKED lckv_status penalties_accept(struct penalties *penalties, lckv_token token);

/* Changes the logits of the tokens seen. Those beyond the vocabulary cannot be chosen anyway. */
CHECKED lckv_status penalties_apply(struct penalties *penalties, float *logits, size_t n_vocab);

#endif
