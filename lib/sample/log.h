/*
 * A logarithm that gives the same bits on every machine: IEEE double additions, multiplications and
 * divisions in a fixed order, nothing of libm. Accurate to a few units in the last place, which is
 * far more than sampling needs. The exponential is in kernels/logits.inc.h.
 */
#ifndef LCKV_SAMPLE_LOG_H
#define LCKV_SAMPLE_LOG_H

/* log(x) for a positive, finite, normal x. */
double sample_log(double x);

#endif
