/*
 * The contract of caches, sessions and lckv_evaluate: what is checked before anything changes, what
 * a failed call leaves unchanged, and who may release what and when. Uses the public header only.
 */
#include "cache_support.h"

#include <pthread.h>
#include <stdbool.h>

#include "allocator.h"

START_TEST(bad_items_change_nothing)
{
    lckv_model *model = open_golden(UPWARD, LCKV_PRECISION_FULL);
    lckv_cache *cache = make_cache(model, (lckv_cache_options){.n_tokens = 256, .max_rows = 16}),
               *other = make_cache(model, (lckv_cache_options){.n_tokens = 64});
    lckv_session *session = make_session(cache), *foreign = make_session(other);
    lckv_item good = item_of(session, 0, 4, got[0]);
    ck_assert_ok(run(cache, &good, 1, LCKV_PREFILL_AUTO));
    uint64_t pages = free_pages(cache);
    lckv_token bad_token[2] = {1, N_VOCAB}, negative[1] = {-1};
    lckv_item bad[12];
    for (int i = 0; i < 12; i++)
        bad[i] = item_of(session, 4, 8, got[0]);
    bad[0].session = NULL;
    bad[1].session = foreign;
    bad[2].n_tokens = 0;
    bad[3].tokens = bad_token, bad[3].n_tokens = 2;
    bad[4].tokens = negative, bad[4].n_tokens = 1;
    bad[5].logits_capacity = 4 * N_VOCAB - 1;
    bad[6].want = 3;
    bad[8].want = LCKV_WANT_HIDDEN | LCKV_WANT_HIDDEN_ALL;
    bad[8].hidden = got[0], bad[8].hidden_capacity = 1000;
    bad[9].want = LCKV_WANT_ALL | 16;
    bad[10].want = LCKV_WANT_HIDDEN_ALL; /* 4 rows of 64 */
    bad[10].hidden = got[0], bad[10].hidden_capacity = 4 * 64 - 1;
    bad[11].reserved = 1;
    bad[7].want = LCKV_WANT_LAST | LCKV_WANT_HIDDEN; /* no array for it */
    for (int i = 0; i < 12; i++) {
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
    lckv_evaluate_report report = {.size = sizeof report, .failed_item = 7};
    ck_assert_status(lckv_evaluate(cache, &good, sizeof good - 8, 1, NULL, &report),
                     LCKV_INVALID_ARGUMENT);
    ck_assert_int_eq(report.failed_item, -1); /* none of the items is at fault */
    report.failed_item = 7;
    ck_assert_status(lckv_evaluate(cache, NULL, sizeof good, 1, NULL, &report),
                     LCKV_INVALID_ARGUMENT);
    ck_assert_int_eq(report.failed_item, -1);
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
    lckv_model *model = open_golden(UPWARD, LCKV_PRECISION_FULL);
    reference_logits(model, 0, expected);
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
    /* What comes next has the bits that it has without the failed call. */
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

/*
 * All pages can be used, and a call that lacks just one is told so. _i: pages beyond a multiple of
 * 3.
 */
START_TEST(a_cache_is_full_when_one_page_is_missing)
{
    lckv_model *model = open_golden(UPWARD, LCKV_PRECISION_FULL); /* 3 slots, none windowed */
    lckv_cache_options options = {.page_positions = 16, .max_rows = 16, .max_sessions = 1};
    options.budget_bytes = 4 << 20;
    lckv_cache *cache = make_cache(model, options);
    lckv_cache_stats stats = stats_of(cache);
    lckv_cache_release(cache);
    options.budget_bytes = stats.scratch_bytes + 12 * stats.page_bytes;
    do {
        options.budget_bytes += stats.page_bytes / 4;
        cache = make_cache(model, options);
        stats = stats_of(cache);
        if (stats.n_pages % 3 == (uint64_t)_i)
            break;
        lckv_cache_release(cache);
    } while (true);
    lckv_session *session = make_session(cache);
    lckv_evaluate_report report = {.size = sizeof report};
    lckv_item item = item_of(session, 0, 16, NULL);
    item.want = LCKV_WANT_NOTHING;
    for (uint64_t page = 0; page < stats.n_pages / 3; page++)
        ck_assert_ok(run(cache, &item, 1, LCKV_PREFILL_AUTO));
    ck_assert_uint_eq(free_pages(cache), (uint64_t)_i);
    item.n_tokens = 1;
    ck_assert_status(lckv_evaluate(cache, &item, sizeof item, 1, NULL, &report), LCKV_CACHE_FULL);
    ck_assert_uint_eq(report.pages_needed, 3);
    ck_assert_uint_eq(report.pages_free, (uint64_t)_i);
    ck_assert_uint_eq(length_of(session), stats.n_pages / 3 * 16);
    lckv_session_release(session);
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
    ck_assert_uint_eq(length, 10); /* as before the call */
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

static int32_t cancel_at_the_end(void *user, uint64_t done, uint64_t total)
{
    struct canceller *canceller = user;
    if (done == total)
        lckv_cache_cancel(canceller->cache);
    return 0;
}

START_TEST(a_cancelled_call_changes_nothing)
{
    static const lckv_progress_callback cancels[] = {cancel_at_third, cancel_from_outside,
                                                     cancel_at_the_end};
    lckv_model *model = open_golden(models[_i % 3], LCKV_PRECISION_FULL);
    reference_logits(model, 0, expected);
    lckv_cache *cache = make_cache(
        model, (lckv_cache_options){.page_positions = 16, .max_rows = 2, .n_threads = 2});
    lckv_session *a = make_session(cache), *b = make_session(cache);
    lckv_cache_cancel(cache); /* no call: nothing to cancel */
    lckv_item items[2] = {item_of(a, 0, 10, got[0]), item_of(b, 0, 7, got[1])};
    ck_assert_ok(run(cache, items, 2, LCKV_PREFILL_AUTO));
    uint64_t pages = free_pages(cache);
    struct canceller canceller = {.cache = cache, .session = a};
    lckv_evaluate_options options = {.size = sizeof options,
                                     .prefill = LCKV_PREFILL_EXACT,
                                     .progress = cancels[_i / 3],
                                     .progress_user = &canceller};
    lckv_item more[2] = {item_of(a, 10, 30, got[0]), item_of(b, 7, 30, got[1])};
    ck_assert_status(lckv_evaluate(cache, more, sizeof *more, 2, &options, NULL), LCKV_CANCELLED);
    if (_i < 3)
        ck_assert_int_eq(canceller.inside, LCKV_OK);
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
    lckv_model *model = open_golden(UPWARD, LCKV_PRECISION_FULL);
    lckv_cache *cache = make_cache(model, (lckv_cache_options){0});
    lckv_session *a = make_session(cache), *b = make_session(cache);
    lckv_model_release(model); /* parents first: the children hold them */
    lckv_cache_retain(cache);
    lckv_cache_release(cache);
    struct releaser releaser = {cache, b};
    lckv_evaluate_options options = {
        .size = sizeof options, .progress = release_all, .progress_user = &releaser};
    lckv_item items[2] = {item_of(a, 0, 4, got[0]), item_of(b, 0, 4, got[1])};
    /* A callback released it in the middle of the call; the end of the call must free it. */
    ck_assert_ok(lckv_evaluate(cache, items, sizeof *items, 2, &options, NULL));
    ck_assert(memcmp(got[0], got[1], 4 * N_VOCAB * sizeof(float)) == 0);
    ck_assert_uint_eq(stats_of(cache).n_sessions, 1);
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
    lckv_sampler *sampler;
    pthread_barrier_t started, seen;
    lckv_status statuses[8];
    uint64_t length;
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
    lckv_session *session;
    lckv_token token;
    const float *logits;
    float row[64];
    size_t n;
    pthread_barrier_wait(&busy->started);
    lckv_item item = item_of(busy->session, 0, 1, NULL);
    busy->statuses[0] = lckv_evaluate(busy->cache, &item, sizeof item, 1, NULL, NULL);
    busy->statuses[1] = lckv_evaluate_cost(busy->cache, &item, sizeof item, 1, NULL, NULL);
    busy->statuses[2] = lckv_session_create(busy->cache, &session);
    busy->statuses[3] = lckv_session_truncate(busy->session, 0);
    busy->statuses[4] = lckv_session_logits(busy->session, &logits, &n);
    busy->statuses[5] = lckv_session_read_kv(busy->session, 0, 0, 1, row, NULL);
    busy->statuses[6] = lckv_generate(busy->session, NULL, tokens, 1, NULL, NULL);
    busy->statuses[7] = lckv_sampler_sample_session(busy->sampler, busy->session, &token);
    /* Functions that only show something answer all the same. */
    (void)free_pages(busy->cache);
    busy->length = length_of(busy->session);
    pthread_barrier_wait(&busy->seen);
    return NULL;
}

START_TEST(a_busy_cache_says_so)
{
    lckv_model *model = open_golden(UPWARD, LCKV_PRECISION_FULL);
    struct busy busy = {.cache = make_cache(model, (lckv_cache_options){0})};
    busy.session = make_session(busy.cache);
    ck_assert_ok(lckv_sampler_create(NULL, &busy.sampler));
    pthread_barrier_init(&busy.started, NULL, 2);
    pthread_barrier_init(&busy.seen, NULL, 2);
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, call_meanwhile, &busy), 0);
    lckv_evaluate_options options = {
        .size = sizeof options, .progress = wait_in_call, .progress_user = &busy};
    lckv_item item = item_of(busy.session, 0, 3, got[0]);
    ck_assert_ok(lckv_evaluate(busy.cache, &item, sizeof item, 1, &options, NULL));
    pthread_join(thread, NULL);
    for (int i = 0; i < 8; i++)
        ck_assert_int_eq(busy.statuses[i], LCKV_BUSY);
    ck_assert_uint_eq(busy.length, 0);
    ck_assert_uint_eq(length_of(busy.session), 3);
    pthread_barrier_destroy(&busy.started);
    pthread_barrier_destroy(&busy.seen);
    lckv_sampler_release(busy.sampler);
    lckv_session_release(busy.session);
    lckv_cache_release(busy.cache);
    lckv_model_release(model);
}
END_TEST

START_TEST(budgets_are_kept)
{
    lckv_model *model = open_golden(UPWARD, LCKV_PRECISION_FAST);
    lckv_cache_options options = {
        .size = sizeof options, .budget_bytes = 8 << 20, .max_rows = 32, .max_logit_rows = 2};
    lckv_cache *cache = make_cache(model, options);
    lckv_cache_stats stats = stats_of(cache);
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
    ck_assert_error_has("kv_dtype is q8_0, which needs a head_dim that is a multiple of 32");
    lckv_model_release(model);
}
END_TEST

START_TEST(keys_and_values_have_types_of_their_own)
{
    lckv_model *model = open_golden(UPWARD, LCKV_PRECISION_FULL);
    lckv_model_info info = {.size = sizeof info};
    ck_assert_ok(lckv_model_get_info(model, &info));
    const lckv_dtype types[][2] = {{LCKV_DTYPE_F32, LCKV_DTYPE_BF16},
                                   {LCKV_DTYPE_BF16, LCKV_DTYPE_F32}};
    for (size_t i = 0; i < 2; i++) {
        lckv_cache *cache = make_cache(
            model, (lckv_cache_options){.kv_dtype = types[i][0], .v_dtype = types[i][1]});
        lckv_cache_stats stats = stats_of(cache);
        ck_assert_int_eq(stats.kv_dtype, types[i][0]);
        ck_assert_int_eq(stats.v_dtype, types[i][1]);
        ck_assert_uint_eq(stats.bytes_per_token, 3 * 2 * 16 * (4 + 2));
        lckv_memory_request request = {.size = sizeof request,
                                       .plan = lckv_model_plan(model),
                                       .n_kv_heads = info.n_kv_heads,
                                       .head_dim = info.head_dim,
                                       .kv_dtype = types[i][0],
                                       .v_dtype = types[i][1]};
        lckv_memory_report report = {.size = sizeof report};
        ck_assert_ok(lckv_memory_estimate(&request, &report));
        ck_assert_uint_eq(report.bytes_per_token, stats.bytes_per_token);
        request.reserved = 1;
        ck_assert_status(lckv_memory_estimate(&request, &report), LCKV_INVALID_ARGUMENT);
        /* What f32 holds is exact; bf16 rounds it, and so the next rounding changes nothing. */
        lckv_session *session = make_session(cache);
        lckv_item item = item_of(session, 0, 8, got[0]);
        ck_assert_ok(run(cache, &item, 1, LCKV_PREFILL_EXACT));
        static float k[8 * 2 * 16], v[8 * 2 * 16];
        ck_assert_ok(lckv_session_read_kv(session, 0, 0, 8, k, v));
        size_t rounded[2] = {0};
        for (size_t e = 0; e < COUNT(k); e++) {
            uint32_t bits[2];
            memcpy(&bits[0], &k[e], 4);
            memcpy(&bits[1], &v[e], 4);
            rounded[0] += (bits[0] & 0xffff) == 0;
            rounded[1] += (bits[1] & 0xffff) == 0;
        }
        ck_assert_uint_lt(rounded[i], COUNT(k) / 8); /* f32 */
        ck_assert_uint_eq(rounded[1 - i], COUNT(k)); /* bf16 */
        lckv_session_release(session);
        lckv_cache_release(cache);
    }
    lckv_cache_options options = {.size = sizeof options, .v_dtype = LCKV_DTYPE_Q6_K};
    lckv_cache *cache;
    ck_assert_status(lckv_cache_create(model, &options, &cache), LCKV_UNSUPPORTED);
    ck_assert_error_has("v_dtype is q6_K");
    lckv_model_release(model);
}
END_TEST

/* All sessions that the cache was made for, half of them with tokens. */
START_TEST(budgets_hold_the_tables_of_all_sessions)
{
    enum { BUDGET = 8 << 20, N_SESSIONS = 1000 };
    static lckv_session *sessions[N_SESSIONS];
    lckv_model *model = open_golden(UPWARD, LCKV_PRECISION_FAST);
    lckv_cache *cache = make_cache(model, (lckv_cache_options){.budget_bytes = BUDGET,
                                                               .max_sessions = N_SESSIONS,
                                                               .max_rows = 32,
                                                               .max_logit_rows = 2,
                                                               .page_positions = 16});
    for (size_t i = 0; i < N_SESSIONS; i++)
        sessions[i] = make_session(cache);
    for (size_t i = 0; i < N_SESSIONS / 2; i++) {
        lckv_item item = item_of(sessions[i], 0, 16, got[0]);
        item.want = LCKV_WANT_NOTHING;
        ck_assert_ok(run(cache, &item, 1, LCKV_PREFILL_ITERATED));
    }
    lckv_cache_stats stats = stats_of(cache);
    ck_assert_uint_eq(stats.n_sessions, N_SESSIONS);
    ck_assert_uint_le(stats.page_bytes_total + stats.scratch_bytes + stats.table_bytes, BUDGET);
    for (size_t i = 0; i < N_SESSIONS; i++)
        lckv_session_release(sessions[i]);
    lckv_cache_release(cache);
    lckv_model_release(model);
}
END_TEST

/* What grows while a session grows are its tables, and the statistics count each of their bytes. */
START_TEST(table_bytes_are_those_that_the_allocator_gave)
{
    static lckv_token many[600];
    struct counting counting = {.n_allowed = SIZE_MAX};
    const lckv_allocator allocator = counting_allocator(&counting);
    lckv_model *model =
        open_model("tests/data/goldens/" WINDOWED, (lckv_model_options){.allocator = &allocator});
    lckv_cache *cache =
        make_cache(model, (lckv_cache_options){.n_tokens = 1024, .page_positions = 16});
    lckv_session *session = make_session(cache);
    const size_t others = counting.out - stats_of(cache).table_bytes;
    for (int round = 0; round < 2; round++) {
        lckv_item item = make_item(session, many, COUNT(many) / 2, NULL, N_VOCAB);
        item.want = LCKV_WANT_NOTHING;
        ck_assert_ok(run(cache, &item, 1, LCKV_PREFILL_AUTO));
        ck_assert_uint_eq(counting.out, others + stats_of(cache).table_bytes);
    }
    lckv_session_release(session);
    lckv_cache_release(cache);
    lckv_model_release(model);
}
END_TEST

/* Does everything from opening to the first logits, with the nth allocation refused. */
static lckv_status whole_life(struct counting *counting)
{
    lckv_allocator allocator = counting_allocator(counting);
    lckv_model_options options = {.size = sizeof options, .allocator = &allocator};
    lckv_model *model = NULL;
    lckv_cache *cache = NULL;
    lckv_session *session = NULL;
    lckv_status status = lckv_model_open("tests/data/goldens/" WINDOWED, &options, &model);
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
    struct counting counting = {.n_allowed = SIZE_MAX};
    ck_assert_ok(whole_life(&counting));
    ck_assert_uint_eq(counting.out, 0);
    size_t n = 0;
    for (;; n++) {
        counting.n_allowed = n;
        lckv_status status = whole_life(&counting);
        ck_assert_msg(counting.out == 0, "refusing allocation %zu leaks %zu bytes", n,
                      counting.out);
        if (status == LCKV_OK)
            break;
        ck_assert_msg(status == LCKV_OUT_OF_MEMORY, "refusing allocation %zu gives %s: %s", n,
                      lckv_status_name(status), lckv_last_error());
    }
    ck_assert_uint_gt(n, 20);
}
END_TEST

static void add_all(Suite *suite)
{
    TCase *tcase = tcase_create("cache");
    tcase_set_timeout(tcase, 300);
    tcase_add_checked_fixture(tcase, make_tokens, NULL);
    tcase_add_test(tcase, bad_items_change_nothing);
    tcase_add_test(tcase, a_full_cache_changes_nothing);
    tcase_add_loop_test(tcase, a_cache_is_full_when_one_page_is_missing, 0, 3);
    tcase_add_loop_test(tcase, a_cancelled_call_changes_nothing, 0, 9);
    tcase_add_test(tcase, handles_are_released_in_any_order_at_any_time);
    tcase_add_test(tcase, a_busy_cache_says_so);
    tcase_add_test(tcase, budgets_are_kept);
    tcase_add_test(tcase, keys_and_values_have_types_of_their_own);
    tcase_add_test(tcase, budgets_hold_the_tables_of_all_sessions);
    tcase_add_test(tcase, table_bytes_are_those_that_the_allocator_gave);
    tcase_add_test(tcase, every_refused_allocation_is_survived);
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("cache", add_all)
