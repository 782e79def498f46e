/*
 * The logarithm, the same on every machine. See log.h.
 *
 * The build compiles with -ffp-contract=off: a fused multiply-add would round differently.
 */
#include "sample/log.h"

#include <float.h>
#include <stdint.h>
#include <string.h>

_Static_assert(FLT_EVAL_METHOD == 0, "doubles must not be computed in a wider format");

/* ln 2 in two parts; the high one ends in zero bits, so its product with an exponent is exact. */
#define LN2_HIGH 0x1.62e42feep-1
#define LN2_LOW 0x1.a39ef35793c76p-33

#define EXPONENT_BIAS 1023
#define MANTISSA_BITS 52
#define MANTISSA_MASK ((UINT64_C(1) << MANTISSA_BITS) - 1)

/*
 * x = 2^e m with m around 1, and log m = 2 atanh((m - 1) / (m + 1)), whose series converges fast.
 */
double sample_log(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    int32_t e = (int32_t)(bits >> MANTISSA_BITS) - EXPONENT_BIAS;
    double m; /* the bits of the mantissa, with the exponent of 1 */
    bits = (bits & MANTISSA_MASK) | ((uint64_t)EXPONENT_BIAS << MANTISSA_BITS);
    memcpy(&m, &bits, sizeof m);
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
