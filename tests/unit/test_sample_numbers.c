/*
 * The numbers that sampling rests on: weights, logarithms, the random sequence, log-probabilities.
 */
#include "sample/log.h"

#include <math.h>

#include "kernel_sets.h"
#include "sampler_support.h"

/* exp(x) for x <= 0, as a weight. Every set must give the same bits wherever the logit stands. */
static double weight(float x, float temperature)
{
    enum { N = 37 }; /* whole vectors and a rest, in every set */
    double first = 0;
    FOR_KERNEL_SETS(kernels)
    {
        float logits[N];
        double weights[N + 1];
        for (int i = 0; i < N; i++)
            logits[i] = x;
        weights[N] = 42;
        kernels->weigh(logits, N, 0.0f, temperature, weights);
        if (kernels == next_set(NULL))
            first = weights[0];
        for (int i = 0; i < N; i++)
            ck_assert_msg(weights[i] == first, "%s: weight %d of exp(%g)", kernels->name, i,
                          (double)x);
        ck_assert(weights[N] == 42);
    }
    return first;
}

START_TEST(weights_are_accurate)
{
    for (float x = 0.0f; x > -700.0f; x = x * 1.01f - 0.001f) {
        double expected = exp((double)x);
        ck_assert_double_le(fabs(weight(x, 1.0f) - expected), 4 * 0x1p-53 * expected);
        expected = exp((double)x / (double)0.7f);
        if (expected > 1e-300)
            ck_assert_double_le(fabs(weight(x, 0.7f) - expected), 4 * 0x1p-53 * expected);
    }
    ck_assert(weight(0.0f, 1.0f) == 1.0);
    ck_assert_double_le(weight(-709.0f, 1.0f), 1e-307);
    ck_assert(weight(-HUGE_VALF, 1.0f) == weight(-709.0f, 1.0f));
}
END_TEST

/* The place and the other logits do not matter; NaN is not lost. */
START_TEST(largest_is_found_at_every_place)
{
    enum { MOST = 67 };
    FOR_KERNEL_SETS(kernels)
    {
        for (size_t n = 1; n <= MOST; n++) {
            float logits[MOST];
            for (size_t i = 0; i < n; i++)
                logits[i] = -HUGE_VALF;
            ck_assert(kernels->largest(logits, n) == -HUGE_VALF);
            for (size_t i = 0; i < n; i++)
                logits[i] = -5.0f - (float)i;
            for (size_t i = 0; i < n; i++) {
                float kept = logits[i];
                logits[i] = -1.5f;
                ck_assert(kernels->largest(logits, n) == -1.5f);
                logits[i] = HUGE_VALF;
                ck_assert(kernels->largest(logits, n) == HUGE_VALF);
                logits[i] = NAN;
                ck_assert(isnan(kernels->largest(logits, n)));
                logits[i] = kept;
            }
        }
    }
}
END_TEST

START_TEST(log_is_accurate)
{
    for (double x = 1.0; x < 1e9; x *= 1.001) {
        double expected = log(x);
        ck_assert_double_le(fabs(sample_log(x) - expected), 4 * 0x1p-53 * expected);
    }
    ck_assert(sample_log(1.0) == 0.0);
    ck_assert_double_eq_tol(sample_log(0x1p-1000), -1000 * log(2.0), 1e-12);
}
END_TEST

/* These bits were recorded once. They are the promise, not what some libm computes. */
START_TEST(weights_and_logarithms_have_recorded_bits)
{
    ck_assert(weight(-0.125f, 1.0f) == 0x1.c3d6a24ed8222p-1);
    ck_assert(weight(-1.0f, 1.0f) == 0x1.78b56362cef38p-2);
    ck_assert(weight(-123.5f, 1.0f) == 0x1.c63178b9e3cb0p-179);
    ck_assert(sample_log(3.0) == 0x1.193ea7aad030bp+0);
    ck_assert(sample_log(151936.0) == 0x1.7dcc82aefe0dp+3);
}
END_TEST

/* The published sequence of xoshiro256** after splitmix64 with seed 0. */
START_TEST(random_is_xoshiro256_star_star)
{
    struct random random;
    random_seed(&random, 0);
    ck_assert(random.state[0] == UINT64_C(0xe220a8397b1dcdaf));
    ck_assert(random_next(&random) == UINT64_C(0x99ec5f36cb75f2b4));
    for (int i = 0; i < 10000; i++) {
        double unit = random_fraction(&random);
        ck_assert(unit >= 0.0 && unit < 1.0);
    }
}
END_TEST

START_TEST(log_probabilities_are_those_of_the_softmax)
{
    float logits[1000], result[1000];
    fill_logits(logits, 1000, 4);
    logits[17] = -HUGE_VALF;
    double total = 0.0;
    for (int i = 0; i < 1000; i++)
        total += exp((double)logits[i]);
    ck_assert_ok(log_probabilities(logits, 1000, result));
    for (int i = 0; i < 1000; i++) {
        if (i != 17)
            ck_assert_double_eq_tol((double)result[i], (double)logits[i] - log(total), 2e-6);
    }
    ck_assert(result[17] == -HUGE_VALF);
    ck_assert_ok(log_probabilities(logits, 1000, logits)); /* in place */
    ck_assert_mem_eq(logits, result, sizeof result);
}
END_TEST

/* Infinite logits share all of the probability. */
START_TEST(log_probabilities_of_infinite_logits)
{
    float logits[300], result[300];
    fill_logits(logits, 300, 5);
    logits[3] = logits[299] = HUGE_VALF;
    ck_assert_ok(log_probabilities(logits, 300, result));
    for (int i = 0; i < 300; i++)
        ck_assert(i == 3 || i == 299 ? fabs((double)result[i] + log(2.0)) < 1e-6
                                     : result[i] == -HUGE_VALF);
}
END_TEST

START_TEST(log_probabilities_refuse_what_is_no_distribution)
{
    const float nan_logit[] = {1, NAN}, none[] = {-HUGE_VALF, -HUGE_VALF};
    float result[2] = {7, 7};
    ck_assert_status(log_probabilities(nan_logit, 2, result), LCKV_INVALID_ARGUMENT);
    ck_assert_status(log_probabilities(none, 2, result), LCKV_INVALID_ARGUMENT);
    ck_assert(result[0] == 7 && result[1] == 7);
}
END_TEST

static void add_numbers(Suite *suite)
{
    const TTest *const tests[] = {weights_are_accurate, largest_is_found_at_every_place,
                                  log_is_accurate, weights_and_logarithms_have_recorded_bits,
                                  random_is_xoshiro256_star_star};
    add_tests(suite, "numbers", tests, COUNT(tests));
}

static void add_log_probabilities(Suite *suite)
{
    const TTest *const tests[] = {log_probabilities_are_those_of_the_softmax,
                                  log_probabilities_of_infinite_logits,
                                  log_probabilities_refuse_what_is_no_distribution};
    add_tests(suite, "log probabilities", tests, COUNT(tests));
}

TEST_MAIN("sample numbers", add_numbers, add_log_probabilities)
