/*
 * The sampler and log probabilities as a caller sees them. Public header only.
 */
#include "support.h"

#include <math.h>
#include <string.h>

START_TEST(no_options_mean_greedy)
{
    const float logits[] = {1, 4, 4, 2};
    lckv_sampler *sampler = NULL;
    lckv_token token = -1;
    ck_assert_ok(lckv_sampler_create(NULL, &sampler));
    ck_assert_ok(lckv_sampler_sample(sampler, logits, 4, &token));
    ck_assert_int_eq(token, 1);
    lckv_sampler_release(sampler);
}
END_TEST

START_TEST(a_sampler_checks_its_arguments)
{
    const float logits[] = {1, 4};
    lckv_sampler *sampler = NULL;
    lckv_token token;
    ck_assert_ok(lckv_sampler_create(NULL, &sampler));
    ck_assert_status(lckv_sampler_sample(sampler, NULL, 2, &token), LCKV_INVALID_ARGUMENT);
    ck_assert_status(lckv_sampler_sample(sampler, logits, 2, NULL), LCKV_INVALID_ARGUMENT);
    ck_assert_status(lckv_sampler_sample(sampler, logits, 0, &token), LCKV_INVALID_ARGUMENT);
    ck_assert_status(lckv_sampler_sample(sampler, logits, SIZE_MAX, &token), LCKV_INVALID_ARGUMENT);
    ck_assert_status(lckv_sampler_sample(sampler, logits, (size_t)INT32_MAX + 1, &token),
                     LCKV_INVALID_ARGUMENT);
    ck_assert_error_has("n_vocab");
    ck_assert_status(lckv_sampler_sample_session(sampler, NULL, &token), LCKV_INVALID_ARGUMENT);
    ck_assert_status(lckv_sampler_accept(sampler, -5), LCKV_INVALID_ARGUMENT);
    ck_assert_status(lckv_sampler_clone(sampler, NULL), LCKV_INVALID_ARGUMENT);
    lckv_sampler_release(sampler);
}
END_TEST

/* The caller's bias and allocator structs may go away after the call. */
START_TEST(options_are_copied)
{
    const float logits[] = {1, 4, 2};
    lckv_logit_bias bias[] = {{1, -HUGE_VALF}};
    lckv_sampler_options options;
    ck_assert_ok(lckv_sampler_options_init(&options, sizeof options));
    options.logit_bias = bias;
    options.n_logit_bias = 1;
    lckv_sampler *sampler = NULL;
    ck_assert_ok(lckv_sampler_create(&options, &sampler));
    bias[0] = (lckv_logit_bias){0, 100.0f};
    memset(&options, 0xff, sizeof options);
    lckv_token token = -1;
    ck_assert_ok(lckv_sampler_sample(sampler, logits, 3, &token));
    ck_assert_int_eq(token, 2);
    lckv_sampler_release(sampler);
}
END_TEST

START_TEST(log_probabilities_check_their_arguments)
{
    float logits[] = {0, 0};
    ck_assert_ok(lckv_log_probabilities(logits, 2, logits));
    ck_assert_float_eq_tol(logits[0], -0.69314718f, 1e-7f);
    ck_assert_status(lckv_log_probabilities(NULL, 2, logits), LCKV_INVALID_ARGUMENT);
    ck_assert_status(lckv_log_probabilities(logits, 2, NULL), LCKV_INVALID_ARGUMENT);
    ck_assert_status(lckv_log_probabilities(logits, 0, logits), LCKV_INVALID_ARGUMENT);
}
END_TEST

static void add_sampling(Suite *suite)
{
    const TTest *const tests[] = {no_options_mean_greedy, a_sampler_checks_its_arguments,
                                  options_are_copied, log_probabilities_check_their_arguments};
    add_tests(suite, "sampling", tests, COUNT(tests));
}

TEST_MAIN("api sampler", add_sampling)
