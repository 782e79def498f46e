/*
 * Texts that go on beyond a context window with attention sinks. An independent oracle gave the
 * logits: it rotates every key that is kept anew, for its position among those kept
 * (tests/data/goldens/make_sinks.py). The tests run under the kernel set that LCKV_CPU names. Uses
 * the public header only.
 */
#include "safetensors.h"
#include "sessions.h"

#include <math.h>
#include <stdio.h>

#define TOLERANCE 5e-4
#define N_TOKENS 160
#define MOST_VOCAB 160

static const char *const fixtures[] = {"standard-llama", "lckv-w2",      "sandwich-middle",
                                       "cycle3-window",  "mixattention", "yoco-windows"};
#define N_FIXTURES ((int)(sizeof fixtures / sizeof fixtures[0]))

struct text {
    const char *name;
    struct safetensors file;
    const lckv_token *tokens;
    const int32_t (*windows)[2]; /* pairs of context_window and n_sinks */
    size_t n_windows, n_vocab;
    lckv_model *model;
};

/* How the text is fed, in calls of `chunk` tokens. */
struct feeding {
    size_t chunk;
    lckv_prefill prefill;
    uint32_t page_positions, rollback, max_rows, n_threads; /* 0: the default */
};

static struct text open_text(int i, lckv_precision precision)
{
    struct text text = {.name = fixtures[i], .model = open_golden(fixtures[i], precision)};
    char path[256];
    text.n_vocab = info_of(text.model).n_vocab;
    ck_assert_uint_le(text.n_vocab, MOST_VOCAB);
    snprintf(path, sizeof path, "tests/data/goldens/%s/sinks.safetensors", fixtures[i]);
    safetensors_open(&text.file, path);
    ck_assert_uint_eq(safetensors_find(&text.file, "tokens")->n_elements, N_TOKENS);
    text.tokens = safetensors_find(&text.file, "tokens")->data;
    text.windows = safetensors_find(&text.file, "windows")->data;
    text.n_windows = safetensors_find(&text.file, "windows")->n_elements / 2;
    ck_assert_uint_ge(text.n_windows, 4);
    return text;
}

static void close_text(struct text *text)
{
    safetensors_close(&text->file);
    lckv_model_release(text->model);
}

/*
 * Computes the logits of all tokens, [N_TOKENS, n_vocab], in context window number `window`, or
 * without one if that is n_windows. The cache has room for no more than the text.
 */
static void feed(const struct text *text, size_t window, struct feeding feeding, float *logits)
{
    lckv_cache_options cache_options = {.n_tokens = N_TOKENS,
                                        .max_sessions = 1,
                                        .kv_dtype = LCKV_DTYPE_F32,
                                        .page_positions = feeding.page_positions,
                                        .n_threads = feeding.n_threads,
                                        .max_rows = feeding.max_rows,
                                        .rollback = feeding.rollback};
    if (window < text->n_windows) {
        cache_options.context_window = (uint32_t)text->windows[window][0];
        cache_options.n_sinks = (uint32_t)text->windows[window][1];
    }
    lckv_evaluate_options options = {.size = sizeof options, .prefill = feeding.prefill};
    if (feeding.prefill == LCKV_PREFILL_ITERATED)
        options.forward_passes = 3, options.backward_passes = 2;
    lckv_cache *cache = make_cache(text->model, cache_options);
    lckv_session *session = make_session(cache);
    for (size_t at = 0; at < N_TOKENS; at += feeding.chunk) {
        size_t n = at + feeding.chunk < N_TOKENS ? feeding.chunk : N_TOKENS - at;
        lckv_item item =
            make_item(session, text->tokens + at, n, logits + at * text->n_vocab, text->n_vocab);
        ck_assert_ok(lckv_evaluate(cache, &item, sizeof item, 1, &options, NULL));
    }
    lckv_session_release(session);
    lckv_cache_release(cache);
}

/* Compares the rows of the oracle's array `name`.<window>, which `rows`.<window> lists. */
static void check_rows(const struct text *text, const char *name, size_t window,
                       const float *logits)
{
    char array[64];
    snprintf(array, sizeof array, "rows.%zu", window);
    const struct safetensors_array *rows = safetensors_find(&text->file, array);
    snprintf(array, sizeof array, "%s.%zu", name, window);
    const struct safetensors_array *expected = safetensors_find(&text->file, array);
    ck_assert_uint_eq(expected->n_elements, rows->n_elements * text->n_vocab);
    for (size_t i = 0; i < rows->n_elements; i++) {
        size_t row = (size_t)((const int32_t *)rows->data)[i];
        const float *ours = logits + row * text->n_vocab;
        const float *theirs = (const float *)expected->data + i * text->n_vocab;
        for (size_t v = 0; v < text->n_vocab; v++)
            if (!(fabs((double)ours[v] - theirs[v]) < TOLERANCE))
                ck_abort_msg("%s: %s: token %zu, logit %zu is %g, expected %g", text->name, array,
                             row, v, (double)ours[v], (double)theirs[v]);
    }
}

static float first[N_TOKENS * MOST_VOCAB], again[N_TOKENS * MOST_VOCAB];

START_TEST(texts_beyond_the_context_window_agree_with_the_oracle)
{
    static const size_t chunks[] = {N_TOKENS, 60, 1};
    struct text text = open_text(_i, LCKV_PRECISION_FULL);
    for (size_t w = 0; w < text.n_windows; w++) {
        for (size_t c = 0; c < COUNT(chunks); c++) {
            feed(&text, w, (struct feeding){.chunk = chunks[c], .n_threads = 2}, first);
            check_rows(&text, "logits_exact", w, first);
        }
    }
    close_text(&text);
}
END_TEST

START_TEST(two_iterated_calls_agree_with_the_oracle)
{
    struct text text = open_text(_i, LCKV_PRECISION_FULL);
    const bool upward = plan_info_of(text.model).n_upward > 0;
    for (size_t w = 0; w < text.n_windows; w++) {
        struct feeding feeding = {
            .chunk = (size_t)text.file.split, .prefill = LCKV_PREFILL_ITERATED, .n_threads = 2};
        feed(&text, w, feeding, first);
        check_rows(&text, upward ? "logits_split_m3b2" : "logits_exact", w, first);
    }
    close_text(&text);
}
END_TEST

/* _i: fixture and precision. */
START_TEST(logits_are_bitwise_the_same_however_a_text_is_split)
{
    static const struct feeding feedings[] = {
        {.chunk = 1, .prefill = LCKV_PREFILL_AUTO, .n_threads = 2},
        {.chunk = 7, .prefill = LCKV_PREFILL_AUTO, .n_threads = 2, .rollback = 1},
        {.chunk = 33, .prefill = LCKV_PREFILL_EXACT, .page_positions = 16, .rollback = 1},
        {.chunk = 100, .prefill = LCKV_PREFILL_AUTO, .page_positions = 16, .rollback = 1},
        {.chunk = 130, .prefill = LCKV_PREFILL_AUTO, .max_rows = 40, .n_threads = 3},
        {.chunk = N_TOKENS, .prefill = LCKV_PREFILL_AUTO, .page_positions = 32},
    };
    struct text text =
        open_text(_i % N_FIXTURES, _i < N_FIXTURES ? LCKV_PRECISION_FULL : LCKV_PRECISION_FAST);
    for (size_t w = 0; w < text.n_windows; w++) {
        feed(&text, w, (struct feeding){.chunk = N_TOKENS, .prefill = LCKV_PREFILL_EXACT}, first);
        for (size_t f = 0; f < COUNT(feedings); f++) {
            feed(&text, w, feedings[f], again);
            ck_assert_msg(memcmp(first, again, N_TOKENS * text.n_vocab * sizeof *first) == 0,
                          "%s: window %zu: calls of %zu tokens differ", text.name, w,
                          feedings[f].chunk);
        }
        /* Until the context window is full, there is no difference from an ordinary session. */
        size_t n_before = (size_t)text.windows[w][0] * text.n_vocab;
        feed(&text, text.n_windows, (struct feeding){.chunk = N_TOKENS}, again);
        ck_assert(memcmp(first, again, n_before * sizeof *first) == 0);
        ck_assert(memcmp(first + n_before, again + n_before, text.n_vocab * sizeof *first) != 0);
    }
    close_text(&text);
}
END_TEST

static void add_all(Suite *suite)
{
    TCase *tcase = tcase_create("sinks");
    tcase_set_timeout(tcase, 300);
    tcase_add_loop_test(tcase, texts_beyond_the_context_window_agree_with_the_oracle, 0,
                        N_FIXTURES);
    tcase_add_loop_test(tcase, two_iterated_calls_agree_with_the_oracle, 0, N_FIXTURES);
    tcase_add_loop_test(tcase, logits_are_bitwise_the_same_however_a_text_is_split, 0,
                        2 * N_FIXTURES);
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("sinks", add_all)
