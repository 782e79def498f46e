/*
 * Which tokens the filters leave: top_k, top_p, min_p, temperatures, and the ranking beneath them.
 */
#include "sample/candidates.h"

#include <math.h>

#include "sampler_support.h"

static int compare_candidates(const void *left, const void *right)
{
    const struct candidate *a = left, *b = right;
    if (a->logit != b->logit)
        return a->logit > b->logit ? -1 : 1;
    return a->token < b->token ? -1 : a->token > b->token;
}

START_TEST(rank_equals_a_full_sort)
{
    enum { N = 1000 };
    static struct candidate ranked[N], sorted[N];
    static const size_t ks[] = {0, 1, 2, 3, 40, 255, 256, 257, 999, 1000};
    struct random random;
    random_seed(&random, 7);
    for (size_t round = 0; round < COUNT(ks); round++) {
        for (int i = 0; i < N; i++) { /* few different logits, so many ties */
            ranked[i] = (struct candidate){.logit = (float)(random_next(&random) % 100),
                                           .token = (lckv_token)i};
            sorted[i] = ranked[i];
        }
        qsort(sorted, N, sizeof sorted[0], compare_candidates);
        candidates_rank(ranked, N, ks[round]);
        for (size_t i = 0; i < ks[round]; i++)
            ck_assert_int_eq(ranked[i].token, sorted[i].token);
    }
}
END_TEST

/* More than the first attempt at ranking: 5000 equal tokens, of which half are needed. */
START_TEST(top_p_of_a_flat_distribution_ranks_as_many_as_it_needs)
{
    enum { N = 5000 };
    static struct candidate flat[N];
    for (int i = 0; i < N; i++)
        flat[i] = (struct candidate){.logit = 1.0f, .token = (lckv_token)(N - 1 - i)};
    candidates_weigh(kernels_any(), flat, N, 1.0f, 1.0f);
    ck_assert_uint_eq(candidates_top_p(flat, N, 0.5f), N / 2);
    for (int i = 0; i < N / 2; i++)
        ck_assert_int_eq(flat[i].token, i);
}
END_TEST

START_TEST(top_k_keeps_the_k_best)
{
    const float logits[] = {1, 3, 3, 2, 0};
    lckv_sampler_options options = {.temperature = 100.0f, .top_k = 1};
    ck_assert_uint_eq(tokens_drawn(options, logits, 5), 1u << 1);
    options.top_k = 2;
    ck_assert_uint_eq(tokens_drawn(options, logits, 5), 1u << 1 | 1u << 2);
    options.top_k = 3;
    ck_assert_uint_eq(tokens_drawn(options, logits, 5), 1u << 1 | 1u << 2 | 1u << 3);
    options.top_k = 5;
    ck_assert_uint_eq(tokens_drawn(options, logits, 5), 31u);
    options.top_k = 1000;
    ck_assert_uint_eq(tokens_drawn(options, logits, 5), 31u);
}
END_TEST

/* Probabilities 1/2, 1/4, 1/8, 1/8: the token that reaches top_p belongs to it. */
START_TEST(top_p_keeps_the_smallest_nucleus)
{
    const float two = logf(2.0f);
    const float logits[] = {0, 2 * two, 0, two};
    lckv_sampler_options options = {.temperature = 1.0f, .top_p = 1e-9f};
    ck_assert_uint_eq(tokens_drawn(options, logits, 4), 1u << 1);
    options.top_p = 0.49f;
    ck_assert_uint_eq(tokens_drawn(options, logits, 4), 1u << 1);
    options.top_p = 0.51f;
    ck_assert_uint_eq(tokens_drawn(options, logits, 4), 1u << 1 | 1u << 3);
    options.top_p = 0.8f;
    ck_assert_uint_eq(tokens_drawn(options, logits, 4), 1u << 1 | 1u << 3 | 1u << 0);
    options.top_p = 1.0f;
    ck_assert_uint_eq(tokens_drawn(options, logits, 4), 15u);
    options.top_p = 0.0f;
    ck_assert_uint_eq(tokens_drawn(options, logits, 4), 15u);
}
END_TEST

/* After top_k 2 the probabilities are 2/3 and 1/3, so that 0.6 needs one token, not two. */
START_TEST(top_p_is_of_what_top_k_left)
{
    const float two = logf(2.0f);
    const float logits[] = {0, 2 * two, 0, two};
    lckv_sampler_options options = {.temperature = 1.0f, .top_k = 2, .top_p = 0.6f};
    ck_assert_uint_eq(tokens_drawn(options, logits, 4), 1u << 1);
    options.top_k = 0;
    ck_assert_uint_eq(tokens_drawn(options, logits, 4), 1u << 1 | 1u << 3);
}
END_TEST

START_TEST(min_p_is_a_share_of_the_best)
{
    const float two = logf(2.0f);
    const float logits[] = {0, 2 * two, -20, two};
    lckv_sampler_options options = {.temperature = 1.0f, .min_p = 1.0f};
    ck_assert_uint_eq(tokens_drawn(options, logits, 4), 1u << 1);
    options.min_p = 0.4f;
    ck_assert_uint_eq(tokens_drawn(options, logits, 4), 1u << 1 | 1u << 3);
    options.min_p = 0.2f;
    ck_assert_uint_eq(tokens_drawn(options, logits, 4), 1u << 1 | 1u << 3 | 1u << 0);
}
END_TEST

START_TEST(extreme_temperatures_and_infinite_logits_are_fine)
{
    const float logits[] = {1, 3, 2};
    ck_assert_uint_eq(tokens_drawn((lckv_sampler_options){.temperature = 1e-30f}, logits, 3), 2u);
    ck_assert_uint_eq(tokens_drawn((lckv_sampler_options){.temperature = 1e30f}, logits, 3), 7u);
    const float infinite[] = {1, HUGE_VALF, -HUGE_VALF, HUGE_VALF};
    const lckv_sampler_options options = {.temperature = 1.0f, .top_p = 0.99f};
    ck_assert_uint_eq(tokens_drawn(options, infinite, 4), 1u << 1 | 1u << 3);
}
END_TEST

static void add_filters(Suite *suite)
{
    const TTest *const tests[] = {rank_equals_a_full_sort,
                                  top_p_of_a_flat_distribution_ranks_as_many_as_it_needs,
                                  top_k_keeps_the_k_best,
                                  top_p_keeps_the_smallest_nucleus,
                                  top_p_is_of_what_top_k_left,
                                  min_p_is_a_share_of_the_best,
                                  extreme_temperatures_and_infinite_logits_are_fine};
    add_tests(suite, "filters", tests, COUNT(tests));
}

TEST_MAIN("sampler filters", add_filters)
