/*
 * The sampler as a whole: frequencies, recorded tokens, bias, penalties, callbacks, clones, and
 * what it refuses. test_sampler_filters.c has its filters.
 */
#include <math.h>
#include <string.h>

#include "allocator.h"
#include "sampler_support.h"

/* One token from a sampler that lives for this call only. */
static lckv_token sample_once(lckv_sampler_options options, const float *logits, size_t n)
{
    struct lckv_sampler *sampler = make(options);
    lckv_token token = sample(sampler, logits, n);
    sampler_release(sampler);
    return token;
}

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
        /* With seven degrees of freedom, one seed of a thousand exceeds 24.3. */
        ck_assert_double_lt(chi_square, 24.3);
        sampler_release(sampler);
    }
}
END_TEST

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

    sampler = make(
        (lckv_sampler_options){.presence_penalty = 0.75f}); /* however often a token was seen */
    ck_assert_ok(sampler_accept(sampler, 0));
    ck_assert_ok(sampler_accept(sampler, 0));
    ck_assert_int_eq(sample(sampler, logits, 4), 0);
    sampler_release(sampler);

    sampler = make((lckv_sampler_options){.frequency_penalty = 0.75f}); /* each time it was seen */
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

/* A sample that fails draws no random number: the sequence goes on as if it had not happened. */
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

/* Whichever allocation fails, the next try gives the token that would have come. */
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

    for (size_t n = 0; n < 8; n++) {
        struct counting counting = {.n_allowed = n};
        const lckv_allocator allocator = counting_allocator(&counting);
        lckv_sampler_options options = lively;
        options.allocator = &allocator;
        struct lckv_sampler *sampler = NULL, *clone = NULL;
        lckv_status status = sampler_create(&options, &sampler);
        if (status != LCKV_OK) {
            ck_assert_int_eq(status, LCKV_OUT_OF_MEMORY);
            ck_assert_ptr_null(sampler);
            ck_assert_uint_eq(counting.out, 0);
            counting.n_allowed = 1000;
            ck_assert_ok(sampler_create(&options, &sampler));
            counting.n_allowed = n;
        }
        for (int i = 0; i < 8; i++) {
            lckv_token token = -1;
            while ((status = sampler_sample(sampler, logits, 300, &token)) == LCKV_OUT_OF_MEMORY)
                counting.n_allowed = 1;
            ck_assert_int_eq(status, LCKV_OK);
            ck_assert_int_eq(token, expected[i]);
            while ((status = sampler_accept(sampler, token)) == LCKV_OUT_OF_MEMORY)
                counting.n_allowed = 1;
            ck_assert_int_eq(status, LCKV_OK);
        }
        for (size_t of_clone = 0; of_clone < 3; of_clone++) {
            counting.n_allowed = of_clone;
            ck_assert_status(sampler_clone(sampler, &clone), LCKV_OUT_OF_MEMORY);
            ck_assert_ptr_null(clone);
        }
        sampler_release(sampler);
        ck_assert_uint_eq(counting.out, 0);
    }
}
END_TEST

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
    add_tests(suite, "sampler", tests, COUNT(tests));
}

TEST_MAIN("sampler", add_sampler)
