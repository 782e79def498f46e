/*
 * What the tests of sampling share: samplers for one call or many, and logits.
 */
#ifndef LCKV_TESTS_SAMPLER_SUPPORT_H
#define LCKV_TESTS_SAMPLER_SUPPORT_H

#include "sample/random.h"
#include "sample/sampler.h"

#include "support.h"

static inline struct lckv_sampler *make(lckv_sampler_options options)
{
    struct lckv_sampler *sampler = NULL;
    options.size = sizeof options;
    ck_assert_ok(sampler_create(&options, &sampler));
    return sampler;
}

static inline lckv_token sample(struct lckv_sampler *sampler, const float *logits, size_t n)
{
    lckv_token token = -1;
    ck_assert_ok(sampler_sample(sampler, logits, n, &token));
    return token;
}

/* Which of the first 32 tokens come up in 2000 draws, as bits. */
static inline uint32_t tokens_drawn(lckv_sampler_options options, const float *logits, size_t n)
{
    struct lckv_sampler *sampler = make(options);
    uint32_t drawn = 0;
    for (int i = 0; i < 2000; i++)
        drawn |= UINT32_C(1) << sample(sampler, logits, n);
    sampler_release(sampler);
    return drawn;
}

/* Fills in logits whose shape is like a model's, from integers only. */
static inline void fill_logits(float *logits, size_t n, uint64_t seed)
{
    struct random random;
    random_seed(&random, seed);
    for (size_t i = 0; i < n; i++)
        logits[i] = (float)(random_next(&random) % 4096) / 256.0f - 8.0f;
}

#endif
