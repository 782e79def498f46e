/*
 * log(softmax(logits)), the same on every machine. It serves perplexities and callers that rank
 * tokens.
 */
#include "sample/largest.h"
#include "sample/log.h"
#include "sample/sampler.h"

#define PIECE 256 /* logits that are weighed at a time */

lckv_status log_probabilities(const float *logits, size_t n_vocab, float *result)
{
    const struct kernels *kernels = kernels_any();
    size_t index = 0;
    lckv_status status = find_largest(kernels, logits, n_vocab, "", &index);
    if (status != LCKV_OK)
        return status;
    float largest = logits[index];

    /* Equality is tested first, so that an infinite logit does not give inf - inf. */
    double sum = 0.0;
    for (size_t begin = 0; begin < n_vocab; begin += PIECE) {
        double weights[PIECE];
        size_t n = n_vocab - begin < PIECE ? n_vocab - begin : PIECE;
        kernels->weigh(logits + begin, n, largest, 1.0f, weights);
        for (size_t i = 0; i < n; i++)
            sum += logits[begin + i] == largest ? 1.0 : weights[i];
    }
    double log_sum = sample_log(sum);
    for (size_t i = 0; i < n_vocab; i++) {
        double below = logits[i] == largest ? 0.0 : (double)logits[i] - (double)largest;
        result[i] = (float)(below - log_sum);
    }
    return LCKV_OK;
}
