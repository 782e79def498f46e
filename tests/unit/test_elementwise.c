/*
 * The work on single rows (norms, SwiGLU, rotary embedding and quantisation) agrees with its
 * definition at every length, and NaN and infinities are not lost, for every kernel set that this
 * machine runs.
 */
#include "kernel_sets.h"
#include "random.h"
#include "support.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum { MOST = 67 }; /* more than four of the widest vectors */

static void fill(float *x, size_t n, double scale)
{
    for (size_t i = 0; i < n; i++)
        x[i] = (float)(scale * random_uniform());
}

static bool is_near(float x, double expected, double tolerance)
{
    return fabs(x - expected) <= tolerance * (1 + fabs(expected));
}

START_TEST(norms_and_sums_agree_with_their_definition)
{
    FOR_KERNEL_SETS(kernels)
    {
        for (size_t n = 1; n <= MOST; n++) {
            float x[MOST], weight[MOST], out[MOST + 1];
            fill(x, n, 3);
            fill(weight, n, 1);
            out[n] = 42;
            kernels->rms_norm(x, weight, 1e-5f, n, out);
            double squares = 0;
            for (size_t i = 0; i < n; i++)
                squares += (double)x[i] * x[i];
            for (size_t i = 0; i < n; i++)
                ck_assert_msg(
                    is_near(out[i], x[i] / sqrt(squares / (double)n + 1e-5) * weight[i], 1e-6),
                    "%s: element %zu of %zu: %g", kernels->name, i, n, (double)out[i]);
            memcpy(out, x, n * sizeof *x);
            kernels->add(out, weight, n);
            for (size_t i = 0; i < n; i++)
                ck_assert(out[i] == x[i] + weight[i]);
            ck_assert(out[n] == 42); /* nothing beyond */
        }
    }
}
END_TEST

/* The bits of an element depend neither on the length nor on its place, because claims cut rows. */
START_TEST(swiglu_agrees_with_its_definition)
{
    static const float extremes[] = {0,     -0.0f, 86,     -86,      87.5f,  -87.5f,   1000,
                                     -1000, 3e38f, -3e38f, INFINITY, 1e-30f, -INFINITY};
    FOR_KERNEL_SETS(kernels)
    {
        for (size_t n = 1; n <= MOST; n++) {
            float gate[MOST], up[MOST], out[MOST + 1], alone;
            fill(gate, n, 12);
            fill(up, n, 2);
            for (size_t i = 0; i < COUNT(extremes) && n == MOST; i++)
                gate[i] = extremes[i];
            memcpy(out, gate, n * sizeof *gate);
            out[n] = 42;
            kernels->gate[ACTIVATION_SILU](out, up, n);
            for (size_t i = 0; i < n; i++) {
                double expected = gate[i] / (1 + exp(-(double)gate[i])) * up[i];
                if (isinf(gate[i]) && gate[i] < 0)
                    expected = 0;
                if (gate[i] > FLT_MAX || fabs(expected) > 3e38)
                    ck_assert(isinf(out[i]) || fabsf(out[i]) > 2e38f);
                else
                    ck_assert_msg(is_near(out[i], expected, 1e-6), "%s: %g, %g gives %g",
                                  kernels->name, (double)gate[i], (double)up[i], (double)out[i]);
                alone = gate[i];
                kernels->gate[ACTIVATION_SILU](&alone, up + i, 1);
                ck_assert(memcmp(&alone, &out[i], sizeof alone) == 0);
            }
            ck_assert(out[n] == 42);
        }
        float gate = NAN, up = 1;
        kernels->gate[ACTIVATION_SILU](&gate, &up, 1);
        ck_assert(isnan(gate));
    }
}
END_TEST

/* Gelu by its definition, and by tanh. */
static double gelu_of(enum activation activation, double x)
{
    const double cubic = sqrt(2 / acos(-1)) * (x + 0.044715 * x * x * x);
    return activation == ACTIVATION_GELU ? 0.5 * x * (1 + erf(x / sqrt(2)))
                                         : 0.5 * x * (1 + tanh(cubic));
}

START_TEST(gelus_agree_with_their_definitions)
{
    static const float extremes[] = {0,    -0.0f, 9.5f,  -9.5f,  12,    -12,
                                     1000, -1000, 1e12f, -1e12f, 1e-30f};
    const enum activation activation = _i == 0 ? ACTIVATION_GELU : ACTIVATION_GELU_TANH;
    FOR_KERNEL_SETS(kernels)
    {
        for (size_t n = 1; n <= MOST; n++) {
            float gate[MOST], up[MOST], out[MOST + 1], alone;
            fill(gate, n, 6);
            fill(up, n, 2);
            for (size_t i = 0; i < COUNT(extremes) && n == MOST; i++)
                gate[i] = extremes[i];
            memcpy(out, gate, n * sizeof *gate);
            out[n] = 42;
            kernels->gate[activation](out, up, n);
            for (size_t i = 0; i < n; i++) {
                const double expected = gelu_of(activation, (double)gate[i]) * (double)up[i];
                ck_assert_msg(fabs((double)out[i] - expected) <=
                                  2e-6 * fabs(expected) + 3e-7 * fabs((double)up[i]),
                              "%s: %g, %g gives %g, expected %g", kernels->name, (double)gate[i],
                              (double)up[i], (double)out[i], expected);
                alone = gate[i];
                kernels->gate[activation](&alone, up + i, 1);
                ck_assert(memcmp(&alone, &out[i], sizeof alone) == 0);
            }
            ck_assert(out[n] == 42);
        }
        float gate = NAN, up = 1;
        kernels->gate[activation](&gate, &up, 1);
        ck_assert(isnan(gate));
    }
}
END_TEST

/*
 * This tests exp through SwiGLU: where a gate is far below 0, the error of exp is that of the
 * result.
 */
START_TEST(exponentials_are_accurate)
{
    FOR_KERNEL_SETS(kernels)
    for (float x = -80; x < 20; x += 0.0137f) {
        float gate = x, up = 1;
        double expected = x / (1 + exp(-(double)x));
        kernels->gate[ACTIVATION_SILU](&gate, &up, 1);
        ck_assert_msg(fabs(gate - expected) <= 2e-7 * (1 + fabsf(x)) * fabs(expected),
                      "%s: %g gives %g, expected %g", kernels->name, (double)x, (double)gate,
                      expected);
    }
}
END_TEST

START_TEST(rotation_agrees_with_its_definition)
{
    FOR_KERNEL_SETS(kernels)
    {
        for (size_t half = 1; half <= MOST / 2; half++) {
            float x[MOST], out[MOST], cosines[MOST], sines[MOST];
            fill(x, 2 * half, 2);
            for (size_t d = 0; d < half; d++) {
                cosines[d] = (float)cos((double)(7 * d));
                sines[d] = (float)sin((double)(7 * d));
            }
            memcpy(out, x, sizeof out);
            out[2 * half] = 42;
            kernels->rotate(out, cosines, sines, 0.125f, 2 * half);
            for (size_t d = 0; d < half; d++) {
                double a = x[d], b = x[half + d], c = cosines[d], t = sines[d];
                ck_assert(is_near(out[d], (a * c - b * t) / 8, 1e-6));
                ck_assert(is_near(out[half + d], (b * c + a * t) / 8, 1e-6));
            }
            ck_assert(out[2 * half] == 42);
        }
    }
}
END_TEST

START_TEST(what_is_not_finite_shows_in_the_scale)
{
    static const float odd[] = {NAN, INFINITY, -INFINITY};
    FOR_KERNEL_SETS(kernels)
    {
        for (size_t i = 0; i < 32 * COUNT(odd); i++) {
            float x[64], weight[64], out[64];
            uint8_t panel[2 * INT8_BLOCK_BYTES] __attribute__((aligned(64)));
            fill(x, 64, 1);
            fill(weight, 64, 1);
            x[i % 32] = odd[i / 32];
            struct panel_row at = {panel, 1, 0};
            kernels->quantize(x, 64, at);
            ck_assert_msg(isnan(int8_block(at, 0).scales[0]), "%s: element %zu is lost",
                          kernels->name, i % 32);
            ck_assert(isnan(int8_block(at, 0).sums[0]));
            ck_assert(isfinite(int8_block(at, 1).scales[0]));
            kernels->rms_norm(x, weight, 1e-5f, 64, out);
            ck_assert(isnan(out[i % 32]));
        }
    }
}
END_TEST

static void add_all(Suite *suite)
{
    const TTest *const tests[] = {norms_and_sums_agree_with_their_definition,
                                  swiglu_agrees_with_its_definition, exponentials_are_accurate,
                                  rotation_agrees_with_its_definition,
                                  what_is_not_finite_shows_in_the_scale};
    add_tests(suite, "elementwise", tests, COUNT(tests));
    TCase *tcase = tcase_create("gelu");
    tcase_add_loop_test(tcase, gelus_agree_with_their_definitions, 0, 2);
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("elementwise", add_all)
