/*
 * Sums and mixtures. See vectors.h.
 */
#include "kernels/vectors.h"

#define PARTS 16

static double total(const double *parts)
{
    double result = 0;
    for (size_t i = 0; i < PARTS; i++)
        result += parts[i];
    return result;
}

double vector_sum(const float *x, size_t n)
{
    double parts[PARTS] = {0};
    size_t i = 0;
    for (; i + PARTS <= n; i += PARTS) {
        for (size_t k = 0; k < PARTS; k++)
            parts[k] += (double)x[i + k];
    }
    for (size_t k = 0; i + k < n; k++)
        parts[k] += (double)x[i + k];
    return total(parts);
}

double vector_squares(const float *x, double mean, size_t n)
{
    double parts[PARTS] = {0};
    size_t i = 0;
    for (; i + PARTS <= n; i += PARTS) {
        for (size_t k = 0; k < PARTS; k++)
            parts[k] += ((double)x[i + k] - mean) * ((double)x[i + k] - mean);
    }
    for (size_t k = 0; i + k < n; k++)
        parts[k] += ((double)x[i + k] - mean) * ((double)x[i + k] - mean);
    return total(parts);
}

double vector_dot(const float *x, const float *y, size_t n)
{
    double parts[PARTS] = {0};
    size_t i = 0;
    for (; i + PARTS <= n; i += PARTS) {
        for (size_t k = 0; k < PARTS; k++)
            parts[k] += (double)x[i + k] * (double)y[i + k];
    }
    for (size_t k = 0; i + k < n; k++)
        parts[k] += (double)x[i + k] * (double)y[i + k];
    return total(parts);
}

void vector_cut(float *x, double cutoff, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const double above = (double)x[i] - cutoff;
        x[i] = above <= 0 ? 0 : (float)above;
    }
}

void vector_scale(float *y, float factor, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] *= factor;
}

void vector_add_scaled(float *y, float factor, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] += factor * x[i];
}

void vectors_mix(float *const x[VECTORS_MIXED], const float *f, size_t n)
{
    float *restrict a = x[0], *restrict b = x[1], *restrict c = x[2], *restrict d = x[3];
    for (size_t i = 0; i < n; i++) {
        const float p = a[i], q = b[i], r = c[i], s = d[i];
        a[i] = p + (f[0] * p + f[1] * q + f[2] * r + f[3] * s);
        b[i] = q + (f[4] * p + f[5] * q + f[6] * r + f[7] * s);
        c[i] = r + (f[8] * p + f[9] * q + f[10] * r + f[11] * s);
        d[i] = s + (f[12] * p + f[13] * q + f[14] * r + f[15] * s);
    }
}
