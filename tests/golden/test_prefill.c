/*
 * Prompts of plans with upward layers, encoded in a window (docs/prefill.md): how far their logits
 * are from the exact ones, what they cost, and on what they do not depend.
 */
#include "folder.h"
#include "safetensors.h"
#include "sessions.h"
#include "trained.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define BUNDLED "examples/models/stories-lckv-q8_0.gguf"
#define MOST_TOKENS 512

static const char *const upward[] = {"all-top",        "cycle3-window",   "deep13-sequential",
                                     "lckv-w10like",   "lckv-w2",         "nodiag-w10like",
                                     "overlap-groups", "sandwich-middle", "two-groups"};

struct text {
    lckv_model *model;
    lckv_token tokens[MOST_TOKENS];
    size_t n_tokens, n_vocab;
    float *exact;    /* [n_tokens, n_vocab] */
    double deviates; /* the standard deviation of these logits */
    lckv_cache *cache;
};

static lckv_evaluate_report encode(struct text *text, lckv_evaluate_options options, float *logits)
{
    lckv_evaluate_report report = {.size = sizeof report};
    lckv_session *session = make_session(text->cache);
    lckv_item item = make_item(session, text->tokens, text->n_tokens, logits, text->n_vocab);
    options.size = sizeof options;
    ck_assert_ok(lckv_evaluate(text->cache, &item, sizeof item, 1, &options, &report));
    lckv_session_release(session);
    return report;
}

/* Computes the exact logits. */
static void begin(struct text *text, lckv_model *model)
{
    double sum = 0, squares = 0;
    text->model = model;
    text->n_vocab = info_of(model).n_vocab;
    text->cache = make_f32_cache(model);
    const size_t n = text->n_tokens * text->n_vocab;
    text->exact = calloc(n, sizeof *text->exact);
    encode(text, (lckv_evaluate_options){.prefill = LCKV_PREFILL_EXACT}, text->exact);
    for (size_t i = 0; i < n; i++) {
        sum += (double)text->exact[i];
        squares += (double)text->exact[i] * (double)text->exact[i];
    }
    text->deviates = sqrt(squares / (double)n - sum / (double)n * sum / (double)n);
}

static void end(struct text *text)
{
    free(text->exact);
    lckv_cache_release(text->cache);
    lckv_model_release(text->model);
}

static void begin_golden(struct text *text, const char *name, lckv_precision precision)
{
    char path[256];
    struct safetensors file;
    snprintf(path, sizeof path, "tests/data/goldens/%s/golden.safetensors", name);
    safetensors_open(&file, path);
    const struct safetensors_array *tokens = safetensors_find(&file, "tokens");
    text->n_tokens = tokens->n_elements;
    memcpy(text->tokens, tokens->data, tokens->n_elements * sizeof(lckv_token));
    safetensors_close(&file);
    begin(text, open_golden(name, precision));
}

/* Held-out stories in a row. */
static void begin_stories(struct text *text, size_t n_tokens, lckv_precision precision)
{
    static char stories[8192];
    size_t n = 0;
    lckv_model *model = open_trained(BUNDLED, precision);
    FILE *file = fopen("tests/data/heldout.txt", "r");
    ck_assert_ptr_nonnull(file);
    const size_t length = fread(stories, 1, sizeof stories, file);
    fclose(file);
    static lckv_token tokens[8192];
    ck_assert_ok(lckv_tokenize(model, stories, length, 0, tokens, COUNT(tokens), &n));
    ck_assert_uint_ge(n, n_tokens);
    memcpy(text->tokens, tokens, n_tokens * sizeof *tokens);
    text->n_tokens = n_tokens;
    begin(text, model);
}

/* The largest deviation from the exact logits, in their standard deviations. */
static double deviation(const struct text *text, const float *logits)
{
    double most = 0;
    for (size_t i = 0; i < text->n_tokens * text->n_vocab; i++) {
        const double d = fabs((double)logits[i] - (double)text->exact[i]);
        most = d <= most ? most : d; /* a NaN counts as the largest */
    }
    return most / text->deviates;
}

static float *room(const struct text *text)
{
    return calloc(text->n_tokens * text->n_vocab, sizeof(float));
}

START_TEST(every_window_is_within_the_tolerance)
{
    static const uint32_t sizes[] = {2, 3, 4, 5, 7, 8, 12, 16, 32, 64};
    struct text text;
    begin_golden(&text, upward[_i], LCKV_PRECISION_FULL);
    float *logits = room(&text);
    for (size_t i = 0; i < COUNT(sizes); i++) {
        for (int strict = 0; strict < 2; strict++) {
            const lckv_evaluate_report report = encode(
                &text, (lckv_evaluate_options){.window = sizes[i], .tolerance = strict ? 1e-3f : 0},
                logits);
            const double d = deviation(&text, logits);
            ck_assert_msg(d < (strict ? 5e-3 : 2e-2), "%s: window %u, tolerance %g: off by %g",
                          upward[_i], sizes[i], (double)report.tolerance, d);
            ck_assert_uint_eq(report.window, sizes[i]);
            ck_assert_float_eq(report.tolerance, strict ? 1e-3f : 3e-3f);
            ck_assert_float_lt(report.residual, report.tolerance);
            ck_assert_uint_ge(report.n_rows, report.n_tokens);
            ck_assert_uint_le(report.n_rows, report.n_passes * sizes[i]);
            ck_assert_uint_le(report.n_passes, report.n_tokens);
        }
    }
    free(logits);
    end(&text);
}
END_TEST

/* The work and the reads are those of the table in docs/prefill.md, or less. */
START_TEST(a_trained_model_takes_the_passes_that_the_table_says)
{
    static const struct {
        uint32_t window;
        float tolerance;
        double work, reads;
    } rows[] = {{4, 1e-2f, 2.9, 0.73},  {8, 1e-2f, 3.8, 0.48},  {8, 1e-3f, 4.3, 0.55},
                {16, 1e-2f, 4.9, 0.31}, {16, 1e-3f, 5.7, 0.37}, {32, 1e-2f, 5.9, 0.20},
                {64, 1e-2f, 7.3, 0.13}};
    struct text text;
    begin_stories(&text, 256, LCKV_PRECISION_FULL);
    float *logits = room(&text);
    for (size_t i = 0; i < COUNT(rows); i++) {
        const lckv_evaluate_report report = encode(
            &text,
            (lckv_evaluate_options){.window = rows[i].window, .tolerance = rows[i].tolerance},
            logits);
        const double work = (double)report.n_rows / 256, reads = (double)report.n_passes / 256;
        /* Single passes more or less depend on the last bits. */
        ck_assert_msg(work <= rows[i].work * 1.03 && reads <= rows[i].reads * 1.03,
                      "window %u, tolerance %g: work %.2f, reads %.3f", rows[i].window,
                      (double)rows[i].tolerance, work, reads);
        ck_assert_double_lt(deviation(&text, logits), rows[i].tolerance < 5e-3f ? 3e-3 : 4e-2);
    }
    free(logits);
    end(&text);
}
END_TEST

START_TEST(prompts_of_a_trained_model_are_within_the_tolerance)
{
    static const size_t lengths[] = {64, 256, 500};
    struct text text;
    begin_stories(&text, lengths[_i], LCKV_PRECISION_FULL);
    float *logits = room(&text);
    for (uint32_t window = 4; window <= 64; window *= 2) {
        encode(&text, (lckv_evaluate_options){.window = window}, logits);
        ck_assert_double_lt(deviation(&text, logits), 2e-2);
        encode(&text, (lckv_evaluate_options){.window = window, .tolerance = 1e-3f}, logits);
        /* Errors add up over a wide window. */
        ck_assert_double_lt(deviation(&text, logits), window <= 16 ? 3e-3 : 1e-2);
    }
    encode(&text, (lckv_evaluate_options){0}, logits);
    ck_assert_double_lt(deviation(&text, logits), 2e-2);
    free(logits);
    end(&text);
}
END_TEST

/* Where nothing comes to rest, the window narrows to one token, and the result is exact. */
START_TEST(a_window_in_vain_becomes_narrow)
{
    struct text text;
    begin_stories(&text, 256, LCKV_PRECISION_FULL);
    float *logits = room(&text);
    const lckv_evaluate_report report =
        encode(&text, (lckv_evaluate_options){.window = 16, .tolerance = 1e-20f}, logits);
    ck_assert_mem_eq(logits, text.exact, text.n_tokens * text.n_vocab * sizeof *logits);
    ck_assert_uint_eq(report.n_passes, 256);
    ck_assert_uint_lt(report.n_rows, 16 * (16 + 8 + 4 + 2) + 256);
    free(logits);
    end(&text);
}
END_TEST

/* In fast precision the bound is what the rounding of activations does, and some room. */
START_TEST(fast_prompts_are_as_near_as_rounding_lets_them)
{
    struct text text;
    begin_stories(&text, 256, LCKV_PRECISION_FAST);
    float *logits = room(&text);
    for (uint32_t window = 4; window <= 64; window *= 4) {
        encode(&text, (lckv_evaluate_options){.window = window}, logits);
        ck_assert_double_lt(deviation(&text, logits), 0.25);
    }
    free(logits);
    end(&text);
}
END_TEST

/* Steps of 8 bits are coarse: the default tolerance is one that tokens can reach. */
START_TEST(keys_and_values_of_8_bits_come_to_rest)
{
    struct text text;
    begin_stories(&text, 256, LCKV_PRECISION_FULL);
    float *logits = room(&text);
    const lckv_cache_options options = {.kv_dtype = _i == 0 ? LCKV_DTYPE_Q8_0 : LCKV_DTYPE_F16,
                                        .v_dtype = LCKV_DTYPE_Q8_0};
    lckv_cache_release(text.cache);
    text.cache = make_cache(text.model, options);
    encode(&text, (lckv_evaluate_options){.prefill = LCKV_PREFILL_EXACT}, text.exact);
    const lckv_evaluate_report report =
        encode(&text, (lckv_evaluate_options){.window = 16}, logits);
    ck_assert_float_eq(report.tolerance, 1e-2f);
    ck_assert_double_lt((double)report.n_passes, 0.5 * 256);
    ck_assert_double_lt(deviation(&text, logits), 0.1);
    free(logits);
    end(&text);
}
END_TEST

/* What the published method gives for nine passes. */
START_TEST(iterations_deviate_fifty_times_as_much)
{
    struct text text;
    begin_stories(&text, 256, LCKV_PRECISION_FULL);
    float *logits = room(&text);
    encode(&text, (lckv_evaluate_options){.window = 16}, logits);
    const double of_window = deviation(&text, logits);
    encode(&text,
           (lckv_evaluate_options){
               .prefill = LCKV_PREFILL_ITERATED, .forward_passes = 7, .backward_passes = 2},
           logits);
    ck_assert_double_gt(deviation(&text, logits), 50 * of_window);
    free(logits);
    end(&text);
}
END_TEST

/* The cost of a call names the window that the call takes. */
START_TEST(a_cost_tells_the_window)
{
    struct text text;
    begin_golden(&text, upward[_i], LCKV_PRECISION_FULL);
    lckv_evaluate_report cost = {.size = sizeof cost}, report = {.size = sizeof report};
    lckv_item item = {
        .session = make_session(text.cache), .tokens = text.tokens, .n_tokens = text.n_tokens};
    for (uint32_t window = 0; window <= 6; window += 3) {
        const lckv_evaluate_options options = {.size = sizeof options, .window = window};
        ck_assert_ok(lckv_evaluate_cost(text.cache, &item, sizeof item, 1, &options, &cost));
        ck_assert_ok(lckv_evaluate(text.cache, &item, sizeof item, 1, &options, &report));
        ck_assert_ok(lckv_session_truncate(item.session, 0));
        ck_assert_uint_eq(report.window, window > 0 ? window : 1); /* caches hold such a model */
        ck_assert_uint_eq(cost.window, report.window);
        ck_assert_float_eq(cost.tolerance, report.tolerance);
        ck_assert_uint_eq(cost.n_rows, 0);
    }
    lckv_session_release(item.session);
    end(&text);
}
END_TEST

static int32_t note_progress(void *user, uint64_t done, uint64_t total)
{
    uint64_t *last = user;
    ck_assert_uint_ge(done, *last);
    ck_assert_uint_le(done, total);
    *last = done;
    return 0;
}

START_TEST(progress_comes_to_its_end)
{
    struct text text;
    begin_golden(&text, upward[_i / 4], LCKV_PRECISION_FULL);
    uint64_t last = 0;
    lckv_item item = {.session = make_session(text.cache),
                      .tokens = text.tokens,
                      .n_tokens = text.n_tokens,
                      .want = _i % 2 == 0 ? LCKV_WANT_NOTHING : LCKV_WANT_LAST};
    const lckv_evaluate_options options = {.size = sizeof options,
                                           .window = _i / 2 % 2 == 0 ? 1 : 5,
                                           .progress = note_progress,
                                           .progress_user = &last};
    ck_assert_ok(lckv_evaluate(text.cache, &item, sizeof item, 1, &options, NULL));
    ck_assert_uint_eq(last, text.n_tokens);
    lckv_session_release(item.session);
    end(&text);
}
END_TEST

/*
 * Encodes the text, beside others if `beside`, in a cache with these options, and compares all
 * logits bit for bit.
 */
static void check_bits(const struct text *text, lckv_cache_options options,
                       lckv_evaluate_options how, bool beside, const float *expected)
{
    lckv_cache *cache = make_cache(text->model, options);
    const size_t n = text->n_tokens, n_vocab = text->n_vocab;
    float *logits = room(text), other[1024];
    lckv_item items[3];
    items[1] = make_item(make_session(cache), text->tokens, n, logits, n_vocab);
    items[0] = make_item(make_session(cache), text->tokens + 3, 1, other, n_vocab);
    items[2] =
        (lckv_item){.session = make_session(cache), .tokens = text->tokens + 5, .n_tokens = n - 7};
    how.size = sizeof how;
    ck_assert_ok(lckv_evaluate(cache, beside ? items : items + 1, sizeof *items, beside ? 3 : 1,
                               &how, NULL));
    ck_assert_mem_eq(logits, expected, n * n_vocab * sizeof *logits);
    for (size_t i = 0; i < 3; i++)
        lckv_session_release(items[i].session);
    free(logits);
    lckv_cache_release(cache);
}

START_TEST(the_bits_depend_on_window_and_tolerance_alone)
{
    struct text text;
    const lckv_precision precision = _i % 2 == 0 ? LCKV_PRECISION_FULL : LCKV_PRECISION_FAST;
    begin_golden(&text, upward[_i / 2], precision);
    float *expected = room(&text);
    for (uint32_t window = 3; window <= 12; window += 9) {
        const lckv_evaluate_options how = {.window = window, .tolerance = 2e-2f};
        encode(&text, how, expected);
        const lckv_cache_options f32 = {.kv_dtype = LCKV_DTYPE_F32};
        for (uint32_t n_threads = 1; n_threads <= 3; n_threads++) {
            lckv_cache_options options = f32;
            options.n_threads = n_threads;
            options.page_positions = 16 * n_threads;
            check_bits(&text, options, how, n_threads == 2, expected);
            options.max_rows = 2 * window + 2 * n_threads; /* two cyclic groups have room */
            check_bits(&text, options, how, n_threads != 2, expected);
        }
    }
    free(expected);
    end(&text);
}
END_TEST

/* With few rows the window is as large as they allow, and the report says so. */
START_TEST(a_window_has_no_more_tokens_than_there_is_room_for)
{
    struct text text;
    begin_golden(&text, "two-groups", LCKV_PRECISION_FULL);
    lckv_cache_release(text.cache);
    text.cache =
        make_cache(text.model, (lckv_cache_options){.kv_dtype = LCKV_DTYPE_F32, .max_rows = 11});
    float *logits = room(&text);
    const lckv_evaluate_report report =
        encode(&text, (lckv_evaluate_options){.window = 64}, logits);
    ck_assert_uint_eq(report.window, 5); /* for each of two cyclic groups */
    ck_assert_double_lt(deviation(&text, logits), 2e-2);
    free(logits);
    end(&text);
}
END_TEST

/* The options give the exact result in so many passes, and a report with this window. */
static void check_exact(struct text *text, lckv_evaluate_options options, uint64_t n_passes,
                        uint32_t window)
{
    float *logits = room(text);
    const lckv_evaluate_report report = encode(text, options, logits);
    ck_assert_mem_eq(logits, text->exact, text->n_tokens * text->n_vocab * sizeof *logits);
    ck_assert_uint_eq(report.window, window);
    ck_assert_float_eq(report.tolerance, window > 0 ? options.tolerance : 0);
    ck_assert_uint_eq(report.n_rows, text->n_tokens);
    ck_assert_uint_eq(report.n_passes, n_passes);
    ck_assert_double_gt(report.seconds, 0);
    free(logits);
}

START_TEST(a_window_of_one_token_is_exact)
{
    struct text text;
    begin_golden(&text, upward[_i], LCKV_PRECISION_FAST);
    check_exact(&text, (lckv_evaluate_options){.window = 1, .tolerance = 0.5f}, text.n_tokens, 1);
    end(&text);
}
END_TEST

/* Other plans have one pass for the whole prompt, whatever the window. */
START_TEST(plans_without_upward_layers_have_no_window)
{
    struct text text;
    begin_golden(&text, "cla2", LCKV_PRECISION_FULL);
    check_exact(&text, (lckv_evaluate_options){.window = 4, .tolerance = 0.5f}, 1, 0);
    end(&text);
}
END_TEST

START_TEST(window_and_tolerance_are_checked)
{
    static const struct {
        lckv_evaluate_options options;
        const char *message;
    } rows[] = {
        {{.prefill = LCKV_PREFILL_EXACT, .window = 2}, "belong to prefill AUTO"},
        {{.prefill = LCKV_PREFILL_ITERATED, .tolerance = 1}, "belong to prefill AUTO"},
        {{.tolerance = -1e-3f}, "tolerance is -0.001"},
        {{.tolerance = INFINITY}, "tolerance is inf"},
        {{.tolerance = NAN}, "nan"},
    };
    lckv_model *model = open_golden("lckv-w2", LCKV_PRECISION_FULL);
    lckv_cache *cache = make_f32_cache(model);
    lckv_session *session = make_session(cache);
    lckv_token tokens[4];
    fill_tokens(tokens, COUNT(tokens));
    const lckv_item item = {.session = session, .tokens = tokens, .n_tokens = 4};
    for (size_t i = 0; i < COUNT(rows); i++) {
        lckv_evaluate_options options = rows[i].options;
        options.size = sizeof options;
        ck_assert_status(lckv_evaluate(cache, &item, sizeof item, 1, &options, NULL),
                         LCKV_INVALID_ARGUMENT);
        ck_assert_error_has(rows[i].message);
    }
    ck_assert_uint_eq(length_of(session), 0);
    lckv_session_release(session);
    lckv_cache_release(cache);
    lckv_model_release(model);
}
END_TEST

static int32_t stop_later(void *user, uint64_t done, uint64_t total)
{
    ck_assert_uint_le(done, total);
    return --*(int *)user == 0;
}

START_TEST(a_cancelled_window_leaves_the_session_as_it_was)
{
    struct text text;
    begin_golden(&text, upward[_i], LCKV_PRECISION_FAST);
    lckv_cache *cache = make_cache(text.model, (lckv_cache_options){0});
    lckv_session *session = make_session(cache);
    float before[1024], after[1024];
    const size_t n_vocab = text.n_vocab;
    lckv_item first = make_item(session, text.tokens, 5, text.exact, n_vocab);
    ck_assert_ok(run(cache, &first, 1, LCKV_PREFILL_EXACT));
    const uint64_t n_free = free_pages(cache);
    for (int n_calls = 1; n_calls < 6; n_calls++) {
        int left = n_calls;
        const lckv_evaluate_options options = {
            .size = sizeof options, .window = 4, .progress = stop_later, .progress_user = &left};
        lckv_item item = {.session = session, .tokens = text.tokens + 5, .n_tokens = 20};
        ck_assert_status(lckv_evaluate(cache, &item, sizeof item, 1, &options, NULL),
                         LCKV_CANCELLED);
        ck_assert_uint_eq(length_of(session), 5);
        ck_assert_uint_eq(free_pages(cache), n_free);
    }
    lckv_item next = make_item(session, text.tokens + 5, 1, after, n_vocab);
    ck_assert_ok(run(cache, &next, 1, LCKV_PREFILL_EXACT));
    lckv_session *fresh = make_session(cache);
    lckv_item again = make_item(fresh, text.tokens, 5, text.exact, n_vocab);
    ck_assert_ok(run(cache, &again, 1, LCKV_PREFILL_EXACT));
    next = make_item(fresh, text.tokens + 5, 1, before, n_vocab);
    ck_assert_ok(run(cache, &next, 1, LCKV_PREFILL_EXACT));
    ck_assert_mem_eq(before, after, n_vocab * sizeof *before);
    lckv_session_release(fresh);
    lckv_session_release(session);
    lckv_cache_release(cache);
    end(&text);
}
END_TEST

static size_t reused(lckv_cache *cache, const lckv_token *tokens, size_t n)
{
    size_t n_reused = 0;
    lckv_session *session = make_session(cache);
    ck_assert_ok(lckv_session_reuse(session, tokens, n, &n_reused));
    lckv_session_release(session);
    return n_reused;
}

/*
 * A prefix is handed on if it is within the tolerance that the cache allows. Forks have the
 * tolerance of what they share, and a session that goes back behind the inexact tokens has none.
 */
START_TEST(reuse_knows_the_tolerance)
{
    static const struct {
        float allowed, given;
        bool is_reused;
    } rows[] = {{0, 0, true},         {0, 2e-3f, true},       {0, 4e-3f, false},
                {-1, 0, false},       {-1, 1e-6f, false},     {1e-2f, 0, true},
                {1e-2f, 1e-2f, true}, {1e-2f, 1.1e-2f, false}};
    lckv_model *model = open_golden("lckv-w2", LCKV_PRECISION_FULL);
    lckv_token tokens[40];
    fill_tokens(tokens, COUNT(tokens));
    for (size_t i = 0; i < COUNT(rows); i++) {
        lckv_cache *cache = make_cache(
            model, (lckv_cache_options){.reuse_tolerance = rows[i].allowed, .max_rows = 64});
        lckv_session *session = make_session(cache), *fork = NULL;
        lckv_item item = {.session = session, .tokens = tokens, .n_tokens = 10};
        ck_assert_ok(run(cache, &item, 1, LCKV_PREFILL_EXACT));
        const lckv_evaluate_options options = {
            .size = sizeof options, .window = 8, .tolerance = rows[i].given};
        item = (lckv_item){.session = session, .tokens = tokens + 10, .n_tokens = 30};
        ck_assert_ok(lckv_evaluate(cache, &item, sizeof item, 1, &options, NULL));
        const size_t expected = rows[i].is_reused ? 39 : 10;
        ck_assert_uint_eq(reused(cache, tokens, 40), expected);
        ck_assert_ok(lckv_session_fork(session, &fork));
        ck_assert_ok(lckv_session_truncate(session, 10));
        ck_assert_uint_eq(reused(cache, tokens, 40), expected); /* of the fork */
        lckv_session_release(fork);
        ck_assert_uint_eq(reused(cache, tokens, 40), expected); /* it is kept, if of use */
        item = (lckv_item){.session = session, .tokens = tokens + 10, .n_tokens = 30};
        ck_assert_ok(run(cache, &item, 1, LCKV_PREFILL_EXACT));
        ck_assert_uint_eq(reused(cache, tokens, 40), 39);
        lckv_session_release(session);
        lckv_cache_release(cache);
    }
    lckv_model_release(model);
}
END_TEST

/* A session that is saved and restored has its tolerance still. */
START_TEST(saved_sessions_keep_the_tolerance)
{
    lckv_model *model = open_golden("lckv-w2", LCKV_PRECISION_FULL);
    lckv_token tokens[40];
    char path[FOLDER_PATH];
    fill_tokens(tokens, COUNT(tokens));
    folder_make();
    folder_join(path, "saved");
    for (int i = 0; i < 2; i++) { /* within the default tolerance, and beyond it */
        lckv_cache *cache = make_cache(model, (lckv_cache_options){0});
        lckv_session *session = make_session(cache), *restored = NULL;
        size_t n = 0;
        const lckv_item item = {.session = session, .tokens = tokens, .n_tokens = 40};
        const lckv_evaluate_options options = {
            .size = sizeof options, .window = 8, .tolerance = i == 0 ? 2e-3f : 4e-3f};
        ck_assert_ok(lckv_evaluate(cache, &item, sizeof item, 1, &options, NULL));
        ck_assert_ok(lckv_sessions_save_file(&session, 1, path, NULL));
        lckv_session_release(session);
        lckv_cache_release(cache);
        cache = make_cache(model, (lckv_cache_options){0});
        ck_assert_ok(lckv_sessions_restore_file(cache, path, NULL, &restored, 1, &n));
        ck_assert_uint_eq(reused(cache, tokens, 40), i == 0 ? 39 : 0);
        lckv_session_release(restored);
        lckv_cache_release(cache);
    }
    folder_remove();
    lckv_model_release(model);
}
END_TEST

/* Long texts take minutes under sanitizers, and do nothing that the others do not. */
static void add_trained(Suite *suite)
{
    TCase *tcase;
    if (getenv("LCKV_TEST_SHORT") != NULL) {
        printf("skipped: prompts of trained models\n");
        return;
    }
    tcase = tcase_create("trained models");
    tcase_set_timeout(tcase, 300);
    tcase_add_test(tcase, a_trained_model_takes_the_passes_that_the_table_says);
    tcase_add_loop_test(tcase, prompts_of_a_trained_model_are_within_the_tolerance, 0, 3);
    tcase_add_test(tcase, a_window_in_vain_becomes_narrow);
    tcase_add_test(tcase, fast_prompts_are_as_near_as_rounding_lets_them);
    tcase_add_loop_test(tcase, keys_and_values_of_8_bits_come_to_rest, 0, 2);
    tcase_add_test(tcase, iterations_deviate_fifty_times_as_much);
    suite_add_tcase(suite, tcase);
}

static void add_all(Suite *suite)
{
    TCase *tcase = tcase_create("prefill");
    tcase_set_timeout(tcase, 300);
    const int n = (int)COUNT(upward);
    tcase_add_loop_test(tcase, every_window_is_within_the_tolerance, 0, n);
    tcase_add_loop_test(tcase, a_cost_tells_the_window, 0, n);
    tcase_add_loop_test(tcase, progress_comes_to_its_end, 0, 4 * n);
    tcase_add_loop_test(tcase, the_bits_depend_on_window_and_tolerance_alone, 0, 2 * n);
    tcase_add_test(tcase, a_window_has_no_more_tokens_than_there_is_room_for);
    tcase_add_loop_test(tcase, a_window_of_one_token_is_exact, 0, n);
    tcase_add_test(tcase, plans_without_upward_layers_have_no_window);
    tcase_add_test(tcase, window_and_tolerance_are_checked);
    tcase_add_loop_test(tcase, a_cancelled_window_leaves_the_session_as_it_was, 0, n);
    tcase_add_test(tcase, reuse_knows_the_tolerance);
    tcase_add_test(tcase, saved_sessions_keep_the_tolerance);
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("prefill", add_all, add_trained)
