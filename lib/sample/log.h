/*
 * A logarithm that gives the same bits on every machine: it uses IEEE double additions,
 * multiplications and divisions in a fixed order, and no functions of libm. It is accurate to a few
 * units in the last place, far more than sampling needs. kernels/logits.inc.h has the exponential.
 */
#ifndef LCKV_SAMPLE_LOG_H
#define LCKV_SAMPLE_LOG_H

/* log(x) for a positive, finite, normal x. */
double sample_log(double x);

#endif
