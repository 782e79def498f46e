/*
 * Template: the work on all logits of a token: the largest of them, and their weights in sampling.
 * These are plain loops that compilers turn into a set's vectors. They give the same bits in every
 * set: IEEE additions, multiplications and divisions of doubles in a fixed order, none of them
 * fused (the build compiles with -ffp-contract=off), and no functions of libm.
 */
#include <float.h>
#include <math.h>

_Static_assert(FLT_EVAL_METHOD == 0, "doubles must not be computed in a wider format");

/* The largest logit; NaN if one of them is NaN. */
static float largest(const float *logits, size_t n)
{
    vf best = v_set(-HUGE_VALF);
    uint32_t n_nan = 0;
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        best = v_max(best, v_load(logits + i));
    float lanes[LANES], result = -HUGE_VALF;
    v_store(lanes, best);
    for (size_t lane = 0; lane < LANES; lane++)
        result = lanes[lane] > result ? lanes[lane] : result;
    for (; i < n; i++)
        result = logits[i] > result ? logits[i] : result;
    for (i = 0; i < n; i++)
        n_nan += isnan(logits[i]) ? 1 : 0;
    return n_nan == 0 ? result : NAN;
}

/*
 * exp(x) for -708 <= x <= 0, within a few units in the last place. x = k ln 2 + r with
 * |r| <= ln 2 / 2; twelve terms of the series of exp(r) leave 2e-16. Adding 1.5 * 2^52 rounds to a
 * whole number and leaves it in the lowest bits. ln 2 comes in two parts; the high one ends in zero
 * bits, so that its product with k is exact.
 */
static inline double exp_double(double x)
{
    const double log2_e = 0x1.71547652b82fep+0, whole = 0x1.8p+52;
    const double ln2_high = 0x1.62e42feep-1, ln2_low = 0x1.a39ef35793c76p-33;
    double shifted = x * log2_e + whole;
    double k = shifted - whole;
    double r = (x - k * ln2_high) - k * ln2_low;
    double sum = 1.0 / 479001600;
    sum = sum * r + 1.0 / 39916800;
    sum = sum * r + 1.0 / 3628800;
    sum = sum * r + 1.0 / 362880;
    sum = sum * r + 1.0 / 40320;
    sum = sum * r + 1.0 / 5040;
    sum = sum * r + 1.0 / 720;
    sum = sum * r + 1.0 / 120;
    sum = sum * r + 1.0 / 24;
    sum = sum * r + 1.0 / 6;
    sum = sum * r + 1.0 / 2;
    sum = sum * r + 1.0;
    sum = sum * r + 1.0;
    uint64_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    bits = (bits + 1023) << 52; /* 2^k */
    double power;
    memcpy(&power, &bits, sizeof power);
    return sum * power;
}

/* Two loops, because compilers turn the limit into a branch if they see how its result is used. */
static void weigh(const float *logits, size_t n, float top, float temperature, double *weights)
{
    for (size_t i = 0; i < n; i++) {
        double x = ((double)logits[i] - (double)top) / (double)temperature;
        weights[i] = x > -708.0 ? x : -708.0;
    }
    for (size_t i = 0; i < n; i++)
        weights[i] = exp_double(weights[i]);
}
