/*
 * Caches of one model, each in a thread of its own, at the same time: sessions are evaluated,
 * forked, reused, saved and restored in each of them, and every logit is what it is alone. Under
 * ThreadSanitizer this shows that caches share nothing that changes. Uses the public header only.
 */
#include "saved_support.h"

#include <pthread.h>
#include <stdatomic.h>

enum { N_THREADS = 4, N_ROUNDS = 6 };

struct side {
    lckv_cache *cache;
    const struct bytes *saved; /* a session of all tokens, for every thread */
    pthread_barrier_t *start;
    atomic_int *n_running;
    float logits[N_TOKENS * N_VOCAB];
};

/* Appends the tokens that a session lacks, and compares their logits. */
static void complete(struct side *side, lckv_session *session)
{
    const size_t begin = length_of(session);
    lckv_item item = item_of(session, begin, N_TOKENS, side->logits);
    ck_assert_ok(run(side->cache, &item, 1, LCKV_PREFILL_AUTO));
    ck_assert_mem_eq(side->logits, expected + begin * N_VOCAB,
                     (N_TOKENS - begin) * N_VOCAB * sizeof *expected);
}

static void live_a_round(struct side *side, size_t round)
{
    lckv_session *sessions[3], *restored[3];
    size_t n_reused = 0;
    sessions[0] = make_session(side->cache);
    ck_assert_ok(lckv_session_reuse(sessions[0], tokens, N_TOKENS, &n_reused));
    ck_assert_uint_eq(n_reused, round > 0 ? N_TOKENS - 1 : 0);
    complete(side, sessions[0]);
    for (size_t i = 1; i < 3; i++) {
        ck_assert_ok(lckv_session_fork(sessions[0], &sessions[i]));
        ck_assert_ok(lckv_session_truncate(sessions[i], N_TOKENS - i * 7 - round));
        complete(side, sessions[i]);
    }
    struct bytes bytes = save(sessions, 3);
    restore(side->cache, &bytes, restored, 3);
    for (size_t i = 0; i < 3; i++) {
        ck_assert_ok(lckv_session_truncate(restored[i], N_TOKENS - 1 - i));
        complete(side, restored[i]);
    }
    free(bytes.data);
    release_all(restored, 3);
    bytes = *side->saved;
    restore(side->cache, &bytes, restored, 1);
    ck_assert_ok(lckv_session_truncate(restored[0], N_TOKENS / 2));
    complete(side, restored[0]);
    release_all(restored, 1);
    release_all(sessions, 3);
}

static void *live(void *argument)
{
    struct side *side = argument;
    pthread_barrier_wait(side->start);
    for (size_t round = 0; round < N_ROUNDS; round++)
        live_a_round(side, round);
    atomic_fetch_sub(side->n_running, 1);
    return NULL;
}

/* What all threads restore comes from a cache that is gone. */
static struct bytes save_all_tokens(const lckv_model *model)
{
    lckv_cache *cache = make_paged(model, 64);
    lckv_session *session = make_session(cache);
    lckv_item item = item_of(session, 0, N_TOKENS, got[0]);
    ck_assert_ok(run(cache, &item, 1, LCKV_PREFILL_AUTO));
    struct bytes bytes = save(&session, 1);
    lckv_session_release(session);
    lckv_cache_release(cache);
    return bytes;
}

/* The main thread looks on, and gives its handles up while the others work. */
static void look_on(struct side *sides, lckv_model *model, lckv_pool *pool)
{
    lckv_pool_release(pool);
    lckv_model_release(model);
    while (atomic_load(sides[0].n_running) > 0) {
        for (size_t i = 0; i < N_THREADS; i++) {
            lckv_cache_stats stats = stats_of(sides[i].cache);
            ck_assert_uint_le(stats.n_pages_free, stats.n_pages);
            ck_assert_uint_le(stats.n_sessions, stats.max_sessions);
        }
    }
}

/*
 * _i / 2: the model; _i % 2: whether the caches have threads of their own or take turns on a pool
 */
START_TEST(caches_share_nothing_that_changes)
{
    static struct side sides[N_THREADS];
    lckv_model *model = open_golden(models[_i / 2], LCKV_PRECISION_FAST);
    lckv_pool *pool = NULL;
    pthread_t threads[N_THREADS];
    pthread_barrier_t start;
    atomic_int n_running = N_THREADS;
    reference_logits(model, 0, expected);
    struct bytes saved = save_all_tokens(model);
    if (_i % 2 == 1)
        ck_assert_ok(lckv_pool_create(2, &pool));
    ck_assert_int_eq(pthread_barrier_init(&start, NULL, N_THREADS), 0);
    for (size_t i = 0; i < N_THREADS; i++) {
        const lckv_cache_options options = {.page_positions = 16 * (uint32_t)(1 + i),
                                            .n_tokens = 8 * N_TOKENS,
                                            .max_sessions = 8,
                                            .n_threads = 1 + (uint32_t)i % 2,
                                            .pool = pool};
        sides[i] = (struct side){.cache = make_cache(model, options),
                                 .saved = &saved,
                                 .start = &start,
                                 .n_running = &n_running};
        ck_assert_int_eq(pthread_create(&threads[i], NULL, live, &sides[i]), 0);
    }
    look_on(sides, model, pool);
    for (size_t i = 0; i < N_THREADS; i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
        lckv_cache_stats stats = stats_of(sides[i].cache);
        ck_assert_uint_eq(stats.n_pages_free, stats.n_pages);
        ck_assert_uint_eq(stats.n_reuses, N_ROUNDS - 1);
        lckv_cache_release(sides[i].cache);
    }
    pthread_barrier_destroy(&start);
    free(saved.data);
}
END_TEST

static void add_threads(Suite *suite)
{
    TCase *tcase = tcase_create("threads");
    tcase_add_checked_fixture(tcase, make_tokens, NULL);
    tcase_set_timeout(tcase, 300);
    tcase_add_loop_test(tcase, caches_share_nothing_that_changes, 0, 2 * (int)COUNT(models));
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("caches side by side", add_threads)
