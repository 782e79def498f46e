/*
 * What a session shows while another thread works on it: its length, shortest length, tokens and
 * statistics, at any time, without tearing and without making the working call fail. Uses the
 * public header only.
 */
#include "cache_support.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#define STEP 3
#define N_ROUNDS 40

struct watch {
    lckv_cache *cache;
    lckv_session *session;
    _Atomic int ended, n_looks;
};

/* The token of the endless text at any position. */
static lckv_token token_at(uint64_t position)
{
    return (lckv_token)((position * 37 + 11) % 131);
}

static void *look(void *user)
{
    struct watch *watch = user;
    static _Thread_local lckv_token seen[N_ROUNDS * STEP];
    while (!atomic_load(&watch->ended)) {
        uint64_t length, least;
        size_t n;
        const float *logits;
        ck_assert_ok(lckv_session_min_length(watch->session, &least));
        ck_assert_ok(lckv_session_length(watch->session, &length));
        ck_assert_uint_le(least, length);
        ck_assert_uint_eq(length % STEP, 0); /* calls grow it by whole steps */
        ck_assert_ok(lckv_session_tokens(watch->session, seen, COUNT(seen), &n));
        ck_assert_uint_ge(n, length);
        ck_assert_uint_eq(n % STEP, 0);
        for (size_t i = 0; i < n; i++)
            ck_assert_int_eq(seen[i], token_at(i));
        ck_assert_uint_le(free_pages(watch->cache), stats_of(watch->cache).n_pages);
        lckv_status status = lckv_session_logits(watch->session, &logits, &n);
        ck_assert(status == LCKV_OK || status == LCKV_BUSY || status == LCKV_INVALID_ARGUMENT);
        atomic_fetch_add(&watch->n_looks, 1);
    }
    return NULL;
}

/* Lets the call go on when another thread has looked, from beginning to end, while it worked. */
static int32_t wait_for_a_look(void *user, uint64_t done, uint64_t total)
{
    struct watch *watch = user;
    (void)done, (void)total;
    for (int seen = atomic_load(&watch->n_looks); atomic_load(&watch->n_looks) < seen + 3;)
        sched_yield();
    return 0;
}

START_TEST(looking_on_makes_no_call_fail)
{
    lckv_model *model = open_golden(models[_i], LCKV_PRECISION_FULL);
    lckv_cache *cache = make_cache(model, (lckv_cache_options){.n_threads = 1});
    struct watch watch = {.cache = cache, .session = make_session(cache)};
    lckv_evaluate_options options = {
        .size = sizeof options, .progress = wait_for_a_look, .progress_user = &watch};
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, look, &watch), 0);
    for (uint64_t t = 0; t < N_ROUNDS * STEP; t += STEP) {
        lckv_token next[STEP] = {token_at(t), token_at(t + 1), token_at(t + 2)};
        lckv_item item = make_item(watch.session, next, STEP, NULL, N_VOCAB);
        item.want = LCKV_WANT_LAST;
        ck_assert_ok(lckv_evaluate(cache, &item, sizeof item, 1, &options, NULL));
    }
    atomic_store(&watch.ended, 1);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    lckv_session_release(watch.session);
    lckv_cache_release(cache);
    lckv_model_release(model);
}
END_TEST

struct counted {
    lckv_cache *cache;
    uint64_t n_free;
};

static int32_t count_free_pages(void *user, uint64_t done, uint64_t total)
{
    struct counted *counted = user;
    (void)done, (void)total;
    counted->n_free = free_pages(counted->cache);
    return 0;
}

/* Nobody has asked before the call. It takes no page, so the free ones are those from before it. */
START_TEST(statistics_during_a_call_are_those_from_before_it)
{
    lckv_model *model = open_golden(models[_i], LCKV_PRECISION_FULL);
    lckv_cache *cache = make_cache(model, (lckv_cache_options){.page_positions = 16});
    lckv_session *session = make_session(cache);
    struct counted counted = {.cache = cache};
    lckv_evaluate_options options = {
        .size = sizeof options, .progress = count_free_pages, .progress_user = &counted};
    make_tokens();
    lckv_item begin = item_of(session, 0, 5, got[0]), more = item_of(session, 5, 9, got[0]);
    ck_assert_ok(run(cache, &begin, 1, LCKV_PREFILL_AUTO));
    ck_assert_ok(lckv_evaluate(cache, &more, sizeof more, 1, &options, NULL));
    ck_assert_uint_eq(counted.n_free, free_pages(cache));
    ck_assert_uint_eq(counted.n_free, stats_of(cache).n_pages - plan_info_of(model).n_slots);
    lckv_session_release(session);
    lckv_cache_release(cache);
    lckv_model_release(model);
}
END_TEST

START_TEST(getters_check_their_arguments)
{
    lckv_model *model = open_golden(UPWARD, LCKV_PRECISION_FULL);
    lckv_cache *cache = make_cache(model, (lckv_cache_options){0});
    lckv_session *session = make_session(cache);
    uint64_t length;
    size_t n = 77;
    lckv_token few[2];
    char message[200];
    ck_assert_ok(lckv_session_tokens(session, NULL, 0, &n));
    ck_assert_uint_eq(n, 0);
    make_tokens();
    lckv_item item = item_of(session, 0, 3, got[0]);
    ck_assert_ok(run(cache, &item, 1, LCKV_PREFILL_AUTO));
    ck_assert_status(lckv_session_length(NULL, &length), LCKV_INVALID_ARGUMENT);
    ck_assert_status(lckv_session_length(session, NULL), LCKV_INVALID_ARGUMENT);
    ck_assert_status(lckv_session_min_length(NULL, &length), LCKV_INVALID_ARGUMENT);
    ck_assert_status(lckv_session_min_length(session, NULL), LCKV_INVALID_ARGUMENT);
    ck_assert_status(lckv_session_tokens(NULL, few, 2, &n), LCKV_INVALID_ARGUMENT);
    ck_assert_status(lckv_session_tokens(session, few, 2, NULL), LCKV_INVALID_ARGUMENT);
    ck_assert_status(lckv_session_tokens(session, NULL, 3, &n), LCKV_INVALID_ARGUMENT);
    ck_assert_status(lckv_session_tokens(session, few, 2, &n), LCKV_BUFFER_TOO_SMALL);
    ck_assert_uint_eq(n, 3);
    ck_assert_status(lckv_session_tokens(session, NULL, 0, &n), LCKV_BUFFER_TOO_SMALL);
    ck_assert_uint_eq(n, 3);
    lckv_cache_last_error(cache, message, sizeof message);
    ck_assert_str_eq(message, "room for 0 tokens; there are 3");
    ck_assert_ok(lckv_session_read_tokens(session, 1, 3, few));
    ck_assert_mem_eq(few, tokens + 1, sizeof few);
    ck_assert_ok(lckv_session_read_tokens(session, 2, 2, NULL));
    ck_assert_status(lckv_session_read_tokens(NULL, 0, 1, few), LCKV_INVALID_ARGUMENT);
    ck_assert_status(lckv_session_read_tokens(session, 0, 1, NULL), LCKV_INVALID_ARGUMENT);
    ck_assert_status(lckv_session_read_tokens(session, 2, 4, few), LCKV_INVALID_ARGUMENT);
    lckv_cache_last_error(cache, message, sizeof message);
    ck_assert_str_eq(message, "positions 2 to 4; the session has 3 tokens");
    ck_assert_status(lckv_session_truncate(NULL, 0), LCKV_INVALID_ARGUMENT);
    ck_assert_status(lckv_session_logits(NULL, NULL, &n), LCKV_INVALID_ARGUMENT);
    ck_assert_status(lckv_session_logits(session, NULL, &n), LCKV_INVALID_ARGUMENT);
    lckv_session_release(session);
    lckv_cache_release(cache);
    lckv_model_release(model);
}
END_TEST

/* Positions up to the length can be read and not one more, although the page holds more. */
START_TEST(keys_and_values_end_where_the_session_does)
{
    lckv_model *model = open_golden(models[_i], LCKV_PRECISION_FULL);
    lckv_model_info info = info_of(model);
    lckv_cache *cache = make_cache(model, (lckv_cache_options){0});
    lckv_session *session = make_session(cache);
    static float keys[8 * 256], values[8 * 256];
    size_t row = (size_t)info.n_kv_heads * info.head_dim;
    ck_assert_uint_le(row, 256);
    make_tokens();
    lckv_item item = item_of(session, 0, 5, got[0]);
    ck_assert_ok(run(cache, &item, 1, LCKV_PREFILL_AUTO));
    uint32_t n_slots = plan_info_of(model).n_slots;
    for (uint32_t slot = 0; slot < n_slots; slot++) {
        keys[5 * row] = values[5 * row] = 77.0f;
        ck_assert_ok(lckv_session_read_kv(session, slot, 0, 5, keys, values));
        ck_assert(keys[5 * row - 1] != 0.0f && values[5 * row - 1] != 0.0f);
        ck_assert(keys[5 * row] == 77.0f && values[5 * row] == 77.0f);
        ck_assert_ok(lckv_session_read_kv(session, slot, 5, 5, keys, values));
        ck_assert_status(lckv_session_read_kv(session, slot, 0, 6, keys, values),
                         LCKV_INVALID_ARGUMENT);
        ck_assert_status(lckv_session_read_kv(session, slot, 5, 6, keys, NULL),
                         LCKV_INVALID_ARGUMENT);
        ck_assert_status(lckv_session_read_kv(session, slot, 4, 3, keys, values),
                         LCKV_INVALID_ARGUMENT);
    }
    ck_assert_status(lckv_session_read_kv(session, n_slots, 0, 5, keys, values),
                     LCKV_INVALID_ARGUMENT);
    ck_assert_ok(lckv_session_truncate(session, 4));
    ck_assert_status(lckv_session_read_kv(session, 0, 0, 5, keys, values), LCKV_INVALID_ARGUMENT);
    lckv_session_release(session);
    lckv_cache_release(cache);
    lckv_model_release(model);
}
END_TEST

static void add_all(Suite *suite)
{
    TCase *tcase = tcase_create("shown");
    tcase_set_timeout(tcase, 300);
    tcase_add_loop_test(tcase, looking_on_makes_no_call_fail, 0, 3);
    tcase_add_loop_test(tcase, statistics_during_a_call_are_those_from_before_it, 0, 3);
    tcase_add_test(tcase, getters_check_their_arguments);
    tcase_add_loop_test(tcase, keys_and_values_end_where_the_session_does, 0, 3);
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("what sessions show", add_all)
