/*
 * Penalties for tokens that were accepted before. See penalties.h.
 */
#include "sample/penalties.h"

#include <string.h>

/* Neutral penalties never read the tokens, so they are not kept either. */
static bool is_neutral(const struct penalties *penalties)
{
    return penalties->repetition == 1.0f && penalties->frequency == 0.0f &&
           penalties->presence == 0.0f;
}

void penalties_release(struct penalties *penalties)
{
    memory_free(&penalties->allocator, penalties->tokens, penalties->capacity, sizeof(lckv_token));
    memory_free(&penalties->allocator, penalties->counts, penalties->n_counts, sizeof(uint32_t));
}

void penalties_reset(struct penalties *penalties)
{
    penalties->n_tokens = 0;
    penalties->oldest = 0;
}

lckv_status penalties_copy(struct penalties *penalties, const struct penalties *from)
{
    lckv_status status =
        memory_grow(&penalties->allocator, &penalties->tokens, &penalties->capacity, from->n_tokens,
                    sizeof(lckv_token), "the sampler's accepted tokens");
    if (status != LCKV_OK)
        return status;
    if (from->n_tokens > 0)
        memcpy(penalties->tokens, from->tokens, from->n_tokens * sizeof(lckv_token));
    penalties->n_tokens = from->n_tokens;
    penalties->oldest = from->oldest;
    return LCKV_OK;
}

lckv_status penalties_accept(struct penalties *penalties, lckv_token token)
{
    if (is_neutral(penalties))
        return LCKV_OK;
    if (penalties->n_tokens == penalties->window) {
        penalties->tokens[penalties->oldest] = token;
        penalties->oldest = (penalties->oldest + 1) % penalties->window;
        return LCKV_OK;
    }
    lckv_status status =
        memory_grow(&penalties->allocator, &penalties->tokens, &penalties->capacity,
                    penalties->n_tokens + 1, sizeof(lckv_token), "the sampler's accepted tokens");
    if (status != LCKV_OK)
        return status;
    penalties->tokens[penalties->n_tokens++] = token;
    return LCKV_OK;
}

static float penalised(const struct penalties *penalties, float logit, uint32_t count)
{
    logit = logit > 0.0f ? logit / penalties->repetition : logit * penalties->repetition;
    return logit - (float)count * penalties->frequency - penalties->presence;
}

/*
 * Counting the tokens first and clearing the counts on the way back costs the length of the window,
 * not of the vocabulary.
 */
lckv_status penalties_apply(struct penalties *penalties, float *logits, size_t n_vocab)
{
    if (penalties->n_tokens == 0)
        return LCKV_OK;
    lckv_status status =
        memory_grow(&penalties->allocator, &penalties->counts, &penalties->n_counts, n_vocab,
                    sizeof(uint32_t), "the sampler's counts of tokens");
    if (status != LCKV_OK)
        return status;
    for (size_t i = 0; i < penalties->n_tokens; i++) {
        size_t token = (size_t)penalties->tokens[i];
        if (token < n_vocab)
            penalties->counts[token]++;
    }
    for (size_t i = 0; i < penalties->n_tokens; i++) {
        size_t token = (size_t)penalties->tokens[i];
        if (token < n_vocab && penalties->counts[token] > 0) {
            logits[token] = penalised(penalties, logits[token], penalties->counts[token]);
            penalties->counts[token] = 0;
        }
    }
    return LCKV_OK;
}
