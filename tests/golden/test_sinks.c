/*
 * Texts that go on beyond a context window with attention sinks. An independent oracle gave the
 * logits: it rotates every key that is kept anew, for its position among those kept
 * (tests/data/goldens/make_sinks.py). The tests run under the kernel set that LCKV_CPU names. Uses
 * the public header only.
 */
#include "feeding.h"

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
 * without one if that is n_windows.
 */
static void feed(const struct text *text, size_t window, struct feeding feeding, float *logits)
{
    if (window < text->n_windows) {
        feeding.context_window = (uint32_t)text->windows[window][0];
        feeding.n_sinks = (uint32_t)text->windows[window][1];
    }
    feed_tokens(text->model, feeding, text->tokens, N_TOKENS, logits);
}

/* Compares the rows of the oracle's array `name`.<window>, which `rows`.<window> lists. */
static void check_rows(const struct text *text, const char *name, size_t window,
                       const float *logits)
{
    char rows[64], expected[64];
    snprintf(rows, sizeof rows, "rows.%zu", window);
    snprintf(expected, sizeof expected, "%s.%zu", name, window);
    check_listed_rows(text->name, &text->file, rows, expected, text->n_vocab, logits);
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
