/*
 * See deviation.h.
 */
#include "deviation.h"

#include <math.h>

static size_t argmax(const float *logits, size_t n_vocab)
{
    size_t best = 0;
    for (size_t v = 1; v < n_vocab; v++)
        best = logits[v] > logits[best] ? v : best;
    return best;
}

void deviation_add(struct deviation *deviation, const float *logits, const float *exact,
                   size_t n_rows, size_t n_vocab)
{
    for (size_t r = 0; r < n_rows; r++, logits += n_vocab, exact += n_vocab) {
        for (size_t v = 0; v < n_vocab; v++) {
            const double difference = fabs((double)logits[v] - (double)exact[v]);
            deviation->sum += (double)exact[v];
            deviation->squares += (double)exact[v] * (double)exact[v];
            deviation->differences += difference;
            if (!(difference <= deviation->largest))
                deviation->largest = isnan(difference) ? INFINITY : difference;
        }
        deviation->n_agreeing += argmax(logits, n_vocab) == argmax(exact, n_vocab);
    }
    deviation->n_rows += n_rows;
    deviation->n_logits += (uint64_t)n_rows * n_vocab;
}

static double standard_deviation(const struct deviation *deviation)
{
    const double n = (double)deviation->n_logits, mean = deviation->sum / n;
    return sqrt(deviation->squares / n - mean * mean);
}

double deviation_largest(const struct deviation *deviation)
{
    return deviation->largest / standard_deviation(deviation);
}

double deviation_mean(const struct deviation *deviation)
{
    return deviation->differences / (double)deviation->n_logits / standard_deviation(deviation);
}
