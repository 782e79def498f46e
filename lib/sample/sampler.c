/*
 * Samplers: their options and state, and the order of the steps from logits to a token. penalties.c
 * and candidates.c have the steps. See sampler.h.
 */
#include "sample/sampler.h"

#include "base/status.h"
#include "sample/candidates.h"
#include "sample/largest.h"
#include "sample/penalties.h"
#include "sample/random.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>

#define DEFAULT_PENALTY_WINDOW 64

struct lckv_sampler {
    _Atomic uint32_t references;
    lckv_allocator allocator;
    const struct kernels *kernels;
    lckv_sampler_options options; /* logit_bias is a copy; allocator is not read again */
    lckv_logit_bias *logit_bias;
    struct random random;
    struct penalties penalties;

    /* Scratch, grown to the largest vocabulary seen. */
    float *logits;
    size_t logits_capacity;
    struct candidate *candidates, *spare; /* spare only for top_k and top_p */
    size_t candidates_capacity, spare_capacity;
};

static lckv_status check_float(const char *member, float value, float least, float most)
{
    if (isfinite(value) && value >= least && value <= most)
        return LCKV_OK;
    if (most == HUGE_VALF && least == -HUGE_VALF)
        return fail(LCKV_INVALID_ARGUMENT, "lckv_sampler_options.%s is not finite", member);
    if (most == HUGE_VALF)
        return fail(LCKV_INVALID_ARGUMENT,
                    "lckv_sampler_options.%s is %g; expected a finite number of at least %g",
                    member, (double)value, (double)least);
    return fail(LCKV_INVALID_ARGUMENT, "lckv_sampler_options.%s is %g; expected %g to %g", member,
                (double)value, (double)least, (double)most);
}

static lckv_status check_logit_bias(const lckv_logit_bias *logit_bias, size_t n)
{
    if (logit_bias == NULL && n > 0)
        return fail(LCKV_INVALID_ARGUMENT,
                    "lckv_sampler_options.logit_bias is NULL, but n_logit_bias is %zu", n);
    for (size_t i = 0; i < n; i++) {
        if (logit_bias[i].token < 0)
            return fail(LCKV_INVALID_ARGUMENT,
                        "lckv_sampler_options.logit_bias[%zu].token is %d; expected a token id", i,
                        (int)logit_bias[i].token);
        if (!isfinite(logit_bias[i].bias) && logit_bias[i].bias != -HUGE_VALF)
            return fail(LCKV_INVALID_ARGUMENT,
                        "lckv_sampler_options.logit_bias[%zu].bias is %g; expected a finite number "
                        "or -INFINITY",
                        i, (double)logit_bias[i].bias);
    }
    return LCKV_OK;
}

static lckv_status check_options(const lckv_sampler_options *options)
{
    const struct {
        const char *member;
        float value, least, most;
    } floats[] = {
        {"temperature", options->temperature, 0.0f, HUGE_VALF},
        {"top_p", options->top_p, 0.0f, 1.0f},
        {"min_p", options->min_p, 0.0f, 1.0f},
        {"repetition_penalty", options->repetition_penalty, 0.0f, HUGE_VALF},
        {"frequency_penalty", options->frequency_penalty, -HUGE_VALF, HUGE_VALF},
        {"presence_penalty", options->presence_penalty, -HUGE_VALF, HUGE_VALF},
    };
    for (size_t i = 0; i < sizeof floats / sizeof floats[0]; i++) {
        lckv_status status =
            check_float(floats[i].member, floats[i].value, floats[i].least, floats[i].most);
        if (status != LCKV_OK)
            return status;
    }
    return check_logit_bias(options->logit_bias, options->n_logit_bias);
}

/* `options` have been checked. The random state becomes that of the seed. */
static lckv_status create(const lckv_sampler_options *options, const lckv_allocator *allocator,
                          struct lckv_sampler **result)
{
    struct lckv_sampler *sampler;
    lckv_status status = memory_alloc(allocator, 1, sizeof *sampler, "a sampler", &sampler);
    if (status != LCKV_OK)
        return status;
    atomic_init(&sampler->references, 1);
    sampler->allocator = *allocator;
    sampler->kernels = kernels_any();
    sampler->options = *options;
    sampler->options.logit_bias = NULL;
    sampler->options.allocator = NULL;
    sampler->penalties.allocator = *allocator;
    sampler->penalties.repetition =
        options->repetition_penalty == 0.0f ? 1.0f : options->repetition_penalty;
    sampler->penalties.frequency = options->frequency_penalty;
    sampler->penalties.presence = options->presence_penalty;
    sampler->penalties.window =
        options->penalty_window == 0 ? DEFAULT_PENALTY_WINDOW : options->penalty_window;
    random_seed(&sampler->random, options->seed);

    status = memory_alloc(allocator, options->n_logit_bias, sizeof(lckv_logit_bias),
                          "a sampler's logit bias", &sampler->logit_bias);
    if (status != LCKV_OK) {
        memory_free(allocator, sampler, 1, sizeof *sampler);
        return status;
    }
    if (options->n_logit_bias > 0)
        memcpy(sampler->logit_bias, options->logit_bias,
               options->n_logit_bias * sizeof(lckv_logit_bias));
    sampler->options.logit_bias = sampler->logit_bias;
    *result = sampler;
    return LCKV_OK;
}

lckv_status sampler_create(const lckv_sampler_options *options, struct lckv_sampler **sampler)
{
    lckv_status status = check_options(options);
    if (status != LCKV_OK)
        return status;
    lckv_allocator allocator;
    status = memory_choose(options->allocator, &allocator);
    if (status != LCKV_OK)
        return status;
    return create(options, &allocator, sampler);
}

void sampler_retain(struct lckv_sampler *sampler)
{
    atomic_fetch_add_explicit(&sampler->references, 1, memory_order_relaxed);
}

void sampler_release(struct lckv_sampler *sampler)
{
    if (sampler == NULL ||
        atomic_fetch_sub_explicit(&sampler->references, 1, memory_order_acq_rel) != 1)
        return;
    lckv_allocator allocator = sampler->allocator;
    penalties_release(&sampler->penalties);
    memory_free(&allocator, sampler->logit_bias, sampler->options.n_logit_bias,
                sizeof(lckv_logit_bias));
    memory_free(&allocator, sampler->logits, sampler->logits_capacity, sizeof(float));
    memory_free(&allocator, sampler->candidates, sampler->candidates_capacity,
                sizeof(struct candidate));
    memory_free(&allocator, sampler->spare, sampler->spare_capacity, sizeof(struct candidate));
    memory_free(&allocator, sampler, 1, sizeof *sampler);
}

lckv_status sampler_clone(const struct lckv_sampler *sampler, struct lckv_sampler **result)
{
    struct lckv_sampler *clone;
    lckv_status status = create(&sampler->options, &sampler->allocator, &clone);
    if (status != LCKV_OK)
        return status;
    status = penalties_copy(&clone->penalties, &sampler->penalties);
    if (status != LCKV_OK) {
        sampler_release(clone);
        return status;
    }
    clone->random = sampler->random;
    *result = clone;
    return LCKV_OK;
}

void sampler_reset(struct lckv_sampler *sampler)
{
    random_seed(&sampler->random, sampler->options.seed);
    penalties_reset(&sampler->penalties);
}

lckv_status sampler_accept(struct lckv_sampler *sampler, lckv_token token)
{
    if (token < 0)
        return fail(LCKV_INVALID_ARGUMENT, "token is %d; expected a token id", (int)token);
    return penalties_accept(&sampler->penalties, token);
}

/* -INFINITY is set, not added: added to an infinite logit it would give NaN. */
static lckv_status apply_bias(const struct lckv_sampler *sampler, float *logits, size_t n_vocab)
{
    for (size_t i = 0; i < sampler->options.n_logit_bias; i++) {
        const lckv_logit_bias *bias = &sampler->logit_bias[i];
        if ((size_t)bias->token >= n_vocab)
            return fail(LCKV_INVALID_ARGUMENT,
                        "logit_bias[%zu].token is %d, but there are %zu logits", i,
                        (int)bias->token, n_vocab);
        if (bias->bias == -HUGE_VALF)
            logits[bias->token] = -HUGE_VALF;
        else
            logits[bias->token] += bias->bias;
    }
    return LCKV_OK;
}

/* Whether any step comes before the temperature. */
static bool is_adjusted(const struct lckv_sampler *sampler)
{
    return sampler->options.n_logit_bias > 0 || sampler->options.callback != NULL ||
           sampler->penalties.n_tokens > 0;
}

/* Takes the steps before the temperature, on the sampler's own copy of the logits. */
static lckv_status adjust(struct lckv_sampler *sampler, const float *logits, size_t n_vocab)
{
    const lckv_sampler_options *options = &sampler->options;
    lckv_status status =
        memory_grow(&sampler->allocator, &sampler->logits, &sampler->logits_capacity, n_vocab,
                    sizeof(float), "the sampler's logits");
    if (status != LCKV_OK)
        return status;
    memcpy(sampler->logits, logits, n_vocab * sizeof(float));
    status = apply_bias(sampler, sampler->logits, n_vocab);
    if (status != LCKV_OK)
        return status;
    if (options->callback != NULL &&
        options->callback(options->callback_user, sampler->logits, n_vocab) != 0)
        return fail(LCKV_CANCELLED, "the sampler's logits callback asked to stop");
    return penalties_apply(&sampler->penalties, sampler->logits, n_vocab);
}

static lckv_status draw(struct lckv_sampler *sampler, const float *logits, size_t n_vocab,
                        float largest, lckv_token *token)
{
    const lckv_sampler_options *options = &sampler->options;
    const bool has_top_p = options->top_p > 0.0f && options->top_p < 1.0f;
    lckv_status status =
        memory_grow(&sampler->allocator, &sampler->candidates, &sampler->candidates_capacity,
                    n_vocab, sizeof(struct candidate), "the sampler's candidates");
    if (status == LCKV_OK && (options->top_k > 0 || has_top_p))
        status = memory_grow(&sampler->allocator, &sampler->spare, &sampler->spare_capacity,
                             n_vocab, sizeof(struct candidate), "the sampler's candidates");
    if (status != LCKV_OK)
        return status;
    struct candidate *candidates = sampler->candidates;
    size_t n = 0;
    for (size_t i = 0; i < n_vocab; i++) {
        if (logits[i] > -HUGE_VALF)
            candidates[n++] = (struct candidate){0.0, logits[i], (lckv_token)i};
    }
    if (options->top_k > 0 && options->top_k < n) {
        candidates_rank(candidates, sampler->spare, n, options->top_k);
        n = options->top_k;
    }
    candidates_weigh(sampler->kernels, candidates, n, largest, options->temperature);
    if (has_top_p)
        n = candidates_top_p(candidates, sampler->spare, n, options->top_p);
    if (options->min_p > 0.0f)
        n = candidates_min_p(candidates, n, options->min_p);
    *token = candidates_draw(candidates, n, random_fraction(&sampler->random));
    return LCKV_OK;
}

static lckv_status sample(struct lckv_sampler *sampler, const float *logits, size_t n_vocab,
                          lckv_token *token)
{
    size_t largest = 0;
    lckv_status status = find_largest(sampler->kernels, logits, n_vocab, "", &largest);
    if (status == LCKV_OK && is_adjusted(sampler)) {
        status = adjust(sampler, logits, n_vocab);
        logits = sampler->logits;
        if (status == LCKV_OK)
            status = find_largest(sampler->kernels, logits, n_vocab,
                                  " after bias, callback and penalties", &largest);
    }
    if (status != LCKV_OK)
        return status;
    if (sampler->options.temperature > 0.0f)
        return draw(sampler, logits, n_vocab, logits[largest], token);
    *token = (lckv_token)largest;
    return LCKV_OK;
}

lckv_status sampler_sample(struct lckv_sampler *sampler, const float *logits, size_t n_vocab,
                           lckv_token *token)
{
    sampler_retain(sampler); /* the logits callback may release it */
    lckv_status status = sample(sampler, logits, n_vocab, token);
    sampler_release(sampler);
    return status;
}
