/*
 * Samplers: they turn logits into a token, the same on every machine.
 */
#ifndef LCKV_SAMPLE_SAMPLER_H
#define LCKV_SAMPLE_SAMPLER_H

#include "base/checked.h"
#include "base/memory.h"

struct lckv_sampler;

/*
 * These do what the lckv_sampler_* functions say; options are of full size and pointers are
 * checked.
 */
CHECKED lckv_status sampler_create(const lckv_sampler_options *options,
                                   struct lckv_sampler **sampler);
void sampler_retain(struct lckv_sampler *sampler); /* while callbacks may release it */
void sampler_release(struct lckv_sampler *sampler);
CHECKED lckv_status sampler_clone(const struct lckv_sampler *sampler, struct lckv_sampler **clone);
void sampler_reset(struct lckv_sampler *sampler);
CHECKED lckv_status sampler_sample(struct lckv_sampler *sampler, const float *logits,
                                   size_t n_vocab, lckv_token *token);
CHECKED lckv_status sampler_accept(struct lckv_sampler *sampler, lckv_token token);

/* Does what lckv_log_probabilities says. */
CHECKED lckv_status log_probabilities(const float *logits, size_t n_vocab, float *result);

#endif
