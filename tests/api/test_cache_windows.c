/*
 * Models with sliding windows in caches that have just the room they were asked for: whatever the
 * calls, the tokens that a cache was made for fit, and the sessions that the planner lets into a
 * budget can go on. On the public header only.
 */
#include "support.h"

#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#define MOST_TOKENS 330
#define MOST_VOCAB 160
#define MOST_ROWS 256 /* of one iterated item */

static const char *const models[] = {"tests/data/goldens/yoco-windows",
                                     "tests/data/goldens/mixattention",
                                     "tests/data/goldens/cycle3-window"};
static const size_t lengths[] = {65, 130, 200, MOST_TOKENS};
static const size_t chunks[] = {1, 7, 16, 33, 50, 64, 70, 100, 150, MOST_TOKENS};
#define N_CHUNKS (sizeof chunks / sizeof chunks[0])

static lckv_token tokens[MOST_TOKENS];
static size_t n_vocab;

static lckv_model *open_model(const char *path, uint32_t sliding_window)
{
    lckv_model_options options = {.size = sizeof options,
                                  .precision = LCKV_PRECISION_FULL,
                                  .gemm = LCKV_GEMM_OWN,
                                  .sliding_window = sliding_window};
    lckv_model *model;
    lckv_model_info info = {.size = sizeof info};
    ck_assert_ok(lckv_model_open(path, &options, &model));
    ck_assert_ok(lckv_model_get_info(model, &info));
    n_vocab = info.n_vocab;
    ck_assert_uint_le(n_vocab, MOST_VOCAB);
    for (int i = 0; i < MOST_TOKENS; i++)
        tokens[i] = (i * 37 + 11) % 131;
    return model;
}

static lckv_cache *make_cache(const lckv_model *model, lckv_cache_options options)
{
    lckv_cache *cache;
    options.size = sizeof options;
    options.n_threads = 1;
    ck_assert_ok(lckv_cache_create(model, &options, &cache));
    return cache;
}

static lckv_session *make_session(lckv_cache *cache)
{
    lckv_session *session;
    ck_assert_ok(lckv_session_create(cache, &session));
    return session;
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Appends tokens [begin, end) and wants the last one's logits. */
static lckv_item item_of(lckv_session *session, size_t begin, size_t end, float *logits)
{
    lckv_item item = {.session = session,
                      .tokens = tokens + begin,
                      .n_tokens = end - begin,
                      .want = LCKV_WANT_LAST,
                      .logits = logits,
                      .logits_capacity = n_vocab};
    return item;
}

static lckv_status run(lckv_cache *cache, const lckv_item *items, size_t n, lckv_prefill prefill)
{
    lckv_evaluate_options options = {.size = sizeof options, .prefill = prefill};
    return lckv_evaluate(cache, items, sizeof *items, n, &options, NULL);
}

/* The exact logits of all tokens, [MOST_TOKENS, n_vocab], from a cache with plenty of room. */
static void exact_logits(const lckv_model *model, float *logits)
{
    lckv_cache *cache = make_cache(model, (lckv_cache_options){.n_tokens = 8192});
    lckv_session *session = make_session(cache);
    lckv_item item = item_of(session, 0, MOST_TOKENS, logits);
    item.want = LCKV_WANT_ALL;
    item.logits_capacity = MOST_TOKENS * n_vocab;
    ck_assert_ok(run(cache, &item, 1, LCKV_PREFILL_EXACT));
    lckv_session_release(session);
    lckv_cache_release(cache);
}

static float exact[MOST_TOKENS * MOST_VOCAB];

/* One session takes all the room, in calls of `chunk`; a roomy cache must give the same logits. */
static void fill(const lckv_model *model, size_t length, size_t chunk, lckv_prefill prefill)
{
    float ours[MOST_VOCAB], theirs[MOST_VOCAB];
    lckv_cache *tight =
        make_cache(model, (lckv_cache_options){.n_tokens = length, .max_sessions = 1});
    lckv_cache *roomy = make_cache(model, (lckv_cache_options){.n_tokens = 8192});
    lckv_session *session = make_session(tight), *other = make_session(roomy);
    bool iterated = prefill == LCKV_PREFILL_ITERATED;
    chunk = iterated ? smaller(chunk, MOST_ROWS) : chunk;
    for (size_t at = 0, end; at < length; at = end) {
        end = smaller(at + chunk, length);
        lckv_item item = item_of(session, at, end, ours);
        lckv_status status = run(tight, &item, 1, prefill);
        ck_assert_msg(status == LCKV_OK, "%zu tokens in calls of %zu, prefill %d: at %zu: %s",
                      length, chunk, (int)prefill, at, lckv_last_error());
        const float *expected = exact + (end - 1) * n_vocab;
        if (iterated) { /* depends on the split */
            item = item_of(other, at, end, theirs);
            ck_assert_ok(run(roomy, &item, 1, prefill));
            expected = theirs;
        }
        ck_assert_msg(memcmp(ours, expected, n_vocab * sizeof *ours) == 0,
                      "%zu tokens in calls of %zu, prefill %d: logits before %zu differ", length,
                      chunk, (int)prefill, end);
    }
    lckv_session_release(session);
    lckv_session_release(other);
    lckv_cache_release(tight);
    lckv_cache_release(roomy);
}

/* _i: model and length. */
START_TEST(a_session_of_all_the_tokens_fits_in_any_calls)
{
    lckv_model *model = open_model(models[_i % 3], 0);
    exact_logits(model, exact);
    bool few = getenv("LCKV_TEST_SHORT") != NULL;
    for (size_t c = 0; c < N_CHUNKS; c += few ? 3 : 1) {
        fill(model, lengths[_i / 3], chunks[c], LCKV_PREFILL_AUTO);
        if (!few || c == 6)
            fill(model, lengths[_i / 3], chunks[c], LCKV_PREFILL_EXACT);
        fill(model, lengths[_i / 3], chunks[c], LCKV_PREFILL_ITERATED);
    }
    lckv_model_release(model);
}
END_TEST

/* Three sessions share the room and grow in turn: several of them in a call if its rows allow. */
static void share(const lckv_model *model, lckv_cache_options options, size_t chunk,
                  lckv_prefill prefill)
{
    enum { N = 3 };
    const size_t length = (size_t)options.n_tokens / N, max_rows = options.max_rows;
    const size_t together = chunk == 1 || N * chunk <= max_rows ? N : 1;
    float logits[N][MOST_VOCAB];
    options.max_sessions = N;
    lckv_cache *cache = make_cache(model, options);
    lckv_session *sessions[N];
    for (int s = 0; s < N; s++)
        sessions[s] = make_session(cache);
    for (size_t at = 0, end; at < length; at = end) {
        end = smaller(at + chunk, length);
        for (size_t s = 0; s < N; s += together) {
            lckv_item items[N];
            for (size_t i = 0; i < together; i++)
                items[i] = item_of(sessions[s + i], at, end, logits[s + i]);
            lckv_status status = run(cache, items, together, prefill);
            ck_assert_msg(status == LCKV_OK, "%zu in calls of %zu, prefill %d: at %zu: %s", length,
                          chunk, (int)prefill, at, lckv_last_error());
        }
        for (size_t s = 0; s < N; s++)
            ck_assert(prefill == LCKV_PREFILL_ITERATED ||
                      memcmp(logits[s], exact + (end - 1) * n_vocab, n_vocab * sizeof(float)) == 0);
    }
    for (int s = 0; s < N; s++)
        lckv_session_release(sessions[s]);
    lckv_cache_release(cache);
}

/* _i: model. */
START_TEST(sessions_that_share_the_room_fit_in_any_calls)
{
    static const lckv_cache_options shapes[] = {
        {.n_tokens = 390, .max_rows = MOST_ROWS},
        {.n_tokens = 600, .max_rows = 60, .page_positions = 16, .rollback = 1},
        {.n_tokens = 3 * MOST_TOKENS, .max_rows = 210, .page_positions = 16, .rollback = 10},
        {.n_tokens = 3 * MOST_TOKENS, .max_rows = 4, .page_positions = 32},
    };
    lckv_model *model = open_model(models[_i], 0);
    exact_logits(model, exact);
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        for (size_t c = 0; c < N_CHUNKS; c += getenv("LCKV_TEST_SHORT") != NULL ? 4 : 1) {
            share(model, shapes[i], chunks[c], LCKV_PREFILL_AUTO);
            if (chunks[c] <= shapes[i].max_rows)
                share(model, shapes[i], chunks[c], LCKV_PREFILL_ITERATED);
        }
    }
    lckv_model_release(model);
}
END_TEST

static uint64_t free_pages(lckv_cache *cache)
{
    lckv_cache_stats stats = {.size = sizeof stats};
    ck_assert_ok(lckv_cache_get_stats(cache, &stats));
    return stats.n_pages_free;
}

static int32_t cancel_late(void *user, uint64_t done, uint64_t total)
{
    (void)user;
    return done == total;
}

/*
 * In a cache without a page to spare, a long call goes wrong in its last pass, when the windows
 * have long passed what the session kept. Nothing of that is lost.
 */
START_TEST(a_call_cancelled_far_beyond_the_window_changes_nothing)
{
    static float before[100 * 2 * 16], after[100 * 2 * 16];
    float logits[MOST_VOCAB];
    lckv_model *model = open_model(models[_i], 0);
    exact_logits(model, exact);
    lckv_cache *cache = make_cache(
        model, (lckv_cache_options){.n_tokens = MOST_TOKENS, .max_sessions = 1, .max_rows = 20});
    lckv_session *session = make_session(cache);
    lckv_item item = item_of(session, 0, 150, logits);
    ck_assert_ok(run(cache, &item, 1, LCKV_PREFILL_AUTO));
    uint64_t least, least_after, pages = free_pages(cache), length;
    ck_assert_ok(lckv_session_min_length(session, &least));
    ck_assert_uint_gt(least, 0);
    lckv_plan_info plan = {.size = sizeof plan};
    ck_assert_ok(lckv_plan_get_info(lckv_model_plan(model), &plan));
    for (uint32_t slot = 0; slot < plan.n_slots; slot++) {
        memset(before, 0, sizeof before);
        memset(after, 0, sizeof after);
        ck_assert_ok(lckv_session_read_kv(session, slot, least, 150, before, NULL));
        lckv_evaluate_options options = {.size = sizeof options, .progress = cancel_late};
        item = item_of(session, 150, MOST_TOKENS, logits);
        ck_assert_status(lckv_evaluate(cache, &item, sizeof item, 1, &options, NULL),
                         LCKV_CANCELLED);
        ck_assert_ok(lckv_session_read_kv(session, slot, least, 150, after, NULL));
        ck_assert(memcmp(before, after, sizeof before) == 0);
    }
    ck_assert_ok(lckv_session_length(session, &length));
    ck_assert_uint_eq(length, 150);
    ck_assert_ok(lckv_session_min_length(session, &least_after));
    ck_assert_uint_eq(least, least_after);
    ck_assert_uint_eq(free_pages(cache), pages);
    /* And from the shortest length on, as if nothing had been. */
    ck_assert_ok(lckv_session_truncate(session, least));
    item = item_of(session, (size_t)least, MOST_TOKENS, logits);
    ck_assert_ok(run(cache, &item, 1, LCKV_PREFILL_AUTO));
    ck_assert(memcmp(logits, exact + (MOST_TOKENS - 1) * n_vocab, n_vocab * sizeof *logits) == 0);
    lckv_session_release(session);
    lckv_cache_release(cache);
    lckv_model_release(model);
}
END_TEST

static char converted[] = "/tmp/lckv-windows-XXXXXX";

/* A plan of windowed slots only: no golden model has one. */
static lckv_model *open_windows_only(void)
{
    lckv_convert_options options = {
        .size = sizeof options, .plan = "0s_0s_2s_2s_4s_4s_6s_6s", .sliding_window = 7};
    int file = mkstemp(converted);
    ck_assert_int_ge(file, 0);
    close(file);
    ck_assert_ok(lckv_convert("tests/data/goldens/standard-llama", converted, &options, NULL));
    lckv_model *model = open_model(converted, 7);
    unlink(converted);
    memcpy(converted + strlen(converted) - 6, "XXXXXX", 6);
    return model;
}

/* A cache that has as many pages as the planner's budget pays for, or a few more. */
static lckv_cache *cache_of_pages(const lckv_model *model, uint64_t n_pages, uint32_t n_sessions,
                                  lckv_cache_options options)
{
    lckv_cache_stats stats = {.size = sizeof stats};
    options.max_sessions = n_sessions;
    lckv_cache *probe = make_cache(model, options);
    ck_assert_ok(lckv_cache_get_stats(probe, &stats));
    lckv_cache_release(probe);
    options.budget_bytes = stats.scratch_bytes + n_pages * stats.page_bytes;
    for (;; options.budget_bytes += stats.page_bytes / 4) {
        lckv_cache *cache = make_cache(model, options);
        ck_assert_ok(lckv_cache_get_stats(cache, &stats));
        if (stats.n_pages >= n_pages)
            return cache;
        lckv_cache_release(cache);
    }
}

/*
 * As many sessions as the planner lets into a budget: each takes a prompt of nearly the context,
 * then all append single tokens, up to the context or, with windowed slots only, on and on.
 */
static void fill_budget(const lckv_model *model, uint64_t context, uint32_t rollback, bool for_ever)
{
    enum { N = 5 };
    lckv_model_info info = {.size = sizeof info};
    ck_assert_ok(lckv_model_get_info(model, &info));
    lckv_memory_request request = {.size = sizeof request,
                                   .plan = lckv_model_plan(model),
                                   .n_kv_heads = info.n_kv_heads,
                                   .head_dim = info.head_dim,
                                   .sliding_window = info.sliding_window,
                                   .rollback = rollback,
                                   .page_positions = 16,
                                   .context = context,
                                   .n_sessions = N};
    lckv_memory_report report = {.size = sizeof report};
    ck_assert_ok(lckv_memory_estimate(&request, &report));
    uint64_t page_bytes = (uint64_t)16 * 2 * info.n_kv_heads * info.head_dim * 2;
    lckv_cache *cache = cache_of_pages(
        model, report.bytes_needed / page_bytes, N,
        (lckv_cache_options){.page_positions = 16, .rollback = rollback, .max_rows = 48});
    lckv_cache_stats stats = {.size = sizeof stats};
    ck_assert_ok(lckv_cache_get_stats(cache, &stats));
    ck_assert_uint_eq(stats.page_bytes, page_bytes);
    ck_assert_uint_lt(stats.n_pages, report.bytes_needed / page_bytes + 2);
    lckv_item items[N];
    float logits[N][MOST_VOCAB];
    for (int s = 0; s < N; s++) {
        items[s] = item_of(make_session(cache), 0, (size_t)context - 30, logits[s]);
        ck_assert_ok(run(cache, &items[s], 1, LCKV_PREFILL_AUTO));
    }
    size_t end = for_ever ? MOST_TOKENS : (size_t)context;
    for (size_t t = (size_t)context - 30; t < end; t++) {
        for (int s = 0; s < N; s++)
            items[s] = item_of(items[s].session, t, t + 1, logits[s]);
        lckv_status status = run(cache, items, N, LCKV_PREFILL_AUTO);
        ck_assert_msg(status == LCKV_OK, "context %llu: token %zu: %s", (unsigned long long)context,
                      t, lckv_last_error());
        for (int s = 0; s < N; s++)
            ck_assert(memcmp(logits[s], exact + t * n_vocab, n_vocab * sizeof(float)) == 0);
    }
    for (int s = 0; s < N; s++)
        lckv_session_release(items[s].session);
    lckv_cache_release(cache);
}

/* _i: model, or the one that has windowed slots only. */
START_TEST(sessions_that_the_planner_lets_in_can_go_on)
{
    lckv_model *model = _i < 3 ? open_model(models[_i], 0) : open_windows_only();
    exact_logits(model, exact);
    const uint64_t step = getenv("LCKV_TEST_SHORT") != NULL ? 145 : 29;
    for (uint64_t context = 100; context < MOST_TOKENS; context += step) {
        fill_budget(model, context, 1, _i == 3);
        fill_budget(model, context, 40, _i == 3);
    }
    lckv_model_release(model);
}
END_TEST

static void add_all(Suite *suite)
{
    TCase *tcase = tcase_create("windows");
    tcase_set_timeout(tcase, 300);
    tcase_add_loop_test(tcase, a_session_of_all_the_tokens_fits_in_any_calls, 0, 3 * 4);
    tcase_add_loop_test(tcase, sessions_that_share_the_room_fit_in_any_calls, 0, 3);
    tcase_add_loop_test(tcase, a_call_cancelled_far_beyond_the_window_changes_nothing, 0, 3);
    tcase_add_loop_test(tcase, sessions_that_the_planner_lets_in_can_go_on, 0, 4);
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("cache windows", add_all)
