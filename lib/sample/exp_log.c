/*
 * exp and log, the same on every machine. See exp_log.h.
 *
 * The build compiles with -ffp-contract=off: a fused multiply-add would round differently.
 */
#include "sample/exp_log.h"

#include <float.h>
#include <stdint.h>
#include <string.h>

_Static_assert(FLT_EVAL_METHOD == 0, "doubles must not be computed in a wider format");

/* ln 2 in two parts; the high one ends in zero bits, so its product with an exponent is exact. */
#define LN2_HIGH 0x1.62e42feep-1
#define LN2_LOW 0x1.a39ef35793c76p-33
#define LOG2_E 0x1.71547652b82fep+0

#define EXPONENT_BIAS 1023
#define MANTISSA_BITS 52
#define MANTISSA_MASK ((UINT64_C(1) << MANTISSA_BITS) - 1)

static double from_bits(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* x = k ln 2 + r with |r| <= ln 2 / 2; twelve terms of the series of exp(r) leave 2e-16. */
double sample_exp(double x)
{
    static const double inverse_factorials[] = {1.0,
                                                1.0,
                                                1.0 / 2,
                                                1.0 / 6,
                                                1.0 / 24,
                                                1.0 / 120,
                                                1.0 / 720,
                                                1.0 / 5040,
                                                1.0 / 40320,
                                                1.0 / 362880,
                                                1.0 / 3628800,
                                                1.0 / 39916800,
                                                1.0 / 479001600};

    if (!(x > -708.0))
        return 0.0;
    int32_t k = (int32_t)(x * LOG2_E - 0.5);
    double r = (x - k * LN2_HIGH) - k * LN2_LOW;
    double sum = inverse_factorials[12];
    for (int i = 11; i >= 0; i--)
        sum = sum * r + inverse_factorials[i];
    return sum * from_bits((uint64_t)(k + EXPONENT_BIAS) << MANTISSA_BITS);
}

/* x = 2^e m with m around 1; log m = 2 atanh((m - 1) / (m + 1)), a series that converges fast. */
double sample_log(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    int32_t e = (int32_t)(bits >> MANTISSA_BITS) - EXPONENT_BIAS;
    double m = from_bits((bits & MANTISSA_MASK) | ((uint64_t)EXPONENT_BIAS << MANTISSA_BITS));
    if (m > 0x1.6a09e667f3bcdp+0) { /* sqrt(2) */
        m *= 0.5;
        e++;
    }
    double s = (m - 1.0) / (m + 1.0);
    double z = s * s;
    double sum = 1.0 / 23;
    for (int n = 21; n >= 1; n -= 2)
        sum = sum * z + 1.0 / n;
    return e * LN2_HIGH + (e * LN2_LOW + 2.0 * s * sum);
}
