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

enum { MOST = 3000 };

/* Logits of every kind: few values, so many are equal; both zeros; infinities; any bits. */
static float any_logit(struct random *random, int kind)
{
    switch (kind) {
    case 0:
        return (float)(random_next(random) % 100) - 50.0f;
    case 1:
        return random_next(random) % 2 == 0 ? 0.0f : -0.0f;
    case 2:
        return random_next(random) % 50 == 0 ? HUGE_VALF : (float)(random_fraction(random) * 8 - 6);
    case 3:
        return (float)(-2.0 *
                       log(random_fraction(random) + 1e-9)); /* like a model's: few are likely */
    default:
        return 1.0f + (float)(random_next(random) % 7) * 0x1p-23f;
    }
}

static void fill_candidates(struct candidate *candidates, size_t n, struct random *random, int kind)
{
    float largest = -HUGE_VALF;
    for (size_t i = 0; i < n; i++) {
        candidates[i] =
            (struct candidate){.logit = any_logit(random, kind), .token = (lckv_token)i};
        largest = candidates[i].logit > largest ? candidates[i].logit : largest;
    }
    candidates_weigh(kernels_any(), candidates, n, largest, 0.8f);
}

START_TEST(rank_equals_a_full_sort)
{
    static struct candidate ranked[MOST], sorted[MOST], spare[MOST];
    static const size_t ks[] = {0, 1, 2, 3, 40, 255, 256, 257, 999, 1000, 1024, 1025, 2999, 3000};
    struct random random;
    random_seed(&random, 7);
    for (int kind = 0; kind < 5; kind++) {
        for (size_t round = 0; round < COUNT(ks); round++) {
            fill_candidates(ranked, MOST, &random, kind);
            memcpy(sorted, ranked, sizeof sorted);
            qsort(sorted, MOST, sizeof sorted[0], compare_candidates);
            candidates_rank(ranked, spare, MOST, ks[round]);
            if (ks[round] > 0)
                ck_assert_mem_eq(ranked, sorted, ks[round] * sizeof sorted[0]);
        }
    }
}
END_TEST

/*
 * Follows the definition: sorts all candidates, then adds them up. The whole is four sums, as in
 * the filter.
 */
static size_t nucleus(struct candidate *candidates, size_t n, float top_p)
{
    double sums[4] = {0}, sum = 0.0;
    size_t rest = n % 4;
    for (size_t i = 0; i < n - rest; i++)
        sums[i % 4] += candidates[i].weight;
    for (size_t i = n - rest; i < n; i++)
        sums[i % 4] += candidates[i].weight;
    double wanted = ((sums[0] + sums[1]) + (sums[2] + sums[3])) * (double)top_p;
    qsort(candidates, n, sizeof candidates[0], compare_candidates);
    for (size_t i = 0; i < n; i++) {
        sum += candidates[i].weight;
        if (sum >= wanted)
            return i + 1;
    }
    return n;
}

START_TEST(top_p_is_what_a_full_sort_gives)
{
    static struct candidate filtered[MOST], sorted[MOST], spare[MOST];
    static const float shares[] = {1e-9f, 0.1f, 0.5f, 0.9f, 0.95f, 0.999f, 0x1.fffffep-1f};
    struct random random;
    random_seed(&random, 11);
    for (int round = 0; round < 350; round++) {
        size_t n = round % 3 == 0 ? 1 + random_next(&random) % 9 : 1 + random_next(&random) % MOST;
        float top_p = shares[round % 7];
        fill_candidates(filtered, n, &random, round % 5);
        memcpy(sorted, filtered, n * sizeof sorted[0]);
        size_t kept = candidates_top_p(filtered, spare, n, top_p);
        ck_assert_uint_eq(kept, nucleus(sorted, n, top_p));
        ck_assert_mem_eq(filtered, sorted, kept * sizeof sorted[0]);
    }
}
END_TEST

/* Equal tokens are ranked by their ids, and only as many as are needed. */
START_TEST(top_p_of_a_flat_distribution_ranks_as_many_as_it_needs)
{
    enum { N = 5000 };
    static struct candidate flat[N], spare[N];
    for (int i = 0; i < N; i++)
        flat[i] = (struct candidate){.logit = 1.0f, .token = (lckv_token)i};
    candidates_weigh(kernels_any(), flat, N, 1.0f, 1.0f);
    ck_assert_uint_eq(candidates_top_p(flat, spare, N, 0.5f), N / 2);
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

/* A share begins where the one before ends, and does not include its end. */
START_TEST(a_draw_falls_into_one_share)
{
    struct candidate four[4];
    for (int i = 0; i < 4; i++)
        four[i] = (struct candidate){.weight = 1.0, .token = (lckv_token)(10 + i)};
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(candidates_draw(four, 4, i * 0.25), 10 + i);
        ck_assert_int_eq(candidates_draw(four, 4, i * 0.25 + 0.2499), 10 + i);
    }
    ck_assert_int_eq(candidates_draw(four, 4, 0x1.fffffffffffffp-1), 13);
    ck_assert_int_eq(candidates_draw(four, 1, 0x1.fffffffffffffp-1), 10);
}
END_TEST

static void add_filters(Suite *suite)
{
    const TTest *const tests[] = {rank_equals_a_full_sort,
                                  top_p_is_what_a_full_sort_gives,
                                  a_draw_falls_into_one_share,
                                  top_p_of_a_flat_distribution_ranks_as_many_as_it_needs,
                                  top_k_keeps_the_k_best,
                                  top_p_keeps_the_smallest_nucleus,
                                  top_p_is_of_what_top_k_left,
                                  min_p_is_a_share_of_the_best,
                                  extreme_temperatures_and_infinite_logits_are_fine};
    add_tests(suite, "filters", tests, COUNT(tests));
}

TEST_MAIN("sampler filters", add_filters)
