/*
 * Sampling: own exp and log, the random sequence, the filters, the sampler as a whole, stop
 * strings.
 */
#include "support.h"

#include "sample/candidates.h"
#include "sample/exp_log.h"
#include "sample/random.h"
#include "sample/sampler.h"
#include "sample/stops.h"

#include <math.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static struct lckv_sampler *make(lckv_sampler_options options)
{
    struct lckv_sampler *sampler = NULL;
    options.size = sizeof options;
    ck_assert_ok(sampler_create(&options, &sampler));
    return sampler;
}

static lckv_token sample(struct lckv_sampler *sampler, const float *logits, size_t n)
{
    lckv_token token = -1;
    ck_assert_ok(sampler_sample(sampler, logits, n, &token));
    return token;
}

/* One token from a sampler that lives for this call only. */
static lckv_token sample_once(lckv_sampler_options options, const float *logits, size_t n)
{
    struct lckv_sampler *sampler = make(options);
    lckv_token token = sample(sampler, logits, n);
    sampler_release(sampler);
    return token;
}

/* Which of the first 32 tokens come up in 2000 draws, as bits. */
static uint32_t tokens_drawn(lckv_sampler_options options, const float *logits, size_t n)
{
    struct lckv_sampler *sampler = make(options);
    uint32_t drawn = 0;
    for (int i = 0; i < 2000; i++)
        drawn |= UINT32_C(1) << sample(sampler, logits, n);
    sampler_release(sampler);
    return drawn;
}

/* ---- exp, log, random numbers ---- */

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

/* ---- Filters ---- */

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
    candidates_weigh(flat, N, 1.0f, 1.0f);
    ck_assert_uint_eq(candidates_top_p(flat, N, 0.5f), N / 2);
    for (int i = 0; i < N / 2; i++)
        ck_assert_int_eq(flat[i].token, i);
}
END_TEST

/* ---- The sampler ---- */

START_TEST(greedy_takes_the_largest_and_of_equals_the_lower_id)
{
    const float logits[] = {-1, 2, 5, 5, 4};
    ck_assert_int_eq(sample_once((lckv_sampler_options){0}, logits, 5), 2);
    const float single[] = {-3};
    ck_assert_int_eq(sample_once((lckv_sampler_options){0}, single, 1), 0);
    const float with_infinity[] = {1, HUGE_VALF, 3};
    ck_assert_int_eq(sample_once((lckv_sampler_options){0}, with_infinity, 3), 1);
}
END_TEST

START_TEST(frequencies_match_the_softmax)
{
    enum { N = 8, DRAWS = 40000 };
    const float logits[N] = {0.0f, 1.0f, 2.0f, -1.0f, 0.5f, 1.5f, -3.0f, 2.5f};
    static const float temperatures[] = {0.5f, 1.0f, 2.0f};
    for (size_t t = 0; t < COUNT(temperatures); t++) {
        struct lckv_sampler *sampler =
            make((lckv_sampler_options){.temperature = temperatures[t], .seed = 11});
        double total = 0.0, chi_square = 0.0;
        int counts[N] = {0};
        for (int i = 0; i < DRAWS; i++)
            counts[sample(sampler, logits, N)]++;
        for (int i = 0; i < N; i++)
            total += exp(logits[i] / (double)temperatures[t]);
        for (int i = 0; i < N; i++) {
            double expected = DRAWS * exp(logits[i] / (double)temperatures[t]) / total;
            chi_square += (counts[i] - expected) * (counts[i] - expected) / expected;
        }
        /* Seven degrees of freedom: 24.3 is passed once in a thousand seeds. */
        ck_assert_double_lt(chi_square, 24.3);
        sampler_release(sampler);
    }
}
END_TEST

/* A vocabulary with a shape like a model's, from integers only. */
static void fill_logits(float *logits, size_t n, uint64_t seed)
{
    struct random random;
    random_seed(&random, seed);
    for (size_t i = 0; i < n; i++)
        logits[i] = (float)(random_next(&random) % 4096) / 256.0f - 8.0f;
}

#define N_RECORDED 12

START_TEST(the_same_seed_gives_the_recorded_tokens)
{
    enum { N = 3000 };
    static float logits[N];
    static const struct {
        const char *name;
        lckv_sampler_options options;
        lckv_token tokens[N_RECORDED];
    } table[] = {
        {"greedy",
         {.temperature = 0.0f},
         {1294, 818, 1142, 1314, 2890, 2606, 473, 2873, 2712, 1094, 1893, 56}},
        {"temperature 1",
         {.temperature = 1.0f, .seed = 1},
         {2090, 1615, 1824, 1285, 2036, 469, 141, 1112, 2694, 1646, 2782, 2843}},
        {"temperature 0.7",
         {.temperature = 0.7f, .seed = 2},
         {314, 2248, 590, 2438, 1993, 756, 1963, 723, 1879, 2206, 2330, 1105}},
        {"temperature 3",
         {.temperature = 3.0f, .seed = UINT64_MAX},
         {1709, 2297, 1535, 2287, 1698, 2207, 1050, 2303, 1900, 1862, 730, 149}},
        {"top_k",
         {.temperature = 2.0f, .top_k = 40, .seed = 3},
         {2866, 802, 1080, 2136, 1251, 362, 2724, 1256, 972, 973, 838, 757}},
        {"top_p",
         {.temperature = 1.5f, .top_p = 0.9f, .seed = 4},
         {968, 595, 2592, 1726, 115, 281, 1045, 1923, 1138, 2311, 637, 2085}},
        {"min_p",
         {.temperature = 1.5f, .min_p = 0.05f, .seed = 5},
         {854, 1849, 2064, 2581, 1524, 2373, 1456, 2421, 1069, 1137, 2996, 757}},
        {"all",
         {.temperature = 2.5f,
          .top_k = 1000,
          .top_p = 0.95f,
          .min_p = 0.01f,
          .repetition_penalty = 1.3f,
          .frequency_penalty = 0.2f,
          .presence_penalty = 0.1f,
          .seed = 6},
         {708, 1686, 864, 30, 454, 635, 18, 2207, 497, 1612, 1178, 2179}},
    };
    for (size_t row = 0; row < COUNT(table); row++) {
        struct lckv_sampler *sampler = make(table[row].options);
        for (int i = 0; i < N_RECORDED; i++) {
            fill_logits(logits, N, (uint64_t)i);
            lckv_token token = sample(sampler, logits, N);
            ck_assert_msg(token == table[row].tokens[i], "%s, token %d: got %d, recorded %d",
                          table[row].name, i, (int)token, (int)table[row].tokens[i]);
            ck_assert_ok(sampler_accept(sampler, token));
        }
        sampler_release(sampler);
    }
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

START_TEST(bias_is_added_and_bans)
{
    const float logits[] = {1, 3, 2, HUGE_VALF};
    const lckv_logit_bias bias[] = {{1, -HUGE_VALF}, {3, -HUGE_VALF}, {0, 0.5f}, {0, 0.75f}};
    lckv_sampler_options options = {.logit_bias = bias, .n_logit_bias = 3};
    ck_assert_int_eq(sample_once(options, logits, 4), 2);
    options.n_logit_bias = 4; /* both entries of token 0 count */
    ck_assert_int_eq(sample_once(options, logits, 4), 0);
    options.temperature = 10.0f;
    ck_assert_uint_eq(tokens_drawn(options, logits, 4), 1u << 0 | 1u << 2);
}
END_TEST

START_TEST(bias_beyond_the_vocabulary_is_refused)
{
    const float logits[] = {1, 3};
    const lckv_logit_bias bias[] = {{2, 1.0f}};
    struct lckv_sampler *sampler =
        make((lckv_sampler_options){.logit_bias = bias, .n_logit_bias = 1});
    lckv_token token = 77;
    ck_assert_status(sampler_sample(sampler, logits, 2, &token), LCKV_INVALID_ARGUMENT);
    ck_assert_error_has("logit_bias[0].token is 2");
    ck_assert_int_eq(token, 77);
    sampler_release(sampler);
}
END_TEST

/* Positive logits are divided by the repetition penalty, negative ones multiplied. */
START_TEST(penalties_lower_what_was_seen)
{
    const float logits[] = {4.0f, 3.0f, -1.0f, -1.5f};
    struct lckv_sampler *sampler = make((lckv_sampler_options){.repetition_penalty = 2.0f});
    ck_assert_int_eq(sample(sampler, logits, 4), 0);
    ck_assert_ok(sampler_accept(sampler, 0)); /* 4 / 2 */
    ck_assert_int_eq(sample(sampler, logits, 4), 1);
    ck_assert_ok(sampler_accept(sampler, 1)); /* 3 / 2 */
    ck_assert_int_eq(sample(sampler, logits, 4), 0);
    const float negative[] = {-HUGE_VALF, -HUGE_VALF, -1.0f, -1.5f};
    ck_assert_ok(sampler_accept(sampler, 2)); /* -1 x 2 */
    ck_assert_int_eq(sample(sampler, negative, 4), 3);
    sampler_release(sampler);

    sampler = make((lckv_sampler_options){.presence_penalty = 0.75f}); /* however often */
    ck_assert_ok(sampler_accept(sampler, 0));
    ck_assert_ok(sampler_accept(sampler, 0));
    ck_assert_int_eq(sample(sampler, logits, 4), 0);
    sampler_release(sampler);

    sampler = make((lckv_sampler_options){.frequency_penalty = 0.75f}); /* each time */
    ck_assert_ok(sampler_accept(sampler, 0));
    ck_assert_int_eq(sample(sampler, logits, 4), 0);
    ck_assert_ok(sampler_accept(sampler, 0));
    ck_assert_int_eq(sample(sampler, logits, 4), 1);
    sampler_release(sampler);
}
END_TEST

START_TEST(penalties_forget_beyond_their_window)
{
    const float logits[] = {4.0f, 3.0f};
    struct lckv_sampler *sampler =
        make((lckv_sampler_options){.presence_penalty = 2.0f, .penalty_window = 3});
    ck_assert_ok(sampler_accept(sampler, 0));
    ck_assert_ok(sampler_accept(sampler, 500)); /* beyond this vocabulary, but seen */
    ck_assert_ok(sampler_accept(sampler, 501));
    ck_assert_int_eq(sample(sampler, logits, 2), 1);
    ck_assert_ok(sampler_accept(sampler, 502));
    ck_assert_int_eq(sample(sampler, logits, 2), 0);
    sampler_release(sampler);

    sampler = make((lckv_sampler_options){.presence_penalty = 2.0f}); /* 0 means 64 */
    ck_assert_ok(sampler_accept(sampler, 0));
    for (int i = 0; i < 63; i++)
        ck_assert_ok(sampler_accept(sampler, 500));
    ck_assert_int_eq(sample(sampler, logits, 2), 1);
    ck_assert_ok(sampler_accept(sampler, 500));
    ck_assert_int_eq(sample(sampler, logits, 2), 0);
    sampler_release(sampler);
}
END_TEST

struct callback_state {
    int calls;
    int32_t answer;
    float first; /* what it found at logits[0] */
};

static int32_t prefer_three(void *user, float *logits, size_t n_vocab)
{
    struct callback_state *state = user;
    state->calls++;
    state->first = logits[0];
    for (size_t i = 0; i < n_vocab; i++)
        logits[i] = i == 3 ? 10.0f : -HUGE_VALF;
    return state->answer;
}

START_TEST(the_callback_sees_the_bias_and_changes_a_copy)
{
    float logits[] = {1, 3, 2, 0};
    float before[4];
    memcpy(before, logits, sizeof before);
    struct callback_state state = {0};
    const lckv_logit_bias bias[] = {{0, 0.5f}};
    struct lckv_sampler *sampler = make((lckv_sampler_options){.logit_bias = bias,
                                                               .n_logit_bias = 1,
                                                               .callback = prefer_three,
                                                               .callback_user = &state,
                                                               .presence_penalty = 100.0f});
    ck_assert_ok(sampler_accept(sampler, 3)); /* the penalty comes later, but 3 is alone */
    ck_assert_int_eq(sample(sampler, logits, 4), 3);
    ck_assert_int_eq(state.calls, 1);
    ck_assert(state.first == 1.5f);
    ck_assert_mem_eq(logits, before, sizeof before);
    state.answer = 1;
    lckv_token token = 77;
    ck_assert_status(sampler_sample(sampler, logits, 4, &token), LCKV_CANCELLED);
    ck_assert_int_eq(token, 77);
    sampler_release(sampler);
}
END_TEST

START_TEST(logits_that_cannot_be_sampled_are_refused)
{
    const float nan_logit[] = {1, NAN, 2};
    const float none[] = {-HUGE_VALF, -HUGE_VALF};
    const float only_infinite[] = {HUGE_VALF, -HUGE_VALF};
    static const float temperatures[] = {0.0f, 1.0f};
    for (size_t t = 0; t < COUNT(temperatures); t++) {
        struct lckv_sampler *sampler = make((lckv_sampler_options){.temperature = temperatures[t]});
        lckv_token token = 77;
        ck_assert_status(sampler_sample(sampler, nan_logit, 3, &token), LCKV_INVALID_ARGUMENT);
        ck_assert_error_has("logits[1] is not a number");
        ck_assert_status(sampler_sample(sampler, none, 2, &token), LCKV_INVALID_ARGUMENT);
        ck_assert_error_has("none of 2 logits is finite");
        ck_assert_status(sampler_sample(sampler, only_infinite, 2, &token), LCKV_INVALID_ARGUMENT);
        ck_assert_int_eq(token, 77);
        sampler_release(sampler);
    }
}
END_TEST

START_TEST(banning_every_token_is_refused)
{
    const float logits[] = {1, 2};
    const lckv_logit_bias bias[] = {{0, -HUGE_VALF}, {1, -HUGE_VALF}};
    struct lckv_sampler *sampler =
        make((lckv_sampler_options){.logit_bias = bias, .n_logit_bias = 2});
    lckv_token token;
    ck_assert_status(sampler_sample(sampler, logits, 2, &token), LCKV_INVALID_ARGUMENT);
    ck_assert_error_has("after bias");
    sampler_release(sampler);
}
END_TEST

/* A sample that fails draws no random number: the sequence goes on as if it had not been. */
START_TEST(a_failed_sample_changes_nothing)
{
    static float logits[100];
    fill_logits(logits, 100, 5);
    const float bad[] = {NAN};
    struct lckv_sampler *plain = make((lckv_sampler_options){.temperature = 1.0f});
    struct lckv_sampler *disturbed = make((lckv_sampler_options){.temperature = 1.0f});
    for (int i = 0; i < 50; i++) {
        lckv_token token;
        ck_assert_status(sampler_sample(disturbed, bad, 1, &token), LCKV_INVALID_ARGUMENT);
        ck_assert_int_eq(sample(plain, logits, 100), sample(disturbed, logits, 100));
    }
    sampler_release(plain);
    sampler_release(disturbed);
}
END_TEST

static const lckv_sampler_options lively = {
    .temperature = 2.0f, .top_p = 0.95f, .presence_penalty = 3.0f, .penalty_window = 5, .seed = 3};

START_TEST(a_clone_goes_on_like_its_original)
{
    static float logits[500];
    fill_logits(logits, 500, 9);
    const lckv_logit_bias bias[] = {{4, 2.0f}};
    lckv_sampler_options options = lively;
    options.logit_bias = bias;
    options.n_logit_bias = 1;
    struct lckv_sampler *original = make(options), *clone = NULL;
    for (int i = 0; i < 17; i++)
        ck_assert_ok(sampler_accept(original, sample(original, logits, 500)));
    ck_assert_ok(sampler_clone(original, &clone));
    lckv_token tokens[40];
    for (int i = 0; i < 40; i++) {
        tokens[i] = sample(original, logits, 500);
        ck_assert_ok(sampler_accept(original, tokens[i]));
    }
    sampler_release(original); /* a clone stands alone */
    for (int i = 0; i < 40; i++) {
        ck_assert_int_eq(sample(clone, logits, 500), tokens[i]);
        ck_assert_ok(sampler_accept(clone, tokens[i]));
    }
    sampler_release(clone);
}
END_TEST

START_TEST(reset_begins_anew)
{
    static float logits[500];
    fill_logits(logits, 500, 9);
    struct lckv_sampler *sampler = make(lively);
    lckv_token tokens[40];
    for (int i = 0; i < 40; i++) {
        tokens[i] = sample(sampler, logits, 500);
        ck_assert_ok(sampler_accept(sampler, tokens[i]));
    }
    sampler_reset(sampler);
    for (int i = 0; i < 40; i++) {
        ck_assert_int_eq(sample(sampler, logits, 500), tokens[i]);
        ck_assert_ok(sampler_accept(sampler, tokens[i]));
    }
    sampler_release(sampler);
}
END_TEST

START_TEST(options_out_of_range_are_refused_by_name)
{
    static const lckv_logit_bias negative[] = {{-1, 0.0f}}, infinite[] = {{0, HUGE_VALF}};
    static const struct {
        const char *member;
        lckv_sampler_options options;
    } table[] = {
        {"temperature", {.temperature = -0.1f}},
        {"temperature", {.temperature = NAN}},
        {"temperature", {.temperature = HUGE_VALF}},
        {"top_p", {.top_p = -0.1f}},
        {"top_p", {.top_p = 1.1f}},
        {"top_p", {.top_p = NAN}},
        {"min_p", {.min_p = -0.1f}},
        {"min_p", {.min_p = 1.1f}},
        {"repetition_penalty", {.repetition_penalty = -1.0f}},
        {"repetition_penalty", {.repetition_penalty = HUGE_VALF}},
        {"frequency_penalty", {.frequency_penalty = NAN}},
        {"presence_penalty", {.presence_penalty = -HUGE_VALF}},
        {"logit_bias is NULL", {.n_logit_bias = 1}},
        {"logit_bias[0].token", {.logit_bias = negative, .n_logit_bias = 1}},
        {"logit_bias[0].bias", {.logit_bias = infinite, .n_logit_bias = 1}},
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        struct lckv_sampler *sampler = NULL;
        ck_assert_status(sampler_create(&table[i].options, &sampler), LCKV_INVALID_ARGUMENT);
        ck_assert_error_has(table[i].member);
        ck_assert_ptr_null(sampler);
    }
    struct lckv_sampler *sampler = make((lckv_sampler_options){0});
    ck_assert_status(sampler_accept(sampler, -1), LCKV_INVALID_ARGUMENT);
    sampler_release(sampler);
}
END_TEST

/* Refuses the allocation after `left` more, and counts what is out. */
struct refusing {
    long left, outstanding;
};

static void *refusing_alloc(void *user, size_t size, size_t align)
{
    struct refusing *refusing = user;
    void *pointer = NULL;
    if (refusing->left-- <= 0 || posix_memalign(&pointer, align, size) != 0)
        return NULL;
    refusing->outstanding += (long)size;
    return pointer;
}

static void refusing_free(void *user, void *pointer, size_t size)
{
    struct refusing *refusing = user;
    refusing->outstanding -= (long)size;
    free(pointer);
}

/* Whichever allocation fails, trying again gives the token that would have come. */
START_TEST(every_refused_allocation_is_survived)
{
    static float logits[300];
    fill_logits(logits, 300, 2);
    struct lckv_sampler *plain = make(lively);
    lckv_token expected[8];
    for (int i = 0; i < 8; i++) {
        expected[i] = sample(plain, logits, 300);
        ck_assert_ok(sampler_accept(plain, expected[i]));
    }
    sampler_release(plain);

    for (long n = 0; n < 8; n++) {
        struct refusing refusing = {.left = n};
        const lckv_allocator allocator = {.size = sizeof allocator,
                                          .user = &refusing,
                                          .alloc = refusing_alloc,
                                          .free = refusing_free};
        lckv_sampler_options options = lively;
        options.allocator = &allocator;
        struct lckv_sampler *sampler = NULL, *clone = NULL;
        lckv_status status = sampler_create(&options, &sampler);
        if (status != LCKV_OK) {
            ck_assert_int_eq(status, LCKV_OUT_OF_MEMORY);
            ck_assert_ptr_null(sampler);
            ck_assert_int_eq(refusing.outstanding, 0);
            refusing.left = 1000;
            ck_assert_ok(sampler_create(&options, &sampler));
            refusing.left = n;
        }
        for (int i = 0; i < 8; i++) {
            lckv_token token = -1;
            while ((status = sampler_sample(sampler, logits, 300, &token)) == LCKV_OUT_OF_MEMORY)
                refusing.left = 1;
            ck_assert_int_eq(status, LCKV_OK);
            ck_assert_int_eq(token, expected[i]);
            while ((status = sampler_accept(sampler, token)) == LCKV_OUT_OF_MEMORY)
                refusing.left = 1;
            ck_assert_int_eq(status, LCKV_OK);
        }
        for (long of_clone = 0; of_clone < 3; of_clone++) {
            refusing.left = of_clone;
            ck_assert_status(sampler_clone(sampler, &clone), LCKV_OUT_OF_MEMORY);
            ck_assert_ptr_null(clone);
        }
        sampler_release(sampler);
        ck_assert_int_eq(refusing.outstanding, 0);
    }
}
END_TEST

/* ---- Log-probabilities ---- */

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

/* ---- Stop strings ---- */

/* Streams `input` in pieces of `piece` bytes and collects what comes out. */
static bool stream(const lckv_string *strings, size_t n_strings, const char *input, size_t piece,
                   char *output)
{
    struct stops stops;
    stops_init(&stops, strings, n_strings, &memory_default_allocator);
    size_t length = strlen(input), written = 0;
    bool found = false;
    for (size_t begin = 0; begin <= length && !found; begin += piece) {
        bool is_last = begin + piece > length;
        struct text ready, in = {input + begin, is_last ? length - begin : piece};
        ck_assert_ok(stops_push(&stops, in, is_last, &ready, &found));
        memcpy(output + written, ready.bytes, ready.length);
        written += ready.length;
    }
    output[written] = '\0';
    stops_release(&stops);
    return found;
}

#define STRING(literal)              \
    {                                \
        literal, sizeof(literal) - 1 \
    }

START_TEST(text_ends_before_the_stop_string_that_is_complete_first)
{
    static const lckv_string end[] = {STRING("END")}, aab[] = {STRING("aab")};
    static const lckv_string several[] = {STRING("abcd"), STRING("bc"), STRING("xbc")};
    static const lckv_string umlaut[] = {STRING("\xc3\xa9t")};
    static const struct {
        const lckv_string *strings;
        size_t n_strings;
        const char *input, *output;
        bool found;
    } table[] = {
        {NULL, 0, "anything", "anything", false},
        {end, 1, "the END of it", "the ", true},
        {end, 1, "ENDEND", "", true},
        {end, 1, "E EN ENE E", "E EN ENE E", false},
        {end, 1, "it is the EN", "it is the EN", false},
        {end, 1, "EEND", "E", true},
        {aab, 1, "aaaab", "aa", true},
        {several, 3, "1abcd", "1a", true},
        {several, 3, "1xbc", "1", true},
        {several, 3, "ab", "ab", false},
        {umlaut, 1, "\xc3\xa9\xc3\xa9t\xc3\xa9", "\xc3\xa9", true},
        {umlaut, 1, "\xc3\xa8t\xc3\xa9", "\xc3\xa8t\xc3\xa9", false},
    };
    for (size_t row = 0; row < COUNT(table); row++) {
        for (size_t piece = 1; piece < 20; piece++) { /* however the text is cut */
            char output[64];
            bool found =
                stream(table[row].strings, table[row].n_strings, table[row].input, piece, output);
            ck_assert_str_eq(output, table[row].output);
            ck_assert_int_eq(found, table[row].found);
        }
    }
}
END_TEST

START_TEST(only_what_may_begin_a_stop_string_waits)
{
    static const lckv_string strings[] = {STRING("<end>")};
    static const struct {
        const char *in, *out;
    } steps[] = {{"a ", "a "}, {"b <e", "b "}, {"n", ""}, {"x<", "<enx"}, {"", ""}, {"y", "<y"}};
    struct stops stops;
    stops_init(&stops, strings, 1, &memory_default_allocator);
    for (size_t i = 0; i < COUNT(steps); i++) {
        struct text ready;
        bool found;
        ck_assert_ok(stops_push(&stops, (struct text){steps[i].in, strlen(steps[i].in)}, false,
                                &ready, &found));
        ck_assert(!found);
        ck_assert_uint_eq(ready.length, strlen(steps[i].out));
        ck_assert_mem_eq(ready.bytes, steps[i].out, ready.length);
    }
    stops_release(&stops);
}
END_TEST

/* A stop string may begin inside a character (any bytes may); what comes out is whole ones. */
START_TEST(characters_are_not_torn_by_waiting_text)
{
    static const lckv_string strings[] = {STRING("\xa9!")};
    struct stops stops;
    struct text ready;
    bool found;
    stops_init(&stops, strings, 1, &memory_default_allocator);
    ck_assert_ok(stops_push(&stops, (struct text){"a\xc3\xa9", 3}, false, &ready, &found));
    ck_assert_uint_eq(ready.length, 1);
    ck_assert_ok(stops_push(&stops, (struct text){"b", 1}, false, &ready, &found));
    ck_assert_uint_eq(ready.length, 3);
    ck_assert_mem_eq(ready.bytes,
                     "\xc3\xa9"
                     "b",
                     3);
    stops_release(&stops);
}
END_TEST

static void add(Suite *suite, const char *name, const TTest *const *tests, size_t n_tests)
{
    TCase *tcase = tcase_create(name);
    for (size_t i = 0; i < n_tests; i++)
        tcase_add_test(tcase, tests[i]);
    suite_add_tcase(suite, tcase);
}

static void add_numbers(Suite *suite)
{
    const TTest *const tests[] = {exp_is_accurate, log_is_accurate, exp_and_log_have_recorded_bits,
                                  random_is_xoshiro256_star_star};
    add(suite, "numbers", tests, COUNT(tests));
}

static void add_filters(Suite *suite)
{
    const TTest *const tests[] = {rank_equals_a_full_sort,
                                  top_p_of_a_flat_distribution_ranks_as_many_as_it_needs,
                                  top_k_keeps_the_k_best,
                                  top_p_keeps_the_smallest_nucleus,
                                  top_p_is_of_what_top_k_left,
                                  min_p_is_a_share_of_the_best,
                                  extreme_temperatures_and_infinite_logits_are_fine};
    add(suite, "filters", tests, COUNT(tests));
}

static void add_sampler(Suite *suite)
{
    const TTest *const tests[] = {greedy_takes_the_largest_and_of_equals_the_lower_id,
                                  frequencies_match_the_softmax,
                                  the_same_seed_gives_the_recorded_tokens,
                                  bias_is_added_and_bans,
                                  bias_beyond_the_vocabulary_is_refused,
                                  penalties_lower_what_was_seen,
                                  penalties_forget_beyond_their_window,
                                  the_callback_sees_the_bias_and_changes_a_copy,
                                  logits_that_cannot_be_sampled_are_refused,
                                  banning_every_token_is_refused,
                                  a_failed_sample_changes_nothing,
                                  a_clone_goes_on_like_its_original,
                                  reset_begins_anew,
                                  options_out_of_range_are_refused_by_name,
                                  every_refused_allocation_is_survived};
    add(suite, "sampler", tests, COUNT(tests));
}

static void add_log_probabilities(Suite *suite)
{
    const TTest *const tests[] = {log_probabilities_are_those_of_the_softmax,
                                  log_probabilities_refuse_what_is_no_distribution};
    add(suite, "log probabilities", tests, COUNT(tests));
}

static void add_stops(Suite *suite)
{
    const TTest *const tests[] = {text_ends_before_the_stop_string_that_is_complete_first,
                                  only_what_may_begin_a_stop_string_waits,
                                  characters_are_not_torn_by_waiting_text};
    add(suite, "stop strings", tests, COUNT(tests));
}

TEST_MAIN("sampler", add_numbers, add_filters, add_sampler, add_log_probabilities, add_stops)
