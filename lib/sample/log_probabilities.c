/*
 * log(softmax(logits)), the same on every machine: for perplexities and for callers that rank
 * tokens.
 */
#include "base/status.h"
#include "sample/exp_log.h"
#include "sample/sampler.h"

#include <math.h>

lckv_status log_probabilities(const float *logits, size_t n_vocab, float *result)
{
    float largest = -HUGE_VALF;
    bool any_finite = false;
    for (size_t i = 0; i < n_vocab; i++) {
        if (isnan(logits[i]))
            return fail(LCKV_INVALID_ARGUMENT, "logits[%zu] is not a number", i);
        if (isfinite(logits[i]))
            any_finite = true;
        if (logits[i] > largest)
            largest = logits[i];
    }
    if (!any_finite)
        return fail(LCKV_INVALID_ARGUMENT, "none of %zu logits is finite", n_vocab);

    /* Equality is tested first, so that an infinite logit does not give inf - inf. */
    double sum = 0.0;
    for (size_t i = 0; i < n_vocab; i++)
        sum += logits[i] == largest ? 1.0 : sample_exp((double)logits[i] - (double)largest);
    double log_sum = sample_log(sum);
    for (size_t i = 0; i < n_vocab; i++) {
        double below = logits[i] == largest ? 0.0 : (double)logits[i] - (double)largest;
        result[i] = (float)(below - log_sum);
    }
    return LCKV_OK;
}
