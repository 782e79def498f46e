/*
 * Caches with a context window and attention sinks: their sessions go on without end, in as many
 * pages as the planner says, and whatever is forked, cut back, reused, saved, restored or cancelled
 * on the way, their logits are those of a session that did nothing but grow. Uses the public header
 * only.
 */
#include "streams.h"

#include <math.h>
#include <stdbool.h>

#include "random.h"

#define MOST_TOKENS 400
#define MOST_VOCAB 160
#define MOST_SESSIONS 4
#define ROLLBACK 10

static const char *const models[] = {"standard-llama", "lckv-w2", "cycle3-window", "mixattention"};
static const struct {
    uint32_t context, sinks;
} windows[] = {{48, 4}, {70, 30}};

static lckv_token tokens[MOST_TOKENS];
static float exact[MOST_TOKENS * MOST_VOCAB];
static size_t n_vocab, n_long;

static lckv_cache_options endless_options(int w)
{
    return (lckv_cache_options){.n_threads = 1,
                                .page_positions = 16,
                                .max_rows = 64,
                                .rollback = ROLLBACK,
                                .context_window = windows[w].context,
                                .n_sinks = windows[w].sinks};
}

static lckv_item item_of(lckv_session *session, size_t begin, size_t end, float *logits)
{
    lckv_item item = make_item(session, tokens + begin, end - begin, logits, n_vocab);
    item.want = LCKV_WANT_LAST;
    return item;
}

/* Opens a model, and computes the logits of all tokens with a context window. */
static lckv_model *open_endless(int m, int w)
{
    n_long = getenv("LCKV_TEST_SHORT") != NULL ? 160 : MOST_TOKENS;
    fill_tokens(tokens, MOST_TOKENS);
    lckv_model *model = open_golden(models[m], LCKV_PRECISION_FULL);
    n_vocab = info_of(model).n_vocab;
    ck_assert_uint_le(n_vocab, MOST_VOCAB);
    lckv_cache_options options = endless_options(w);
    options.rollback = 64;
    lckv_cache *cache = make_cache(model, options);
    lckv_session *session = make_session(cache);
    lckv_item item = make_item(session, tokens, n_long, exact, n_vocab);
    ck_assert_ok(run(cache, &item, 1, LCKV_PREFILL_EXACT));
    lckv_session_release(session);
    lckv_cache_release(cache);
    return model;
}

static void check_logits(const float *logits, size_t length)
{
    ck_assert_msg(memcmp(logits, exact + (length - 1) * n_vocab, n_vocab * sizeof *logits) == 0,
                  "the logits of token %zu differ", length - 1);
}

static void check_tokens(lckv_session *session, uint64_t begin, uint64_t end, lckv_status expected)
{
    static lckv_token read[MOST_TOKENS];
    ck_assert_status(lckv_session_read_tokens(session, begin, end, read), expected);
    if (expected == LCKV_OK)
        ck_assert_mem_eq(read, tokens + begin, (size_t)(end - begin) * sizeof *read);
}

static uint64_t min_length_of(lckv_session *session)
{
    uint64_t length;
    ck_assert_ok(lckv_session_min_length(session, &length));
    return length;
}

/* ---- Everything at random ---- */

static int32_t cancel_late(void *user, uint64_t done, uint64_t total)
{
    (void)user;
    return done == total;
}

/* Appends some tokens. The call may find the cache full or be cancelled: then nothing changes. */
static void append(lckv_cache *cache, lckv_session *session)
{
    float logits[MOST_VOCAB];
    const size_t length = (size_t)length_of(session);
    size_t end = length + 1 + random_bits() % (random_bits() % 4 == 0 ? 90 : 5);
    end = end < n_long ? end : n_long;
    if (end == length)
        return;
    lckv_evaluate_options options = {.size = sizeof options, .window = 1};
    if (random_bits() % 5 == 0)
        options.progress = cancel_late;
    const uint64_t n_free = free_pages(cache), least = min_length_of(session);
    const lckv_item item = item_of(session, length, end, logits);
    lckv_status status = lckv_evaluate(cache, &item, sizeof item, 1, &options, NULL);
    if (status == LCKV_OK) {
        check_logits(logits, end);
        check_tokens(session, end - 1, end, LCKV_OK);
        return;
    }
    ck_assert(status == LCKV_CACHE_FULL || status == LCKV_CANCELLED);
    ck_assert_uint_eq(length_of(session), length);
    ck_assert_uint_eq(min_length_of(session), least);
    ck_assert(status == LCKV_CACHE_FULL || free_pages(cache) == n_free);
}

static void cut(lckv_session *session)
{
    const uint64_t length = length_of(session), least = min_length_of(session);
    if (random_bits() % 10 == 0)
        ck_assert_ok(lckv_session_truncate(session, 0));
    else
        ck_assert_ok(lckv_session_truncate(session, least + random_bits() % (length - least + 1)));
    if (least > 1 && length_of(session) > 0)
        ck_assert_status(lckv_session_truncate(session, least - 1), LCKV_OUT_OF_WINDOW);
}

/* Sets session s anew: it begins empty, with what the cache still holds, or as another's fork. */
static void begin_anew(lckv_cache *cache, lckv_session **sessions, size_t s)
{
    size_t n_reused, from = random_bits() % MOST_SESSIONS;
    lckv_session_release(sessions[s]);
    if (from != s && random_bits() % 2 == 0) {
        ck_assert_ok(lckv_session_fork(sessions[from], &sessions[s]));
        ck_assert_uint_eq(length_of(sessions[s]), length_of(sessions[from]));
        return;
    }
    sessions[s] = make_session(cache);
    const size_t n = random_bits() % n_long;
    ck_assert_ok(lckv_session_reuse(sessions[s], tokens, n, &n_reused));
    ck_assert_uint_eq(length_of(sessions[s]), n_reused);
    ck_assert_uint_le(n_reused, n > 0 ? n - 1 : 0);
}

/* Puts a restored session in the place of the one that was saved, if there is room for both. */
static void save_and_restore(lckv_cache *cache, lckv_session **session)
{
    lckv_session *restored = NULL;
    const uint64_t length = length_of(*session), least = min_length_of(*session);
    const uint64_t n_free = free_pages(cache);
    size_t n = 0;
    struct bytes bytes = save(session, 1);
    lckv_status status = restore_some(cache, &bytes, &restored, 1, &n);
    free(bytes.data);
    if (status != LCKV_OK) {
        ck_assert_status(status, LCKV_CACHE_FULL);
        ck_assert_uint_eq(free_pages(cache), n_free);
        return;
    }
    ck_assert_uint_eq(length_of(restored), length);
    ck_assert_uint_eq(min_length_of(restored), least);
    lckv_session_release(*session);
    *session = restored;
}

/* _i: model and windows. */
START_TEST(whatever_a_session_did_its_logits_are_the_same)
{
    const int w = _i % (int)COUNT(windows);
    lckv_model *model = open_endless(_i / (int)COUNT(windows), w);
    lckv_cache_options options = endless_options(w);
    options.n_tokens = 500; /* too few pages for four sessions, unless they share some */
    options.max_sessions = MOST_SESSIONS + 1; /* one that is restored beside the others */
    lckv_cache *cache = make_cache(model, options);
    lckv_session *sessions[MOST_SESSIONS];
    for (size_t s = 0; s < MOST_SESSIONS; s++)
        sessions[s] = make_session(cache);
    random_seed = (uint64_t)_i;
    for (int round = 0; round < (n_long < MOST_TOKENS ? 60 : 600); round++) {
        const size_t s = random_bits() % MOST_SESSIONS;
        const uint64_t what = random_bits() % 9;
        if (what < 6)
            append(cache, sessions[s]);
        else if (what == 6)
            cut(sessions[s]);
        else if (what == 7)
            save_and_restore(cache, &sessions[s]);
        else
            begin_anew(cache, sessions, s);
    }
    if (n_long == MOST_TOKENS) /* 60 rounds may do without */
        ck_assert_uint_gt(stats_of(cache).n_reuses, 0);
    for (size_t s = 0; s < MOST_SESSIONS; s++)
        lckv_session_release(sessions[s]);
    ck_assert_uint_eq(free_pages(cache), stats_of(cache).n_pages);
    lckv_cache_release(cache);
    lckv_model_release(model);
}
END_TEST

/* ---- Memory ---- */

static uint64_t planned_pages(const lckv_model *model, int w, uint64_t context, lckv_cache *cache)
{
    const lckv_model_info info = info_of(model);
    const lckv_cache_stats stats = stats_of(cache);
    const lckv_memory_request request = {.size = sizeof request,
                                         .plan = lckv_model_plan(model),
                                         .n_kv_heads = info.n_kv_heads,
                                         .head_dim = info.head_dim,
                                         .sliding_window = info.sliding_window,
                                         .rollback = stats.rollback,
                                         .page_positions = stats.page_positions,
                                         .context = context,
                                         .context_window = windows[w].context,
                                         .n_sinks = windows[w].sinks};
    lckv_memory_report report = {.size = sizeof report};
    ck_assert_ok(lckv_memory_estimate(&request, &report));
    ck_assert_uint_eq(report.bytes_per_session % stats.page_bytes, 0);
    return report.bytes_per_session / stats.page_bytes;
}

/* _i: model and windows. */
START_TEST(a_session_takes_as_many_pages_as_the_planner_says)
{
    const int w = _i % (int)COUNT(windows);
    lckv_model *model = open_endless(_i / (int)COUNT(windows), w);
    lckv_cache_options options = endless_options(w);
    options.size = sizeof options;
    options.max_sessions = 1;
    lckv_cache_estimate_report estimate = {.size = sizeof estimate};
    ck_assert_ok(lckv_cache_estimate(model, &options, n_long, &estimate));
    lckv_cache *cache = make_cache(model, options);
    lckv_session *session = make_session(cache);
    float logits[MOST_VOCAB];
    const uint64_t n_pages = stats_of(cache).n_pages;
    uint64_t most = 0;
    for (size_t t = 0; t < n_long; t++) {
        const uint64_t held = n_pages - free_pages(cache);
        lckv_evaluate_report report = {.size = sizeof report};
        const lckv_item item = item_of(session, t, t + 1, logits);
        ck_assert_ok(lckv_evaluate(cache, &item, sizeof item, 1, NULL, &report));
        most = held + report.pages_needed > most ? held + report.pages_needed : most;
        ck_assert_uint_le(most, planned_pages(model, w, t + 1, cache));
    }
    ck_assert_uint_eq(most, planned_pages(model, w, n_long, cache));
    ck_assert_uint_eq(most, planned_pages(model, w, UINT64_MAX, cache)); /* for ever */
    ck_assert_uint_eq(stats_of(cache).table_bytes, estimate.table_bytes);
    ck_assert_uint_eq(stats_of(cache).scratch_bytes, estimate.scratch_bytes);
    ck_assert_uint_eq(n_pages, estimate.n_pages);
    lckv_session_release(session);
    lckv_cache_release(cache);
    lckv_model_release(model);
}
END_TEST

/*
 * Sessions in a budget that pays for the planner's pages and not for one more session go on for
 * ever, tables included. _i: model and windows.
 */
START_TEST(sessions_that_the_planner_lets_in_never_end)
{
    enum { N = 3 };
    const int w = _i % (int)COUNT(windows);
    lckv_model *model = open_endless(_i / (int)COUNT(windows), w);
    lckv_cache_options options = endless_options(w);
    options.max_sessions = N;
    lckv_cache *cache = make_cache(model, options);
    const uint64_t a_session = planned_pages(model, w, UINT64_MAX, cache), needed = N * a_session;
    options.budget_bytes = stats_of(cache).scratch_bytes;
    do {
        lckv_cache_release(cache);
        options.budget_bytes += 256;
        ck_assert_uint_lt(options.budget_bytes, (uint64_t)1 << 30);
        options.size = sizeof options;
        if (lckv_cache_create(model, &options, &cache) != LCKV_OK)
            cache = NULL;
    } while (cache == NULL || stats_of(cache).n_pages < needed);
    ck_assert_uint_lt(stats_of(cache).n_pages, needed + a_session);
    lckv_item items[N];
    float logits[N][MOST_VOCAB];
    for (size_t s = 0; s < N; s++)
        items[s].session = make_session(cache);
    for (size_t t = 0; t < n_long; t++) {
        for (size_t s = 0; s < N; s++)
            items[s] = item_of(items[s].session, t, t + 1, logits[s]);
        lckv_status status = run(cache, items, N, LCKV_PREFILL_AUTO);
        ck_assert_msg(status == LCKV_OK, "token %zu: %s", t, lckv_last_error());
        for (size_t s = 0; s < N; s++)
            check_logits(logits[s], t + 1);
        const lckv_cache_stats stats = stats_of(cache);
        ck_assert_uint_le(stats.page_bytes_total + stats.scratch_bytes + stats.table_bytes,
                          options.budget_bytes);
    }
    for (size_t s = 0; s < N; s++)
        lckv_session_release(items[s].session);
    lckv_cache_release(cache);
    lckv_model_release(model);
}
END_TEST

/* Memory is the same after some thousand tokens as after a few hundred. _i: model. */
START_TEST(thousands_of_tokens_take_no_more_memory_than_hundreds)
{
    lckv_model *model = open_endless(_i, 0);
    lckv_cache *cache = make_cache(model, endless_options(0));
    lckv_session *session = make_session(cache);
    float logits[MOST_VOCAB];
    const size_t n = n_long < MOST_TOKENS ? 600 : 5000;
    uint64_t pages = 0, tables = 0;
    lckv_token token = 5;
    for (size_t t = 0; t < n; t++) {
        lckv_item item = make_item(session, &token, 1, logits, n_vocab);
        ck_assert_ok(run(cache, &item, 1, LCKV_PREFILL_AUTO));
        for (size_t v = 0; v < n_vocab; v++)
            if (!isfinite(logits[v]))
                ck_abort_msg("token %zu: logit %zu is not finite", t, v);
        token = (lckv_token)((most_likely(logits, n_vocab) + t * t) % n_vocab);
        const lckv_cache_stats stats = stats_of(cache);
        const uint64_t in_use = stats.n_pages - stats.n_pages_free;
        if (t < 300) {
            pages = in_use > pages ? in_use : pages;
            tables = stats.table_bytes > tables ? stats.table_bytes : tables;
        }
        if (in_use > pages || stats.table_bytes > tables)
            ck_abort_msg("token %zu: %llu pages and %llu bytes of tables", t,
                         (unsigned long long)in_use, (unsigned long long)stats.table_bytes);
    }
    ck_assert_uint_eq(length_of(session), n);
    lckv_session_release(session);
    lckv_cache_release(cache);
    lckv_model_release(model);
}
END_TEST

/* ---- What is forgotten ---- */

START_TEST(what_is_kept_can_be_read_and_the_rest_is_gone)
{
    static float keys[MOST_TOKENS * 4 * 16];
    static lckv_token held[MOST_TOKENS];
    size_t n_held = 0;
    lckv_model *model = open_endless(0, 0);
    lckv_cache *cache = make_cache(model, endless_options(0));
    lckv_session *session = make_session(cache);
    const size_t full = windows[0].context + ROLLBACK;
    lckv_item item = item_of(session, 0, full, NULL);
    item.want = LCKV_WANT_NOTHING;
    ck_assert_ok(run(cache, &item, 1, LCKV_PREFILL_AUTO));
    ck_assert_uint_eq(min_length_of(session), 0); /* nothing yet */
    ck_assert_ok(lckv_session_tokens(session, held, MOST_TOKENS, &n_held));
    ck_assert_uint_eq(n_held, full);
    item = item_of(session, full, 150, NULL);
    item.want = LCKV_WANT_NOTHING;
    ck_assert_ok(run(cache, &item, 1, LCKV_PREFILL_AUTO));
    ck_assert_uint_eq(min_length_of(session), 150 - ROLLBACK);
    ck_assert_status(lckv_session_tokens(session, held, MOST_TOKENS, &n_held), LCKV_OUT_OF_WINDOW);
    ck_assert_error_has("has forgotten");
    ck_assert_uint_eq(n_held, full);
    const uint64_t kept = 150 - ROLLBACK - (windows[0].context - windows[0].sinks);
    check_tokens(session, 0, windows[0].sinks, LCKV_OK);
    check_tokens(session, 1, windows[0].sinks - 1, LCKV_OK);
    check_tokens(session, kept, 150, LCKV_OK);
    check_tokens(session, 149, 150, LCKV_OK);
    check_tokens(session, 50, 50, LCKV_OK);
    check_tokens(session, kept - 1, 150, LCKV_OUT_OF_WINDOW);
    ck_assert_error_has("has the first 4 tokens and those from 96 on; asked for 95 to 150");
    check_tokens(session, 0, windows[0].sinks + 1, LCKV_OUT_OF_WINDOW);
    check_tokens(session, 0, 150, LCKV_OUT_OF_WINDOW);
    check_tokens(session, 140, 151, LCKV_INVALID_ARGUMENT);
    check_tokens(session, 141, 140, LCKV_INVALID_ARGUMENT);
    ck_assert_ok(lckv_session_read_kv(session, 2, 0, windows[0].sinks, keys, NULL));
    ck_assert_ok(lckv_session_read_kv(session, 2, kept, 150, keys, NULL));
    ck_assert_ok(lckv_session_read_kv(session, 2, 50, 50, keys, NULL));
    ck_assert_status(lckv_session_read_kv(session, 2, kept - 1, 150, keys, NULL),
                     LCKV_OUT_OF_WINDOW);
    ck_assert_status(lckv_session_read_kv(session, 2, 0, windows[0].sinks + 1, keys, NULL),
                     LCKV_OUT_OF_WINDOW);
    ck_assert_status(lckv_session_read_kv(session, 2, 0, 150, keys, NULL), LCKV_OUT_OF_WINDOW);
    item = item_of(session, 150, 160, NULL); /* now the table of tokens gets shorter, too */
    item.want = LCKV_WANT_NOTHING;
    ck_assert_ok(run(cache, &item, 1, LCKV_PREFILL_AUTO));
    check_tokens(session, 0, windows[0].sinks, LCKV_OK);
    check_tokens(session, 1, windows[0].sinks - 1, LCKV_OK);
    check_tokens(session, kept + 10, 160, LCKV_OK);
    ck_assert_ok(lckv_session_truncate(session, 0)); /* and all is as in the beginning */
    ck_assert_uint_eq(min_length_of(session), 0);
    item = item_of(session, 0, 20, NULL);
    item.want = LCKV_WANT_NOTHING;
    ck_assert_ok(run(cache, &item, 1, LCKV_PREFILL_AUTO));
    ck_assert_ok(lckv_session_tokens(session, held, MOST_TOKENS, &n_held));
    ck_assert_uint_eq(n_held, 20);
    lckv_session_release(session);
    lckv_cache_release(cache);
    lckv_model_release(model);
}
END_TEST

/* Windowed slots drop positions first. Those that the others then need begin among the sinks. */
START_TEST(a_slot_that_has_dropped_nothing_is_read_whole)
{
    static float keys[MOST_TOKENS * 4 * 16];
    lckv_model *model = open_endless(3, 1);
    lckv_cache *cache = make_cache(model, endless_options(1));
    lckv_session *session = make_session(cache);
    lckv_item item = item_of(session, 0, 60, NULL);
    item.want = LCKV_WANT_NOTHING;
    ck_assert_ok(run(cache, &item, 1, LCKV_PREFILL_AUTO));
    const uint64_t least = min_length_of(session);
    ck_assert_uint_eq(least, 60 - ROLLBACK);
    ck_assert_uint_le(least - (windows[1].context - windows[1].sinks), windows[1].sinks);
    ck_assert_ok(lckv_session_read_kv(session, 0, 0, 60, keys, NULL));
    ck_assert_status(lckv_session_read_kv(session, 1, 0, 60, keys, NULL), LCKV_OUT_OF_WINDOW);
    check_tokens(session, 0, 60, LCKV_OK);
    lckv_session_release(session);
    lckv_cache_release(cache);
    lckv_model_release(model);
}
END_TEST

/* A session that has forgotten tokens cannot be compared, so it is no beginning of another. */
START_TEST(only_a_session_that_has_forgotten_nothing_is_reused)
{
    lckv_model *model = open_endless(0, 0);
    lckv_cache *cache = make_cache(model, endless_options(0));
    for (int round = 0; round < 2; round++) {
        lckv_session *session = make_session(cache), *other = make_session(cache);
        const size_t n = windows[0].context + ROLLBACK + (round == 0 ? 1 : 0);
        size_t n_reused = 99;
        lckv_item item = item_of(session, 0, n, NULL);
        item.want = LCKV_WANT_NOTHING;
        ck_assert_ok(run(cache, &item, 1, LCKV_PREFILL_AUTO));
        if (round == 1)
            lckv_session_release(session);
        ck_assert_ok(lckv_session_reuse(other, tokens, n_long, &n_reused));
        ck_assert_uint_eq(n_reused, round == 0 ? 0 : n);
        if (round == 0)
            lckv_session_release(session);
        lckv_session_release(other);
    }
    lckv_cache_release(cache);
    lckv_model_release(model);
}
END_TEST

/* ---- Threads and batches ---- */

/*
 * A window of several segments, so that threads share one query's context and merge what they find.
 * _i: model.
 */
START_TEST(logits_do_not_depend_on_threads_and_batches)
{
    enum { N = 3 };
    static lckv_token text[3000];
    static float alone[MOST_VOCAB], together[N][MOST_VOCAB];
    const size_t lengths[N] = {2990, 1700, 40};
    if (getenv("LCKV_TEST_SHORT") != NULL)
        return;
    lckv_model *model = open_endless(_i, 0);
    fill_tokens(text, COUNT(text));
    lckv_cache_options options = {.n_tokens = 3 * 4096, .n_threads = 1, .context_window = 1600};
    lckv_cache *cache = make_cache(model, options);
    options.n_threads = 3;
    lckv_cache *threads = make_cache(model, options);
    lckv_item items[N];
    for (size_t s = 0; s < N; s++) {
        items[s] = make_item(make_session(threads), text, lengths[s], together[s], n_vocab);
        items[s].want = LCKV_WANT_LAST;
        ck_assert_ok(run(threads, &items[s], 1, LCKV_PREFILL_AUTO));
        items[s].tokens = text + lengths[s];
        items[s].n_tokens = 1;
    }
    ck_assert_ok(run(threads, items, N, LCKV_PREFILL_AUTO));
    for (size_t s = 0; s < N; s++) {
        lckv_item item = make_item(make_session(cache), text, lengths[s] + 1, alone, n_vocab);
        item.want = LCKV_WANT_LAST;
        ck_assert_ok(run(cache, &item, 1, LCKV_PREFILL_AUTO));
        ck_assert(memcmp(alone, together[s], n_vocab * sizeof *alone) == 0);
        lckv_session_release(item.session);
        lckv_session_release(items[s].session);
    }
    lckv_cache_release(cache);
    lckv_cache_release(threads);
    lckv_model_release(model);
}
END_TEST

/* ---- Options ---- */

START_TEST(windows_are_checked_and_told)
{
    lckv_model *model = open_golden(models[0], LCKV_PRECISION_FULL);
    lckv_cache_options options = {.size = sizeof options, .context_window = 100};
    lckv_cache *cache = make_cache(model, options);
    ck_assert_uint_eq(stats_of(cache).context_window, 100);
    ck_assert_uint_eq(stats_of(cache).n_sinks, 4);
    lckv_cache_release(cache);
    options.n_sinks = 100;
    ck_assert_status(lckv_cache_create(model, &options, &cache), LCKV_INVALID_ARGUMENT);
    ck_assert_error_has("n_sinks is 100; with a context_window of 100 expected at most 99");
    options = (lckv_cache_options){.size = sizeof options, .n_sinks = 4};
    ck_assert_status(lckv_cache_create(model, &options, &cache), LCKV_INVALID_ARGUMENT);
    ck_assert_error_has("n_sinks is 4, but there is no context_window");
    lckv_memory_report report = {.size = sizeof report};
    const lckv_memory_request request = {.size = sizeof request,
                                         .plan = lckv_model_plan(model),
                                         .n_kv_heads = 1,
                                         .head_dim = 64,
                                         .context_window = 1};
    ck_assert_status(lckv_memory_estimate(&request, &report), LCKV_INVALID_ARGUMENT);
    ck_assert_error_has("context_window is 1");
    lckv_model_release(model);
}
END_TEST

static void add_all(Suite *suite)
{
    const int n_models = (int)COUNT(models), n_all = n_models * (int)COUNT(windows);
    TCase *tcase = tcase_create("endless");
    tcase_set_timeout(tcase, 300);
    tcase_add_loop_test(tcase, whatever_a_session_did_its_logits_are_the_same, 0, n_all);
    tcase_add_loop_test(tcase, a_session_takes_as_many_pages_as_the_planner_says, 0, n_all);
    tcase_add_loop_test(tcase, sessions_that_the_planner_lets_in_never_end, 0, n_all);
    tcase_add_loop_test(tcase, thousands_of_tokens_take_no_more_memory_than_hundreds, 0, n_models);
    tcase_add_test(tcase, what_is_kept_can_be_read_and_the_rest_is_gone);
    tcase_add_test(tcase, a_slot_that_has_dropped_nothing_is_read_whole);
    tcase_add_test(tcase, only_a_session_that_has_forgotten_nothing_is_reused);
    tcase_add_loop_test(tcase, logits_do_not_depend_on_threads_and_batches, 0, n_models);
    tcase_add_test(tcase, windows_are_checked_and_told);
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("endless", add_all)
