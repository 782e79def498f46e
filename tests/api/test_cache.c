/*
 * The contract of caches, sessions and lckv_evaluate, on the public header only: what is checked
 * before anything changes, what a failed call leaves as it was, who may release what and when, and
 * that logits depend on nothing but the tokens before them.
 */
#include "support.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>

#define UPWARD "tests/data/goldens/lckv-w2"
#define DOWNWARD "tests/data/goldens/cla2"
#define WINDOWED \
    "tests/data/goldens/yoco-windows" /* windows of 7 in slots 0 to 2; slot 3 is full */
#define ALL_WINDOWED_SLOT 0
#define N_VOCAB 160
#define N_TOKENS 40

static lckv_token tokens[200];

static lckv_model *open_model(const char *path, lckv_precision precision)
{
    lckv_model_options options = {
        .size = sizeof options, .precision = precision, .gemm = LCKV_GEMM_OWN};
    lckv_model *model;
    ck_assert_ok(lckv_model_open(path, &options, &model));
    for (int i = 0; i < 200; i++)
        tokens[i] = (i * 37 + 11) % 131;
    return model;
}

static lckv_cache *make_cache(const lckv_model *model, lckv_cache_options options)
{
    lckv_cache *cache;
    options.size = sizeof options;
    ck_assert_ok(lckv_cache_create(model, &options, &cache));
    return cache;
}

static lckv_session *make_session(lckv_cache *cache)
{
    lckv_session *session;
    ck_assert_ok(lckv_session_create(cache, &session));
    return session;
}

static lckv_item item_of(lckv_session *session, size_t begin, size_t end, float *logits)
{
    lckv_item item = {.session = session,
                      .tokens = tokens + begin,
                      .n_tokens = end - begin,
                      .want = LCKV_WANT_ALL,
                      .logits = logits,
                      .logits_capacity = (end - begin) * N_VOCAB};
    return item;
}

static lckv_status run(lckv_cache *cache, const lckv_item *items, size_t n, lckv_prefill prefill)
{
    lckv_evaluate_options options = {.size = sizeof options, .prefill = prefill};
    return lckv_evaluate(cache, items, sizeof *items, n, &options, NULL);
}

static uint64_t length_of(lckv_session *session)
{
    uint64_t length;
    ck_assert_ok(lckv_session_length(session, &length));
    return length;
}

static uint64_t free_pages(lckv_cache *cache)
{
    lckv_cache_stats stats = {.size = sizeof stats};
    ck_assert_ok(lckv_cache_get_stats(cache, &stats));
    return stats.n_pages_free;
}

/* Exact logits of all N_TOKENS tokens by one thread, one token a call. */
static void reference_logits(const lckv_model *model, float *logits)
{
    lckv_cache *cache = make_cache(model, (lckv_cache_options){.n_threads = 1});
    lckv_session *session = make_session(cache);
    for (size_t t = 0; t < N_TOKENS; t++) {
        lckv_item item = item_of(session, t, t + 1, logits + t * N_VOCAB);
        ck_assert_ok(run(cache, &item, 1, LCKV_PREFILL_EXACT));
    }
    lckv_session_release(session);
    lckv_cache_release(cache);
}

static const char *const models[] = {UPWARD, DOWNWARD, WINDOWED};
static float expected[N_TOKENS * N_VOCAB], got[4][N_TOKENS * N_VOCAB];

/* _i: model and precision. */
START_TEST(logits_do_not_depend_on_threads_pages_batches_or_splits)
{
    lckv_model *model =
        open_model(models[_i % 3], _i < 3 ? LCKV_PRECISION_FULL : LCKV_PRECISION_FAST);
    reference_logits(model, expected);
    const uint32_t threads[] = {1, 2, 3, 7}, pages[] = {16, 64, 128, 1024},
                   rows[] = {256, 5, 1, 33};
    const size_t splits[] = {40, 13, 1, 7};
    for (int k = 0; k < 4; k++) {
        lckv_cache *cache = make_cache(model, (lckv_cache_options){.n_threads = threads[k],
                                                                   .page_positions = pages[k],
                                                                   .max_rows = rows[k]});
        lckv_session *sessions[3];
        for (int s = 0; s < 3; s++)
            sessions[s] = make_session(cache);
        /* Session 0 goes in splits, session 1 is one token behind, session 2 begins late. */
        size_t done[3] = {0};
        memset(got, 0, sizeof got);
        while (done[0] < N_TOKENS || done[1] < N_TOKENS || done[2] < N_TOKENS) {
            lckv_item items[3];
            size_t n = 0;
            for (int s = 0; s < 3; s++) {
                size_t step = s == 0 ? splits[k] : s == 1 ? 1 : 11;
                size_t end = done[s] + step < N_TOKENS ? done[s] + step : N_TOKENS;
                if (end == done[s] || (s == 2 && done[0] == 0))
                    continue;
                items[n++] = item_of(sessions[s], done[s], end, got[s] + done[s] * N_VOCAB);
                done[s] = end;
            }
            ck_assert_ok(run(cache, items, n, k % 2 == 0 ? LCKV_PREFILL_AUTO : LCKV_PREFILL_EXACT));
        }
        for (int s = 0; s < 3; s++) {
            ck_assert_msg(memcmp(got[s], expected, sizeof expected) == 0,
                          "%s: session %d of round %d differs", models[_i % 3], s, k);
            lckv_session_release(sessions[s]);
        }
        lckv_cache_release(cache);
    }
    lckv_model_release(model);
}
END_TEST

START_TEST(only_wanted_rows_come_back_and_they_are_the_same)
{
    static float hidden[64];
    lckv_model *model = open_model(models[_i], LCKV_PRECISION_FULL);
    reference_logits(model, expected);
    lckv_cache *cache = make_cache(model, (lckv_cache_options){.max_sessions = 2});
    lckv_session *a = make_session(cache), *b = make_session(cache);
    lckv_item items[2] = {item_of(a, 0, N_TOKENS, NULL), item_of(b, 0, 9, NULL)};
    items[0].want = LCKV_WANT_LAST | LCKV_WANT_HIDDEN;
    items[0].hidden = hidden;
    items[0].hidden_capacity = 64;
    items[1].want = LCKV_WANT_NOTHING;
    ck_assert_ok(run(cache, items, 2, LCKV_PREFILL_AUTO));
    const float *logits;
    size_t n_rows;
    ck_assert_ok(lckv_session_logits(a, &logits, &n_rows));
    ck_assert_uint_eq(n_rows, 1);
    ck_assert(memcmp(logits, expected + (N_TOKENS - 1) * N_VOCAB, N_VOCAB * sizeof(float)) == 0);
    float sum = 0;
    for (int i = 0; i < 64; i++)
        sum += fabsf(hidden[i]);
    ck_assert(isfinite(sum) && sum > 0);
    ck_assert_status(lckv_session_logits(b, &logits, &n_rows), LCKV_INVALID_ARGUMENT);
    lckv_session_release(a);
    lckv_session_release(b);
    lckv_cache_release(cache);
    lckv_model_release(model);
}
END_TEST

START_TEST(bad_items_change_nothing)
{
    lckv_model *model = open_model(UPWARD, LCKV_PRECISION_FULL);
    lckv_cache *cache = make_cache(model, (lckv_cache_options){.n_tokens = 256, .max_rows = 16}),
               *other = make_cache(model, (lckv_cache_options){.n_tokens = 64});
    lckv_session *session = make_session(cache), *foreign = make_session(other);
    lckv_item good = item_of(session, 0, 4, got[0]);
    ck_assert_ok(run(cache, &good, 1, LCKV_PREFILL_AUTO));
    uint64_t pages = free_pages(cache);
    lckv_token bad_token[2] = {1, N_VOCAB}, negative[1] = {-1};
    lckv_item bad[8];
    for (int i = 0; i < 8; i++)
        bad[i] = item_of(session, 4, 8, got[0]);
    bad[0].session = NULL;
    bad[1].session = foreign;
    bad[2].n_tokens = 0;
    bad[3].tokens = bad_token, bad[3].n_tokens = 2;
    bad[4].tokens = negative, bad[4].n_tokens = 1;
    bad[5].logits_capacity = 4 * N_VOCAB - 1;
    bad[6].want = 3;
    bad[7].want = LCKV_WANT_LAST | LCKV_WANT_HIDDEN; /* no array for it */
    for (int i = 0; i < 8; i++) {
        lckv_session *fresh = make_session(cache);
        lckv_item items[2] = {item_of(fresh, 0, 3, got[1]), bad[i]};
        lckv_evaluate_report report = {.size = sizeof report};
        ck_assert_status(lckv_evaluate(cache, items, sizeof *items, 2, NULL, &report),
                         LCKV_INVALID_ARGUMENT);
        ck_assert_int_eq(report.failed_item, 1);
        ck_assert_error_has("item 1");
        ck_assert_uint_eq(length_of(fresh), 0);
        ck_assert_uint_eq(length_of(session), 4);
        ck_assert_uint_eq(free_pages(cache), pages);
        lckv_session_release(fresh);
    }
    lckv_item twice[2] = {item_of(session, 4, 5, got[0]), item_of(session, 5, 6, got[1])};
    ck_assert_status(run(cache, twice, 2, LCKV_PREFILL_AUTO), LCKV_INVALID_ARGUMENT);
    ck_assert_error_has("twice");
    ck_assert_status(lckv_evaluate(cache, &good, sizeof good - 8, 1, NULL, NULL),
                     LCKV_INVALID_ARGUMENT);
    ck_assert_status(lckv_evaluate(cache, NULL, sizeof good, 1, NULL, NULL), LCKV_INVALID_ARGUMENT);
    ck_assert_status(lckv_evaluate(cache, &good, sizeof good, 0, NULL, NULL),
                     LCKV_INVALID_ARGUMENT);
    lckv_item many = item_of(session, 0, 17, got[0]);
    ck_assert_status(run(cache, &many, 1, LCKV_PREFILL_ITERATED), LCKV_INVALID_ARGUMENT);
    ck_assert_error_has("max_rows");
    many = item_of(session, 0, 17, NULL); /* more rows than the cache holds */
    ck_assert_status(run(cache, &many, 1, LCKV_PREFILL_AUTO), LCKV_INVALID_ARGUMENT);
    ck_assert_error_has("max_logit_rows");
    lckv_session_release(session);
    lckv_session_release(foreign);
    lckv_cache_release(cache);
    lckv_cache_release(other);
    lckv_model_release(model);
}
END_TEST

START_TEST(a_full_cache_changes_nothing)
{
    lckv_model *model = open_model(UPWARD, LCKV_PRECISION_FULL);
    reference_logits(model, expected);
    lckv_cache *cache = make_cache(
        model, (lckv_cache_options){.n_tokens = 64, .page_positions = 16, .max_sessions = 2});
    lckv_session *a = make_session(cache), *b = make_session(cache), *c;
    ck_assert_status(lckv_session_create(cache, &c), LCKV_CACHE_FULL);
    lckv_item items[2] = {item_of(a, 0, 20, got[0]), item_of(b, 0, 5, got[1])};
    ck_assert_ok(run(cache, items, 2, LCKV_PREFILL_AUTO));
    uint64_t pages = free_pages(cache);
    lckv_token long_prompt[100] = {0};
    items[0] = item_of(a, 20, 21, got[0]);
    items[1] = item_of(b, 5, 6, got[1]);
    items[1].tokens = long_prompt;
    items[1].n_tokens = 100;
    items[1].want = LCKV_WANT_NOTHING;
    lckv_evaluate_report cost = {.size = sizeof cost}, report = {.size = sizeof report};
    ck_assert_status(lckv_evaluate_cost(cache, items, sizeof *items, 2, NULL, &cost),
                     LCKV_CACHE_FULL);
    ck_assert_status(lckv_evaluate(cache, items, sizeof *items, 2, NULL, &report), LCKV_CACHE_FULL);
    ck_assert_int_eq(report.failed_item, 1);
    ck_assert_uint_gt(report.pages_needed, report.pages_free);
    ck_assert_uint_eq(report.pages_free, pages);
    ck_assert_uint_eq(cost.pages_needed, report.pages_needed);
    ck_assert_uint_eq(free_pages(cache), pages);
    ck_assert_uint_eq(length_of(a), 20);
    ck_assert_uint_eq(length_of(b), 5);
    /* What comes after is bitwise as if the failed call had not been. */
    items[0] = item_of(a, 20, N_TOKENS, got[2]);
    ck_assert_ok(run(cache, items, 1, LCKV_PREFILL_AUTO));
    ck_assert(memcmp(got[2], expected + 20 * N_VOCAB, 20 * N_VOCAB * sizeof(float)) == 0);
    lckv_session_release(a);
    lckv_session_release(b);
    ck_assert_uint_gt(free_pages(cache), pages);
    lckv_cache_release(cache);
    lckv_model_release(model);
}
END_TEST

struct canceller {
    lckv_cache *cache;
    lckv_session *session;
    int calls;
    lckv_status inside;
};

static int32_t cancel_at_third(void *user, uint64_t done, uint64_t total)
{
    struct canceller *canceller = user;
    uint64_t length;
    ck_assert_uint_le(done, total);
    canceller->inside = lckv_session_length(canceller->session, &length);
    return ++canceller->calls == 3;
}

static int32_t cancel_from_outside(void *user, uint64_t done, uint64_t total)
{
    struct canceller *canceller = user;
    (void)total;
    if (done == 2)
        lckv_cache_cancel(canceller->cache);
    return 0;
}

START_TEST(a_cancelled_call_changes_nothing)
{
    lckv_model *model = open_model(models[_i % 3], LCKV_PRECISION_FULL);
    reference_logits(model, expected);
    lckv_cache *cache =
        make_cache(model, (lckv_cache_options){.page_positions = 16, .n_threads = 2});
    lckv_session *a = make_session(cache), *b = make_session(cache);
    lckv_cache_cancel(cache); /* no call: nothing to cancel */
    lckv_item items[2] = {item_of(a, 0, 10, got[0]), item_of(b, 0, 7, got[1])};
    ck_assert_ok(run(cache, items, 2, LCKV_PREFILL_AUTO));
    uint64_t pages = free_pages(cache);
    struct canceller canceller = {.cache = cache, .session = a};
    lckv_evaluate_options options = {.size = sizeof options,
                                     .prefill = LCKV_PREFILL_EXACT,
                                     .progress = _i < 3 ? cancel_at_third : cancel_from_outside,
                                     .progress_user = &canceller};
    lckv_item more[2] = {item_of(a, 10, 30, got[0]), item_of(b, 7, 30, got[1])};
    ck_assert_status(lckv_evaluate(cache, more, sizeof *more, 2, &options, NULL), LCKV_CANCELLED);
    if (_i < 3)
        ck_assert_int_eq(canceller.inside, LCKV_BUSY);
    ck_assert_uint_eq(length_of(a), 10);
    ck_assert_uint_eq(length_of(b), 7);
    ck_assert_uint_eq(free_pages(cache), pages);
    lckv_item rest[2] = {item_of(b, 7, N_TOKENS, got[1]), item_of(a, 10, N_TOKENS, got[0])};
    ck_assert_ok(run(cache, rest, 2, LCKV_PREFILL_AUTO));
    ck_assert(memcmp(got[0], expected + 10 * N_VOCAB, 30 * N_VOCAB * sizeof(float)) == 0);
    ck_assert(memcmp(got[1], expected + 7 * N_VOCAB, 33 * N_VOCAB * sizeof(float)) == 0);
    lckv_session_release(a);
    lckv_session_release(b);
    lckv_cache_release(cache);
    lckv_model_release(model);
}
END_TEST

struct releaser {
    lckv_cache *cache;
    lckv_session *session;
};

static int32_t release_all(void *user, uint64_t done, uint64_t total)
{
    struct releaser *releaser = user;
    (void)done, (void)total;
    lckv_session_release(releaser->session);
    releaser->session = NULL;
    return 0;
}

START_TEST(handles_are_released_in_any_order_at_any_time)
{
    lckv_model *model = open_model(UPWARD, LCKV_PRECISION_FULL);
    lckv_cache *cache = make_cache(model, (lckv_cache_options){0});
    lckv_session *a = make_session(cache), *b = make_session(cache);
    lckv_model_release(model); /* parents first: the children hold them */
    lckv_cache_retain(cache);
    lckv_cache_release(cache);
    struct releaser releaser = {cache, b};
    lckv_evaluate_options options = {
        .size = sizeof options, .progress = release_all, .progress_user = &releaser};
    lckv_item items[2] = {item_of(a, 0, 4, got[0]), item_of(b, 0, 4, got[1])};
    /* Released by a callback in the middle of the call: its end is what frees it. */
    ck_assert_ok(lckv_evaluate(cache, items, sizeof *items, 2, &options, NULL));
    ck_assert(memcmp(got[0], got[1], 4 * N_VOCAB * sizeof(float)) == 0);
    lckv_cache_stats stats = {.size = sizeof stats};
    ck_assert_ok(lckv_cache_get_stats(cache, &stats));
    ck_assert_uint_eq(stats.n_sessions, 1);
    lckv_cache_release(cache);
    ck_assert_uint_eq(length_of(a), 4);
    lckv_session_release(a);
    lckv_session_release(NULL);
    lckv_cache_release(NULL);
    lckv_model_release(NULL);
}
END_TEST

struct busy {
    lckv_cache *cache;
    lckv_session *session;
    pthread_barrier_t started, seen;
    lckv_status statuses[4];
};

static int32_t wait_in_call(void *user, uint64_t done, uint64_t total)
{
    struct busy *busy = user;
    (void)total;
    if (done == 1) {
        pthread_barrier_wait(&busy->started);
        pthread_barrier_wait(&busy->seen);
    }
    return 0;
}

static void *call_meanwhile(void *user)
{
    struct busy *busy = user;
    uint64_t length;
    lckv_session *session;
    pthread_barrier_wait(&busy->started);
    lckv_item item = item_of(busy->session, 0, 1, NULL);
    busy->statuses[0] = lckv_evaluate(busy->cache, &item, sizeof item, 1, NULL, NULL);
    busy->statuses[1] = lckv_session_length(busy->session, &length);
    busy->statuses[2] = lckv_session_create(busy->cache, &session);
    busy->statuses[3] = lckv_session_truncate(busy->session, 0);
    (void)free_pages(busy->cache); /* the statistics answer all the same */
    pthread_barrier_wait(&busy->seen);
    return NULL;
}

START_TEST(a_busy_cache_says_so)
{
    lckv_model *model = open_model(UPWARD, LCKV_PRECISION_FULL);
    struct busy busy = {.cache = make_cache(model, (lckv_cache_options){0})};
    busy.session = make_session(busy.cache);
    pthread_barrier_init(&busy.started, NULL, 2);
    pthread_barrier_init(&busy.seen, NULL, 2);
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, call_meanwhile, &busy), 0);
    lckv_evaluate_options options = {
        .size = sizeof options, .progress = wait_in_call, .progress_user = &busy};
    lckv_item item = item_of(busy.session, 0, 3, got[0]);
    ck_assert_ok(lckv_evaluate(busy.cache, &item, sizeof item, 1, &options, NULL));
    pthread_join(thread, NULL);
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(busy.statuses[i], LCKV_BUSY);
    ck_assert_uint_eq(length_of(busy.session), 3);
    pthread_barrier_destroy(&busy.started);
    pthread_barrier_destroy(&busy.seen);
    lckv_session_release(busy.session);
    lckv_cache_release(busy.cache);
    lckv_model_release(model);
}
END_TEST

START_TEST(truncating_brings_back_the_shorter_session)
{
    lckv_model *model = open_model(models[_i], LCKV_PRECISION_FULL);
    reference_logits(model, expected);
    lckv_cache *cache = make_cache(model, (lckv_cache_options){.page_positions = 16});
    lckv_session *session = make_session(cache);
    lckv_item item = item_of(session, 0, N_TOKENS, got[0]);
    ck_assert_ok(run(cache, &item, 1, LCKV_PREFILL_AUTO));
    ck_assert_ok(lckv_session_truncate(session, 21));
    lckv_token kept[N_TOKENS];
    size_t n_tokens;
    ck_assert_status(lckv_session_tokens(session, kept, 20, &n_tokens), LCKV_BUFFER_TOO_SMALL);
    ck_assert_uint_eq(n_tokens, 21);
    ck_assert_ok(lckv_session_tokens(session, kept, N_TOKENS, &n_tokens));
    ck_assert_uint_eq(n_tokens, 21);
    ck_assert(memcmp(kept, tokens, 21 * sizeof *kept) == 0);
    item = item_of(session, 21, N_TOKENS, got[0]);
    ck_assert_ok(run(cache, &item, 1, LCKV_PREFILL_AUTO));
    ck_assert(memcmp(got[0], expected + 21 * N_VOCAB, 19 * N_VOCAB * sizeof(float)) == 0);
    ck_assert_status(lckv_session_truncate(session, N_TOKENS + 1), LCKV_INVALID_ARGUMENT);
    ck_assert_uint_eq(length_of(session), N_TOKENS);
    lckv_session_release(session);
    lckv_cache_release(cache);
    lckv_model_release(model);
}
END_TEST

START_TEST(windowed_slots_forget_and_say_so)
{
    lckv_model *model = open_model(WINDOWED, LCKV_PRECISION_FULL);
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
    ck_assert_status(lckv_session_read_kv(session, ALL_WINDOWED_SLOT, 100, 200, keys, NULL),
                     LCKV_OUT_OF_WINDOW);
    ck_assert_ok(lckv_session_read_kv(session, ALL_WINDOWED_SLOT, 183, 200, keys, NULL));
    ck_assert_ok(lckv_session_read_kv(session, 3, 0, 200, keys, NULL));
    ck_assert_status(lckv_session_truncate(session, 189), LCKV_OUT_OF_WINDOW);
    ck_assert_uint_eq(length_of(session), 200);
    /* Back to the shortest length, and on: as if it had never gone further. */
    static float once[N_VOCAB], again[N_VOCAB];
    lckv_session *straight = make_session(cache);
    lckv_item items[1] = {item_of(straight, 0, 191, once)};
    items[0].want = LCKV_WANT_LAST;
    ck_assert_ok(run(cache, items, 1, LCKV_PREFILL_AUTO));
    ck_assert_ok(lckv_session_truncate(session, 190));
    items[0] = item_of(session, 190, 191, again);
    ck_assert_ok(run(cache, items, 1, LCKV_PREFILL_AUTO));
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
    lckv_model *model = open_model(WINDOWED, LCKV_PRECISION_FULL);
    lckv_cache *large = make_cache(model, (lckv_cache_options){.n_tokens = 1024});
    lckv_cache *small = make_cache(model, (lckv_cache_options){.budget_bytes = 0,
                                                               .n_tokens = 200,
                                                               .max_sessions = 1,
                                                               .rollback = 1,
                                                               .page_positions = 16});
    static float a[N_VOCAB], b[N_VOCAB];
    lckv_session *in_large = make_session(large), *in_small = make_session(small);
    lckv_item item = item_of(in_large, 0, 200, a);
    item.want = LCKV_WANT_LAST;
    ck_assert_ok(run(large, &item, 1, LCKV_PREFILL_AUTO));
    lckv_cache_stats stats = {.size = sizeof stats};
    ck_assert_ok(lckv_cache_get_stats(small, &stats));
    ck_assert_uint_lt(stats.n_pages, 4 * 13); /* fewer than four full slots would take */
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

START_TEST(budgets_are_kept)
{
    lckv_model *model = open_model(UPWARD, LCKV_PRECISION_FAST);
    lckv_cache_options options = {
        .size = sizeof options, .budget_bytes = 8 << 20, .max_rows = 32, .max_logit_rows = 2};
    lckv_cache *cache;
    ck_assert_ok(lckv_cache_create(model, &options, &cache));
    lckv_cache_stats stats = {.size = sizeof stats};
    ck_assert_ok(lckv_cache_get_stats(cache, &stats));
    ck_assert_uint_le(stats.page_bytes_total + stats.scratch_bytes + stats.table_bytes, 8 << 20);
    ck_assert_uint_gt(stats.page_bytes_total, 4 << 20);
    ck_assert_uint_eq(stats.bytes_per_token, 2 * 3 * 2 * 16 * 2);
    lckv_cache_release(cache);
    options.budget_bytes = 1000;
    ck_assert_status(lckv_cache_create(model, &options, &cache), LCKV_INVALID_ARGUMENT);
    ck_assert_error_has("budget_bytes");
    options.budget_bytes = 0;
    options.page_positions = 24;
    ck_assert_status(lckv_cache_create(model, &options, &cache), LCKV_INVALID_ARGUMENT);
    ck_assert_error_has("page_positions");
    options.page_positions = 16;
    options.kv_dtype = LCKV_DTYPE_Q8_0;
    ck_assert_status(lckv_cache_create(model, &options, &cache), LCKV_UNSUPPORTED);
    ck_assert_error_has("kv_dtype");
    lckv_model_release(model);
}
END_TEST

START_TEST(caches_share_a_pool)
{
    lckv_model *model = open_model(DOWNWARD, LCKV_PRECISION_FULL);
    reference_logits(model, expected);
    lckv_pool *pool;
    ck_assert_ok(lckv_pool_create(3, &pool));
    lckv_cache *caches[2];
    for (int i = 0; i < 2; i++)
        caches[i] = make_cache(model, (lckv_cache_options){.pool = pool});
    lckv_pool_release(pool);
    for (int i = 0; i < 2; i++) {
        lckv_session *session = make_session(caches[i]);
        lckv_item item = item_of(session, 0, N_TOKENS, got[i]);
        ck_assert_ok(run(caches[i], &item, 1, LCKV_PREFILL_AUTO));
        ck_assert(memcmp(got[i], expected, sizeof expected) == 0);
        lckv_session_release(session);
    }
    lckv_cache_release(caches[0]);
    lckv_cache_release(caches[1]);
    lckv_model_release(model);
}
END_TEST

struct allocations {
    long until_failure; /* counts down; negative: never */
    long live;
};

static void *failing_alloc(void *user, size_t size, size_t align)
{
    struct allocations *allocations = user;
    void *pointer;
    if (allocations->until_failure == 0)
        return NULL;
    allocations->until_failure--;
    if (posix_memalign(&pointer, align, size) != 0)
        return NULL;
    __atomic_add_fetch(&allocations->live, 1, __ATOMIC_RELAXED);
    return pointer;
}

static void counting_free(void *user, void *pointer, size_t size)
{
    struct allocations *allocations = user;
    (void)size;
    __atomic_sub_fetch(&allocations->live, 1, __ATOMIC_RELAXED);
    free(pointer);
}

/* From opening to the first logits, with the nth allocation refused. */
static lckv_status whole_life(const char *path, struct allocations *allocations)
{
    lckv_allocator allocator = {.size = sizeof allocator,
                                .user = allocations,
                                .alloc = failing_alloc,
                                .free = counting_free};
    lckv_model_options options = {.size = sizeof options, .allocator = &allocator};
    lckv_model *model = NULL;
    lckv_cache *cache = NULL;
    lckv_session *session = NULL;
    lckv_status status = lckv_model_open(path, &options, &model);
    lckv_cache_options cache_options = {
        .size = sizeof cache_options, .n_tokens = 64, .n_threads = 2};
    if (status == LCKV_OK)
        status = lckv_cache_create(model, &cache_options, &cache);
    if (status == LCKV_OK)
        status = lckv_session_create(cache, &session);
    if (status == LCKV_OK) {
        lckv_item item = item_of(session, 0, 8, NULL);
        item.want = LCKV_WANT_LAST;
        status = lckv_evaluate(cache, &item, sizeof item, 1, NULL, NULL);
        if (status != LCKV_OK)
            ck_assert_uint_eq(length_of(session), 0);
    }
    lckv_session_release(session);
    lckv_cache_release(cache);
    lckv_model_release(model);
    return status;
}

START_TEST(every_refused_allocation_is_survived)
{
    struct allocations allocations = {.until_failure = -1};
    ck_assert_ok(whole_life(WINDOWED, &allocations));
    ck_assert_int_eq(allocations.live, 0);
    long n = 0;
    for (;; n++) {
        allocations.until_failure = n;
        lckv_status status = whole_life(WINDOWED, &allocations);
        ck_assert_msg(allocations.live == 0, "refusing allocation %ld leaks %ld blocks", n,
                      allocations.live);
        if (status == LCKV_OK)
            break;
        ck_assert_msg(status == LCKV_OUT_OF_MEMORY, "refusing allocation %ld gives %s: %s", n,
                      lckv_status_name(status), lckv_last_error());
    }
    ck_assert_int_gt(n, 20);
}
END_TEST

static void add_all(Suite *suite)
{
    TCase *tcase = tcase_create("cache");
    tcase_set_timeout(tcase, 300);
    tcase_add_loop_test(tcase, logits_do_not_depend_on_threads_pages_batches_or_splits, 0, 6);
    tcase_add_loop_test(tcase, only_wanted_rows_come_back_and_they_are_the_same, 0, 3);
    tcase_add_test(tcase, bad_items_change_nothing);
    tcase_add_test(tcase, a_full_cache_changes_nothing);
    tcase_add_loop_test(tcase, a_cancelled_call_changes_nothing, 0, 6);
    tcase_add_test(tcase, handles_are_released_in_any_order_at_any_time);
    tcase_add_test(tcase, a_busy_cache_says_so);
    tcase_add_loop_test(tcase, truncating_brings_back_the_shorter_session, 0, 3);
    tcase_add_test(tcase, windowed_slots_forget_and_say_so);
    tcase_add_test(tcase, windows_keep_a_long_prompt_in_little_memory);
    tcase_add_test(tcase, budgets_are_kept);
    tcase_add_test(tcase, caches_share_a_pool);
    tcase_add_test(tcase, every_refused_allocation_is_survived);
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("cache", add_all)
