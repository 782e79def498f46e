/*
 * Caches whose calls wait for their turn in the place of LCKV_BUSY. Uses the public header only.
 */
#include "sessions.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#define MODEL "examples/models/stories-lckv-q8_0.gguf"
enum { N_THREADS = 4, N_TOKENS = 24, N_ROUNDS = 6 };

static lckv_model *model;
static lckv_cache *cache;

static void set_up(void)
{
    model = open_model(MODEL, (lckv_model_options){0});
    cache = make_cache(model, (lckv_cache_options){.waits = 1});
}

static void tear_down(void)
{
    lckv_cache_release(cache);
    lckv_model_release(model);
}

/* ---- Many threads ---- */

struct writer {
    pthread_t thread;
    lckv_token tokens[N_ROUNDS][N_TOKENS];
    size_t n_tokens;
};

static int32_t take(void *user, lckv_token token, const char *text, size_t length)
{
    struct writer *writer = user;
    (void)text;
    (void)length;
    if (token >= 0)
        writer->tokens[writer->n_tokens / N_TOKENS][writer->n_tokens % N_TOKENS] = token;
    writer->n_tokens += token >= 0;
    return 0;
}

/* Every call works on the cache, and none of them may say that it is busy. */
static void *write_texts(void *user)
{
    struct writer *writer = user;
    const lckv_token prompt[] = {0, 429, 469};
    const lckv_generate_options options = {.size = sizeof options,
                                           .max_tokens = N_TOKENS,
                                           .ignore_end = 1,
                                           .callback = take,
                                           .callback_user = writer};
    for (size_t round = 0; round < N_ROUNDS; round++) {
        lckv_session *session = make_session(cache), *fork;
        ck_assert_ok(lckv_generate(session, NULL, prompt, 3, &options, NULL));
        ck_assert_ok(lckv_session_fork(session, &fork));
        ck_assert_ok(lckv_session_truncate(fork, 3));
        lckv_session_release(session);
        lckv_session_release(fork);
    }
    return NULL;
}

START_TEST(threads_take_turns)
{
    static struct writer writers[N_THREADS];
    for (size_t i = 0; i < N_THREADS; i++)
        ck_assert_int_eq(pthread_create(&writers[i].thread, NULL, write_texts, &writers[i]), 0);
    for (size_t i = 0; i < N_THREADS; i++) {
        pthread_join(writers[i].thread, NULL);
        ck_assert_uint_eq(writers[i].n_tokens, N_ROUNDS * N_TOKENS);
        for (size_t round = 0; round < N_ROUNDS; round++)
            ck_assert_mem_eq(writers[i].tokens[round], writers[0].tokens[0],
                             sizeof writers[0].tokens[0]);
    }
    ck_assert_uint_eq(stats_of(cache).n_sessions, 0);
}
END_TEST

/* ---- Order ---- */

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static atomic_int n_arrived;
static int order[N_THREADS];
static int n_done; /* under the cache's turns */

static int32_t wait_at_gate(void *user, uint64_t done, uint64_t total)
{
    (void)user;
    (void)done;
    (void)total;
    atomic_fetch_add(&n_arrived, 1);
    pthread_mutex_lock(&gate);
    pthread_mutex_unlock(&gate);
    return 0;
}

static int32_t note_order(void *user, uint64_t done, uint64_t total)
{
    (void)done;
    (void)total;
    order[n_done++] = *(const int *)user;
    return 0;
}

struct turn {
    pthread_t thread;
    int number;
    lckv_progress_callback progress;
    lckv_session *session;
};

static void *take_turn(void *user)
{
    struct turn *turn = user;
    const lckv_token token = 5;
    const lckv_item item = {.session = turn->session, .tokens = &token, .n_tokens = 1};
    const lckv_evaluate_options options = {
        .size = sizeof options, .progress = turn->progress, .progress_user = &turn->number};
    ck_assert_ok(lckv_evaluate(cache, &item, sizeof item, 1, &options, NULL));
    return NULL;
}

START_TEST(who_comes_first_works_first)
{
    struct turn turns[N_THREADS];
    pthread_mutex_lock(&gate);
    for (int i = 0; i < N_THREADS; i++) {
        turns[i] = (struct turn){
            .number = i, .progress = i == 0 ? wait_at_gate : note_order, .session = NULL};
        turns[i].session = make_session(cache);
    }
    for (int i = 0; i < N_THREADS; i++) {
        ck_assert_int_eq(pthread_create(&turns[i].thread, NULL, take_turn, &turns[i]), 0);
        while (atomic_load(&n_arrived) == 0) /* the first one is at work */
            usleep(1000);
        usleep(50 * 1000); /* and this one waits behind it: nothing shows that it does */
    }
    pthread_mutex_unlock(&gate);
    for (int i = 0; i < N_THREADS; i++)
        pthread_join(turns[i].thread, NULL);
    for (int i = 0; i < n_done; i++)
        ck_assert_int_le(order[i > 0 ? i - 1 : 0], order[i]);
    ck_assert_int_ge(n_done, N_THREADS - 1);
    for (int i = 0; i < N_THREADS; i++)
        lckv_session_release(turns[i].session);
}
END_TEST

/* ---- Callbacks ---- */

static int32_t call_again(void *user, lckv_token token, const char *text, size_t length)
{
    lckv_session *session = user, *another;
    (void)token;
    (void)text;
    (void)length;
    ck_assert_status(lckv_session_create(cache, &another), LCKV_BUSY);
    ck_assert_status(lckv_session_truncate(session, 0), LCKV_BUSY);
    ck_assert_status(lckv_generate(session, NULL, &(lckv_token){1}, 1, NULL, NULL), LCKV_BUSY);
    return 0;
}

START_TEST(a_callback_never_waits_for_its_own_call)
{
    lckv_session *session = make_session(cache);
    const lckv_generate_options options = {
        .size = sizeof options, .max_tokens = 3, .callback = call_again, .callback_user = session};
    ck_assert_ok(lckv_generate(session, NULL, &(lckv_token){0}, 1, &options, NULL));
    lckv_session_release(session);
}
END_TEST

/* ---- Releases ---- */

static void *release_cache(void *user)
{
    struct turn *turn = user;
    while (atomic_load(&n_arrived) == 0)
        usleep(1000);
    usleep(50 * 1000); /* the other thread waits now */
    lckv_cache_release(cache);
    pthread_mutex_unlock(&gate);
    lckv_session_release(turn->session);
    return NULL;
}

static void *create_session(void *user)
{
    lckv_session *session;
    (void)user;
    while (atomic_load(&n_arrived) == 0)
        usleep(1000);
    ck_assert_ok(lckv_session_create(cache, &session));
    lckv_session_release(session);
    return NULL;
}

START_TEST(a_cache_may_be_released_while_a_call_waits)
{
    pthread_t waiting, working;
    struct turn first = {.progress = wait_at_gate, .session = make_session(cache)};
    struct turn last = {.session = make_session(cache)};
    pthread_mutex_lock(&gate);
    ck_assert_int_eq(pthread_create(&working, NULL, take_turn, &first), 0);
    ck_assert_int_eq(pthread_create(&waiting, NULL, create_session, NULL), 0);
    release_cache(&last); /* this thread holds the gate */
    pthread_join(working, NULL);
    pthread_join(waiting, NULL);
    lckv_session_release(first.session);
    cache = NULL;
}
END_TEST

static void add_cases_of_waiting(Suite *suite)
{
    TCase *tcase = tcase_create("waiting");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, threads_take_turns);
    tcase_add_test(tcase, who_comes_first_works_first);
    tcase_add_test(tcase, a_callback_never_waits_for_its_own_call);
    tcase_add_test(tcase, a_cache_may_be_released_while_a_call_waits);
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("waiting", add_cases_of_waiting)
