/*
 * What keeps what alive. After the last release, in whatever order, an allocator that counts has
 * got back every byte. Uses the public header only.
 */
#include "cache_support.h"

#include "allocator.h"

#define WITH_TEXT "examples/models/stories-lckv-q8_0.gguf"

static struct counting counting;
static lckv_allocator allocator;

static void set_up(void)
{
    counting = (struct counting){.n_allowed = SIZE_MAX};
    allocator = counting_allocator(&counting);
    make_tokens();
}

static lckv_model *open_counted(const char *path)
{
    return open_model(path, (lckv_model_options){.allocator = &allocator});
}

enum kind { DETOKENIZER, CACHE, SESSION, PLAN, N_KINDS };

/* Everything that is made of a model keeps it alive, and lets it go. */
START_TEST(children_hold_their_model_and_let_it_go)
{
    lckv_model *model = open_counted(WITH_TEXT);
    lckv_detokenizer *detokenizer;
    lckv_cache *cache;
    lckv_session *session;
    const lckv_plan *plan;
    const char *text;
    size_t length, whole = counting.out;
    switch (_i) {
    case DETOKENIZER:
        ck_assert_ok(lckv_detokenizer_create(model, 0, &detokenizer));
        lckv_model_release(model);
        ck_assert_uint_ge(counting.out, whole);
        ck_assert_ok(lckv_detokenizer_push(detokenizer, 100, &text, &length));
        lckv_detokenizer_release(detokenizer);
        break;
    case CACHE:
        cache = make_cache(model, (lckv_cache_options){0});
        lckv_model_release(model);
        ck_assert_uint_ge(counting.out, whole);
        lckv_cache_release(cache);
        break;
    case SESSION:
        cache = make_cache(model, (lckv_cache_options){0});
        session = make_session(cache);
        lckv_model_release(model);
        lckv_cache_release(cache);
        ck_assert_uint_ge(counting.out, whole);
        ck_assert_ok(lckv_generate(session, NULL, tokens, 3, NULL, NULL));
        lckv_session_release(session);
        break;
    default: /* a plan that is retained outlives its model; it has an allocator of its own */
        plan = lckv_model_plan(model);
        lckv_plan_retain(plan);
        lckv_model_release(model);
        ck_assert_uint_gt(counting.out, 0);
        ck_assert_uint_lt(counting.out, whole);
        ck_assert_ok(lckv_plan_text(plan, NULL, 0, &length) == LCKV_BUFFER_TOO_SMALL
                         ? LCKV_OK
                         : LCKV_INTERNAL);
        lckv_plan_release(plan);
        break;
    }
    ck_assert_uint_eq(counting.out, 0);
}
END_TEST

START_TEST(retained_handles_want_as_many_releases)
{
    lckv_model *model = open_counted("tests/data/goldens/" UPWARD);
    lckv_cache *cache = make_cache(model, (lckv_cache_options){0});
    lckv_model_retain(model);
    lckv_model_release(model);
    lckv_cache_retain(cache);
    lckv_cache_release(cache);
    ck_assert_uint_gt(info_of(model).n_layers, 0);
    ck_assert_uint_gt(free_pages(cache), 0);
    lckv_model_release(model);
    ck_assert_uint_gt(counting.out, 0);
    lckv_cache_release(cache);
    ck_assert_uint_eq(counting.out, 0);
}
END_TEST

START_TEST(retained_children_want_as_many_releases)
{
    lckv_model *model = open_counted(WITH_TEXT);
    lckv_cache *cache = make_cache(model, (lckv_cache_options){0});
    lckv_session *session = make_session(cache);
    lckv_sampler_options sampling = {.size = sizeof sampling, .allocator = &allocator};
    lckv_sampler *sampler;
    lckv_detokenizer *detokenizer;
    const char *text;
    size_t length;
    lckv_token token;
    ck_assert_ok(lckv_sampler_create(&sampling, &sampler));
    ck_assert_ok(lckv_detokenizer_create(model, 0, &detokenizer));
    ck_assert_ptr_eq(lckv_session_cache(session), cache);
    ck_assert_ptr_eq(lckv_cache_model(cache), model);
    lckv_session_retain(session);
    lckv_sampler_retain(sampler);
    lckv_detokenizer_retain(detokenizer);
    for (int round = 0; round < 2; round++) {
        if (round == 0) {
            lckv_model_release(model);
            lckv_cache_release(cache);
        }
        ck_assert_ok(lckv_generate(session, sampler, tokens, 3, NULL, NULL));
        ck_assert_ok(lckv_sampler_sample_session(sampler, session, &token));
        ck_assert_ok(lckv_detokenizer_push(detokenizer, token, &text, &length));
        lckv_session_release(session);
        lckv_sampler_release(sampler);
        lckv_detokenizer_release(detokenizer);
    }
    ck_assert_uint_eq(counting.out, 0);
}
END_TEST

/* A call works while all handles of its session are released. */
static int32_t release_twice(void *user, uint64_t done, uint64_t total)
{
    (void)done, (void)total;
    lckv_session **session = user;
    lckv_session_release(*session);
    lckv_session_release(*session);
    return 0;
}

START_TEST(all_handles_of_a_session_may_go_during_its_call)
{
    lckv_model *model = open_counted("tests/data/goldens/" UPWARD);
    lckv_cache *cache = make_cache(model, (lckv_cache_options){0});
    lckv_session *session = make_session(cache);
    lckv_item item = item_of(session, 0, 1, got[0]);
    lckv_evaluate_options options = {
        .size = sizeof options, .progress = release_twice, .progress_user = &session};
    lckv_session_retain(session);
    ck_assert_ok(lckv_evaluate(cache, &item, sizeof item, 1, &options, NULL));
    ck_assert_uint_eq(stats_of(cache).n_sessions, 0);
    lckv_cache_release(cache);
    lckv_model_release(model);
    ck_assert_uint_eq(counting.out, 0);
}
END_TEST

struct releasing {
    lckv_cache *cache;
    lckv_session *sessions[2];
    lckv_sampler *sampler;
};

static void release_handles(struct releasing *releasing)
{
    for (int i = 0; i < 2; i++)
        lckv_session_release(releasing->sessions[i]);
    lckv_cache_release(releasing->cache);
    lckv_sampler_release(releasing->sampler);
    *releasing = (struct releasing){0};
}

static int32_t release_in_progress(void *user, uint64_t done, uint64_t total)
{
    (void)done, (void)total;
    release_handles(user);
    return 0;
}

static int32_t release_at_token(void *user, lckv_token token, const char *text, size_t length)
{
    (void)token, (void)text, (void)length;
    release_handles(user);
    return 0;
}

/* A session that works, one that does not, and what they hold. _i: evaluate, or generate. */
START_TEST(what_is_released_during_a_call_goes_with_its_end)
{
    lckv_model *model = open_counted("tests/data/goldens/" WINDOWED);
    struct releasing releasing = {.cache = make_cache(model, (lckv_cache_options){0})};
    lckv_cache *cache = releasing.cache;
    releasing.sessions[0] = make_session(cache);
    releasing.sessions[1] = make_session(cache);
    lckv_session *session = releasing.sessions[0];
    lckv_sampler_options sampling = {.size = sizeof sampling, .allocator = &allocator};
    ck_assert_ok(lckv_sampler_create(&sampling, &releasing.sampler));
    lckv_model_release(model);
    lckv_item item = item_of(releasing.sessions[1], 0, 20, got[0]);
    ck_assert_ok(run(cache, &item, 1, LCKV_PREFILL_AUTO));
    if (_i == 0) {
        lckv_evaluate_options options = {
            .size = sizeof options, .progress = release_in_progress, .progress_user = &releasing};
        item = item_of(session, 0, 20, got[0]);
        ck_assert_ok(lckv_evaluate(cache, &item, sizeof item, 1, &options, NULL));
    } else {
        lckv_generate_options options = {.size = sizeof options,
                                         .max_tokens = 3,
                                         .callback = release_at_token,
                                         .callback_user = &releasing};
        ck_assert_ok(lckv_generate(session, releasing.sampler, tokens, 5, &options, NULL));
    }
    ck_assert_uint_eq(counting.out, 0);
}
END_TEST

/* Only the session goes: its pages and its place are free again. */
static int32_t release_one(void *user, uint64_t done, uint64_t total)
{
    lckv_session **session = user;
    (void)done, (void)total;
    lckv_session_release(*session);
    *session = NULL;
    return 0;
}

START_TEST(a_session_released_during_a_call_gives_its_pages_back)
{
    lckv_model *model = open_counted("tests/data/goldens/" UPWARD);
    lckv_cache *cache =
        make_cache(model, (lckv_cache_options){.max_sessions = 2, .reuse = LCKV_REUSE_OFF});
    uint64_t pages = free_pages(cache);
    size_t before = counting.out;
    lckv_session *session = make_session(cache), *other = make_session(cache);
    lckv_item items[2] = {item_of(other, 0, 20, got[1]), item_of(session, 0, 20, got[0])};
    ck_assert_ok(run(cache, items, 1, LCKV_PREFILL_AUTO));
    lckv_evaluate_options options = {
        .size = sizeof options, .progress = release_one, .progress_user = &other};
    ck_assert_ok(lckv_evaluate(cache, &items[1], sizeof *items, 1, &options, NULL));
    lckv_cache_stats stats = stats_of(cache);
    ck_assert_uint_eq(stats.n_sessions, 1);
    lckv_session_release(session);
    ck_assert_uint_eq(free_pages(cache), pages);
    ck_assert_uint_eq(stats_of(cache).n_sessions, 0);
    ck_assert_uint_eq(counting.out, before);
    for (int i = 0; i < 2; i++)
        lckv_session_release(make_session(cache));
    lckv_cache_release(cache);
    lckv_model_release(model);
    ck_assert_uint_eq(counting.out, 0);
}
END_TEST

/* A pool's memory comes from the C library, so all that can be seen is that it still works. */
START_TEST(a_retained_pool_outlives_a_release)
{
    lckv_pool *pool;
    ck_assert_ok(lckv_pool_create(2, &pool));
    lckv_pool_retain(pool);
    lckv_pool_retain(NULL);
    lckv_pool_release(pool);
    lckv_model *model = open_counted("tests/data/goldens/" UPWARD);
    for (int i = 0; i < 2; i++) { /* the second cache comes when the first has let go */
        lckv_cache *cache = make_cache(model, (lckv_cache_options){.pool = pool});
        lckv_session *session = make_session(cache);
        lckv_item item = item_of(session, 0, 5, got[0]);
        ck_assert_ok(run(cache, &item, 1, LCKV_PREFILL_AUTO));
        lckv_session_release(session);
        ck_assert_uint_eq(stats_of(cache).n_threads, 2);
        lckv_cache_release(cache);
    }
    lckv_pool_release(pool);
    lckv_model_release(model);
    ck_assert_uint_eq(counting.out, 0);
}
END_TEST

START_TEST(a_sampler_gives_all_back)
{
    lckv_logit_bias bias = {.token = 3, .bias = 1.0f};
    lckv_sampler_options options = {.size = sizeof options,
                                    .allocator = &allocator,
                                    .temperature = 1.0f,
                                    .top_k = 20,
                                    .top_p = 0.9f,
                                    .frequency_penalty = 0.1f,
                                    .logit_bias = &bias,
                                    .n_logit_bias = 1};
    lckv_sampler *sampler, *clone;
    static float logits[300];
    lckv_token token;
    ck_assert_ok(lckv_sampler_create(&options, &sampler));
    for (int i = 0; i < 3; i++) {
        ck_assert_ok(lckv_sampler_sample(sampler, logits, COUNT(logits), &token));
        ck_assert_ok(lckv_sampler_accept(sampler, token));
    }
    ck_assert_ok(lckv_sampler_clone(sampler, &clone));
    lckv_sampler_release(sampler);
    ck_assert_ok(lckv_sampler_sample(clone, logits, COUNT(logits), &token));
    lckv_sampler_release(clone);
    lckv_sampler_release(NULL);
    ck_assert_uint_eq(counting.out, 0);
}
END_TEST

static void add_all(Suite *suite)
{
    TCase *tcase = tcase_create("lifetimes");
    tcase_set_timeout(tcase, 300);
    tcase_add_checked_fixture(tcase, set_up, NULL);
    tcase_add_loop_test(tcase, children_hold_their_model_and_let_it_go, 0, N_KINDS);
    tcase_add_test(tcase, retained_handles_want_as_many_releases);
    tcase_add_test(tcase, retained_children_want_as_many_releases);
    tcase_add_test(tcase, all_handles_of_a_session_may_go_during_its_call);
    tcase_add_loop_test(tcase, what_is_released_during_a_call_goes_with_its_end, 0, 2);
    tcase_add_test(tcase, a_session_released_during_a_call_gives_its_pages_back);
    tcase_add_test(tcase, a_retained_pool_outlives_a_release);
    tcase_add_test(tcase, a_sampler_gives_all_back);
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("lifetimes", add_all)
