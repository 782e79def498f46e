/*
 * Models with sliding windows in caches that have just the room they were asked for. Whatever the
 * calls, the tokens that a cache was made for fit, and the sessions that the planner lets into a
 * budget can go on. Uses the public header only.
 */
#include "sessions.h"

#include <stdbool.h>

#include "folder.h"

#define MOST_TOKENS 330
#define MOST_VOCAB 160
#define MOST_ROWS 256 /* of one iterated item */

static const char *const models[] = {"yoco-windows", "mixattention", "cycle3-window"};
static const size_t lengths[] = {65, 130, 200, MOST_TOKENS};
static const size_t chunks[] = {1, 7, 16, 33, 50, 64, 70, 100, 150, MOST_TOKENS};

static lckv_token tokens[MOST_TOKENS];
static float exact_of_models[4][MOST_TOKENS * MOST_VOCAB];

/* With LCKV_TEST_SHORT, tests do the least of each kind: under valgrind a token takes 10 ms. */
static bool few;
static size_t n_long; /* tokens of the longest sessions */

/* These belong to the model that was opened last. */
static size_t n_vocab;
static const float *exact;

/* A model whose plan has only windowed slots, as no golden model has. */
static lckv_model *open_windows_only(void)
{
    lckv_convert_options options = {
        .size = sizeof options, .plan = "0s_0s_2s_2s_4s_4s_6s_6s", .sliding_window = 7};
    folder_make();
    const char *path = folder_path("model.gguf");
    ck_assert_ok(lckv_convert("tests/data/goldens/standard-llama", path, &options, NULL));
    lckv_model *model = open_model(path, (lckv_model_options){.precision = LCKV_PRECISION_FULL,
                                                              .gemm = LCKV_GEMM_OWN,
                                                              .sliding_window = 7});
    folder_remove();
    return model;
}

/* Opens one of `models`, or for the number behind them the one with windowed slots only. */
static lckv_model *open_windowed(int i)
{
    lckv_model *model = i < 3 ? open_golden(models[i], LCKV_PRECISION_FULL) : open_windows_only();
    n_vocab = info_of(model).n_vocab;
    ck_assert_uint_le(n_vocab, MOST_VOCAB);
    exact = exact_of_models[i];
    return model;
}

/* A cache of one thread. */
static lckv_cache *make_single(const lckv_model *model, lckv_cache_options options)
{
    options.n_threads = 1;
    return make_cache(model, options);
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Appends tokens [begin, end) and wants the last one's logits. */
static lckv_item item_of(lckv_session *session, size_t begin, size_t end, float *logits)
{
    lckv_item item = make_item(session, tokens + begin, end - begin, logits, n_vocab);
    item.want = LCKV_WANT_LAST;
    return item;
}

/*
 * Runs once for all tests: computes the exact logits of all tokens in caches with plenty of room.
 */
static void set_up(void)
{
    few = getenv("LCKV_TEST_SHORT") != NULL;
    n_long = few ? 140 : MOST_TOKENS; /* enough for windowed slots to give pages back */
    fill_tokens(tokens, MOST_TOKENS);
    for (int i = 0; i < 4; i++) {
        lckv_model *model = open_windowed(i);
        lckv_cache *cache = make_single(model, (lckv_cache_options){.n_tokens = 8192});
        lckv_session *session = make_session(cache);
        lckv_item item = make_item(session, tokens, n_long, exact_of_models[i], n_vocab);
        ck_assert_ok(run(cache, &item, 1, LCKV_PREFILL_EXACT));
        lckv_session_release(session);
        lckv_cache_release(cache);
        lckv_model_release(model);
    }
}

/*
 * Lets one session take all the room, in calls of `chunk`. A cache with much room must give the
 * same logits.
 */
static void fill(const lckv_model *model, size_t length, size_t chunk, lckv_prefill prefill)
{
    float ours[MOST_VOCAB], theirs[MOST_VOCAB];
    lckv_cache *tight =
        make_single(model, (lckv_cache_options){.n_tokens = length, .max_sessions = 1});
    lckv_cache *roomy = make_single(model, (lckv_cache_options){.n_tokens = 8192});
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
    lckv_model *model = open_windowed(_i % 3);
    size_t l = (size_t)_i / 3, length = smaller(lengths[l], n_long);
    for (size_t c = 0; c < COUNT(chunks); c++) {
        if (!few || c == 3 * l)
            fill(model, length, chunks[c], LCKV_PREFILL_AUTO);
        if (few && (l != 0 || c != 3))
            continue;
        fill(model, length, chunks[c], LCKV_PREFILL_EXACT);
        fill(model, length, chunks[c], LCKV_PREFILL_ITERATED);
    }
    lckv_model_release(model);
}
END_TEST

/*
 * Lets three sessions share the room and grow in turn, several of them in a call if its rows allow.
 */
static void share(const lckv_model *model, lckv_cache_options options, size_t chunk,
                  lckv_prefill prefill)
{
    enum { N = 3 };
    const size_t length = (size_t)options.n_tokens / N, max_rows = options.max_rows;
    const size_t together = chunk == 1 || N * chunk <= max_rows ? N : 1;
    float logits[N][MOST_VOCAB];
    options.max_sessions = N;
    lckv_cache *cache = make_single(model, options);
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
    lckv_model *model = open_windowed(_i);
    for (size_t i = 0; i < COUNT(shapes); i++) {
        lckv_cache_options shape = shapes[i];
        if (few && i % 3 != (size_t)_i)
            continue;
        if (few)
            shape.n_tokens = 3 * 34; /* the third page of 16 just begun */
        for (size_t c = 0; c < COUNT(chunks); c++) {
            if (few && c != 2)
                continue;
            share(model, shape, chunks[c], LCKV_PREFILL_AUTO);
            if (chunks[c] <= shape.max_rows)
                share(model, shape, chunks[c], LCKV_PREFILL_ITERATED);
        }
    }
    lckv_model_release(model);
}
END_TEST

static int32_t cancel_late(void *user, uint64_t done, uint64_t total)
{
    (void)user;
    return done == total;
}

/*
 * In a cache without a page to spare, a long call is cancelled in its last pass, when the windows
 * have long passed what the session kept. Nothing of that is lost.
 */
START_TEST(a_call_cancelled_far_beyond_the_window_changes_nothing)
{
    static float before[100 * 2 * 16], after[100 * 2 * 16];
    float logits[MOST_VOCAB];
    const size_t length = few ? 90 : 150;
    lckv_model *model = open_windowed(_i);
    lckv_cache *cache = make_single(
        model, (lckv_cache_options){.n_tokens = n_long, .max_sessions = 1, .max_rows = 20});
    lckv_session *session = make_session(cache);
    lckv_item item = item_of(session, 0, length, logits);
    ck_assert_ok(run(cache, &item, 1, LCKV_PREFILL_AUTO));
    uint64_t least, least_after, pages = free_pages(cache);
    ck_assert_ok(lckv_session_min_length(session, &least));
    ck_assert_uint_gt(least, 0);
    uint32_t n_slots = plan_info_of(model).n_slots;
    for (uint32_t slot = 0; slot < n_slots; slot++) {
        memset(before, 0, sizeof before);
        memset(after, 0, sizeof after);
        ck_assert_ok(lckv_session_read_kv(session, slot, least, length, before, NULL));
        lckv_evaluate_options options = {.size = sizeof options, .progress = cancel_late};
        item = item_of(session, length, n_long, logits);
        ck_assert_status(lckv_evaluate(cache, &item, sizeof item, 1, &options, NULL),
                         LCKV_CANCELLED);
        ck_assert_ok(lckv_session_read_kv(session, slot, least, length, after, NULL));
        ck_assert(memcmp(before, after, sizeof before) == 0);
    }
    ck_assert_uint_eq(length_of(session), length);
    ck_assert_ok(lckv_session_min_length(session, &least_after));
    ck_assert_uint_eq(least, least_after);
    ck_assert_uint_eq(free_pages(cache), pages);
    /* It also goes on from the shortest length, as if nothing had happened. */
    ck_assert_ok(lckv_session_truncate(session, least));
    item = item_of(session, (size_t)least, n_long, logits);
    ck_assert_ok(run(cache, &item, 1, LCKV_PREFILL_AUTO));
    ck_assert(memcmp(logits, exact + (n_long - 1) * n_vocab, n_vocab * sizeof *logits) == 0);
    lckv_session_release(session);
    lckv_cache_release(cache);
    lckv_model_release(model);
}
END_TEST

/* Makes a cache with as many pages as the planner's budget pays for, or a few more. */
static lckv_cache *cache_of_pages(const lckv_model *model, uint64_t n_pages, uint32_t n_sessions,
                                  lckv_cache_options options)
{
    options.max_sessions = n_sessions;
    lckv_cache *probe = make_single(model, options);
    lckv_cache_stats stats = stats_of(probe);
    lckv_cache_release(probe);
    options.budget_bytes = stats.scratch_bytes + n_pages * stats.page_bytes;
    for (;; options.budget_bytes += stats.page_bytes / 4) {
        lckv_cache *cache = make_single(model, options);
        if (stats_of(cache).n_pages >= n_pages)
            return cache;
        lckv_cache_release(cache);
    }
}

/*
 * Takes as many sessions as the planner lets into a budget. Each takes a prompt of nearly the
 * context; then all append single tokens, up to the context or, with windowed slots only, without
 * end.
 */
static void fill_budget(const lckv_model *model, uint64_t context, uint32_t rollback, bool for_ever)
{
    enum { MOST = 5 };
    const uint32_t n = few ? 2 : MOST;
    lckv_model_info info = info_of(model);
    lckv_memory_request request = {.size = sizeof request,
                                   .plan = lckv_model_plan(model),
                                   .n_kv_heads = info.n_kv_heads,
                                   .head_dim = info.head_dim,
                                   .sliding_window = info.sliding_window,
                                   .rollback = rollback,
                                   .page_positions = 16,
                                   .context = context,
                                   .n_sessions = n};
    lckv_memory_report report = {.size = sizeof report};
    ck_assert_ok(lckv_memory_estimate(&request, &report));
    uint64_t page_bytes = (uint64_t)16 * 2 * info.n_kv_heads * info.head_dim * 2;
    lckv_cache *cache = cache_of_pages(
        model, report.bytes_needed / page_bytes, n,
        (lckv_cache_options){.page_positions = 16, .rollback = rollback, .max_rows = 48});
    lckv_cache_stats stats = stats_of(cache);
    ck_assert_uint_eq(stats.page_bytes, page_bytes);
    ck_assert_uint_lt(stats.n_pages, report.bytes_needed / page_bytes + 2);
    lckv_item items[MOST];
    float logits[MOST][MOST_VOCAB];
    for (uint32_t s = 0; s < n; s++) {
        items[s] = item_of(make_session(cache), 0, (size_t)context - 30, logits[s]);
        ck_assert_ok(run(cache, &items[s], 1, LCKV_PREFILL_AUTO));
    }
    size_t end = for_ever ? n_long : (size_t)context;
    for (size_t t = (size_t)context - 30; t < end; t++) {
        for (uint32_t s = 0; s < n; s++)
            items[s] = item_of(items[s].session, t, t + 1, logits[s]);
        lckv_status status = run(cache, items, n, LCKV_PREFILL_AUTO);
        ck_assert_msg(status == LCKV_OK, "context %llu: token %zu: %s", (unsigned long long)context,
                      t, lckv_last_error());
        for (uint32_t s = 0; s < n; s++)
            ck_assert(memcmp(logits[s], exact + t * n_vocab, n_vocab * sizeof(float)) == 0);
    }
    for (uint32_t s = 0; s < n; s++)
        lckv_session_release(items[s].session);
    lckv_cache_release(cache);
}

/* _i: model, or the one that has windowed slots only. */
START_TEST(sessions_that_the_planner_lets_in_can_go_on)
{
    lckv_model *model = open_windowed(_i);
    for (uint64_t context = few ? 70 : 100; context < n_long; context += few ? n_long : 29) {
        if (!few || _i % 2 == 0)
            fill_budget(model, context, 1, _i == 3);
        if (!few || _i % 2 == 1)
            fill_budget(model, context, 40, _i == 3);
    }
    lckv_model_release(model);
}
END_TEST

/* Windows of 7 in slots 0 to 2; slot 3 is full. */
START_TEST(windowed_slots_forget_and_say_so)
{
    lckv_model *model = open_windowed(0);
    lckv_cache *cache = make_cache(
        model, (lckv_cache_options){.page_positions = 16, .rollback = 10, .n_tokens = 512});
    lckv_session *session = make_session(cache);
    lckv_item item = item_of(session, 0, 200, NULL);
    item.want = LCKV_WANT_NOTHING;
    ck_assert_ok(run(cache, &item, 1, LCKV_PREFILL_AUTO));
    uint64_t least;
    ck_assert_ok(lckv_session_min_length(session, &least));
    ck_assert_uint_eq(least, 190);
    static float keys[200 * 2 * 16];
    ck_assert_status(lckv_session_read_kv(session, 0, 100, 200, keys, NULL), LCKV_OUT_OF_WINDOW);
    ck_assert_ok(lckv_session_read_kv(session, 0, 183, 200, keys, NULL));
    ck_assert_ok(lckv_session_read_kv(session, 3, 0, 200, keys, NULL));
    ck_assert_status(lckv_session_truncate(session, 189), LCKV_OUT_OF_WINDOW);
    ck_assert_uint_eq(length_of(session), 200);
    /* Goes back to the shortest length, and on from there as if it had never gone further. */
    static float once[MOST_VOCAB], again[MOST_VOCAB];
    lckv_session *straight = make_session(cache);
    item = item_of(straight, 0, 191, once);
    ck_assert_ok(run(cache, &item, 1, LCKV_PREFILL_AUTO));
    ck_assert_ok(lckv_session_truncate(session, 190));
    item = item_of(session, 190, 191, again);
    ck_assert_ok(run(cache, &item, 1, LCKV_PREFILL_AUTO));
    ck_assert(memcmp(once, again, sizeof once) == 0);
    lckv_session_release(session);
    lckv_session_release(straight);
    lckv_cache_release(cache);
    lckv_model_release(model);
}
END_TEST

/* A windowed slot's pages go back during a long call, so a small cache takes a long prompt. */
START_TEST(windows_keep_a_long_prompt_in_little_memory)
{
    lckv_model *model = open_windowed(0);
    lckv_cache *large = make_cache(model, (lckv_cache_options){.n_tokens = 1024});
    lckv_cache *small = make_cache(model, (lckv_cache_options){.budget_bytes = 0,
                                                               .n_tokens = 200,
                                                               .max_sessions = 1,
                                                               .rollback = 1,
                                                               .page_positions = 16});
    static float a[MOST_VOCAB], b[MOST_VOCAB];
    lckv_session *in_large = make_session(large), *in_small = make_session(small);
    lckv_item item = item_of(in_large, 0, 200, a);
    ck_assert_ok(run(large, &item, 1, LCKV_PREFILL_AUTO));
    ck_assert_uint_lt(stats_of(small).n_pages, 4 * 13); /* fewer than four full slots would take */
    item.session = in_small;
    item.logits = b;
    ck_assert_ok(run(small, &item, 1, LCKV_PREFILL_AUTO));
    ck_assert(memcmp(a, b, sizeof a) == 0);
    lckv_session_release(in_large);
    lckv_session_release(in_small);
    lckv_cache_release(large);
    lckv_cache_release(small);
    lckv_model_release(model);
}
END_TEST

/* Nor do its tables stay larger than those of a text that came token by token. */
START_TEST(a_long_call_leaves_no_large_tables)
{
    lckv_model *model = open_windowed(0);
    uint64_t table_bytes[2];
    static float logits[MOST_VOCAB];
    for (size_t way = 0; way < 2; way++) {
        const size_t step = way == 0 ? MOST_TOKENS : 1;
        lckv_cache *cache = make_single(
            model, (lckv_cache_options){.page_positions = 16, .rollback = 1, .n_tokens = 1024});
        lckv_session *session = make_session(cache);
        for (size_t begin = 0; begin < MOST_TOKENS; begin += step) {
            lckv_item item = item_of(session, begin, begin + step, logits);
            ck_assert_ok(run(cache, &item, 1, LCKV_PREFILL_AUTO));
        }
        table_bytes[way] = stats_of(cache).table_bytes;
        lckv_session_release(session);
        lckv_cache_release(cache);
    }
    ck_assert_uint_eq(table_bytes[0], table_bytes[1]);
    lckv_model_release(model);
}
END_TEST

/* Whatever the windows have dropped, 0 needs nothing of it, and the session begins anew. */
START_TEST(truncating_to_nothing_always_works)
{
    lckv_model *model = open_windowed(_i);
    lckv_cache *cache = make_single(
        model, (lckv_cache_options){.page_positions = 16, .rollback = 10, .n_tokens = 512});
    lckv_session *session = make_session(cache);
    uint64_t pages = free_pages(cache), least;
    static float logits[MOST_VOCAB];
    for (int round = 0; round < 3; round++) {
        for (size_t begin = 0; begin < n_long; begin += 70) {
            size_t end = smaller(begin + 70, n_long);
            lckv_item item = item_of(session, begin, end, logits);
            ck_assert_ok(run(cache, &item, 1, LCKV_PREFILL_EXACT));
            ck_assert_mem_eq(logits, exact + (end - 1) * n_vocab, n_vocab * sizeof(float));
        }
        ck_assert_ok(lckv_session_min_length(session, &least));
        ck_assert_uint_gt(least, 1);
        ck_assert_status(lckv_session_truncate(session, 1), LCKV_OUT_OF_WINDOW);
        ck_assert_error_has("go back to 0");
        ck_assert_ok(lckv_session_truncate(session, 0));
        ck_assert_uint_eq(length_of(session), 0);
        ck_assert_ok(lckv_session_min_length(session, &least));
        ck_assert_uint_eq(least, 0);
        ck_assert_uint_eq(free_pages(cache), pages);
    }
    lckv_session_release(session);
    lckv_cache_release(cache);
    lckv_model_release(model);
}
END_TEST

static void add_all(Suite *suite)
{
    TCase *tcase = tcase_create("windows");
    tcase_set_timeout(tcase, 300);
    tcase_add_unchecked_fixture(tcase, set_up, NULL);
    tcase_add_loop_test(tcase, a_session_of_all_the_tokens_fits_in_any_calls, 0, 3 * 4);
    tcase_add_loop_test(tcase, sessions_that_share_the_room_fit_in_any_calls, 0, 3);
    tcase_add_loop_test(tcase, a_call_cancelled_far_beyond_the_window_changes_nothing, 0, 3);
    tcase_add_loop_test(tcase, sessions_that_the_planner_lets_in_can_go_on, 0, 4);
    tcase_add_test(tcase, windowed_slots_forget_and_say_so);
    tcase_add_loop_test(tcase, truncating_to_nothing_always_works, 0, 4);
    tcase_add_test(tcase, windows_keep_a_long_prompt_in_little_memory);
    tcase_add_test(tcase, a_long_call_leaves_no_large_tables);
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("cache windows", add_all)
