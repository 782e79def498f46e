/*
 * exp and log that give the same bits on every machine: IEEE double additions, multiplications and
 * divisions in a fixed order, nothing of libm. Accurate to a few units in the last place, which is
 * far more than sampling needs; not for the forward pass.
 */
#ifndef LCKV_SAMPLE_EXP_LOG_H
#define LCKV_SAMPLE_EXP_LOG_H

/* exp(x) for x <= 0; 0 below -708, where the result would leave the normal numbers. */
double sample_exp(double x);

/* log(x) for a positive, finite, normal x. */
double sample_log(double x);

#endif
