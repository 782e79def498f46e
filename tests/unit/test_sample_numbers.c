/*
 * The numbers that sampling rests on: own exp and log, the random sequence, log-probabilities.
 */
#include "sample/exp_log.h"

#include <math.h>

#include "sampler_support.h"

START_TEST(exp_is_accurate)
{
    for (double x = 0.0; x > -700.0; x = x * 1.01 - 0.001) {
        double expected = exp(x);
        ck_assert_double_le(fabs(sample_exp(x) - expected), 4 * 0x1p-53 * expected);
    }
    ck_assert(sample_exp(0.0) == 1.0);
    ck_assert(sample_exp(-709.0) == 0.0);
    ck_assert(sample_exp(-HUGE_VAL) == 0.0);
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

/* Recorded once: these bits are the promise, not what some libm says. */
START_TEST(exp_and_log_have_recorded_bits)
{
    ck_assert(sample_exp(-0.1) == 0x1.cf46d99d52b3ap-1);
    ck_assert(sample_exp(-1.0) == 0x1.78b56362cef38p-2);
    ck_assert(sample_exp(-123.456) == 0x1.da9fb9e4ee72p-179);
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
        double unit = random_unit(&random);
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
    const TTest *const tests[] = {exp_is_accurate, log_is_accurate, exp_and_log_have_recorded_bits,
                                  random_is_xoshiro256_star_star};
    add_tests(suite, "numbers", tests, COUNT(tests));
}

static void add_log_probabilities(Suite *suite)
{
    const TTest *const tests[] = {log_probabilities_are_those_of_the_softmax,
                                  log_probabilities_refuse_what_is_no_distribution};
    add_tests(suite, "log probabilities", tests, COUNT(tests));
}

TEST_MAIN("sample numbers", add_numbers, add_log_probabilities)
