/*
 * Arguments that must not be NULL: each call says so, and does nothing else. NULL in place of the
 * object itself is in test_api_basics.c. Uses the public header only.
 */
#include "sessions.h"

static lckv_model *model;
static lckv_cache *cache;
static lckv_session *session;
static lckv_detokenizer *detokenizer;
static lckv_sampler *sampler;

static void set_up(void)
{
    model = open_model("examples/models/stories-lckv-q8_0.gguf", (lckv_model_options){0});
    cache = make_cache(model, (lckv_cache_options){.n_threads = 1});
    session = make_session(cache);
    ck_assert_ok(lckv_detokenizer_create(model, 0, &detokenizer));
    ck_assert_ok(lckv_sampler_create(NULL, &sampler));
}

static void tear_down(void)
{
    lckv_sampler_release(sampler);
    lckv_detokenizer_release(detokenizer);
    lckv_session_release(session);
    lckv_cache_release(cache);
    lckv_model_release(model);
}

/* Fails unless all of them are LCKV_INVALID_ARGUMENT. */
static void check_refused(const lckv_status *statuses, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ck_assert_msg(statuses[i] == LCKV_INVALID_ARGUMENT, "call %zu gave %s", i,
                      lckv_status_name(statuses[i]));
}
#define CHECK_REFUSED(statuses) check_refused(statuses, COUNT(statuses))

START_TEST(plans_and_models_need_somewhere_to_write)
{
    const lckv_plan *plan = lckv_model_plan(model);
    const lckv_memory_request request = {
        .size = sizeof request, .plan = plan, .n_kv_heads = 1, .head_dim = 64};
    char text[64];
    size_t length = 77;
    const lckv_status statuses[] = {
        lckv_plan_get_info(plan, NULL),
        lckv_plan_get_layer(plan, 0, NULL),
        lckv_plan_get_slot(plan, 0, NULL),
        lckv_plan_get_group(plan, 0, NULL),
        lckv_plan_text(plan, text, sizeof text, NULL),
        lckv_plan_text(plan, NULL, 1, &length),
        lckv_plan_describe(plan, text, sizeof text, NULL),
        lckv_plan_describe(plan, NULL, 1, &length),
        lckv_memory_estimate(&request, NULL),
        lckv_memory_estimate(NULL, &(lckv_memory_report){.size = sizeof(lckv_memory_report)}),
        lckv_model_open_memory("x", 1, NULL, NULL),
        lckv_model_open_memory(NULL, 1, NULL, &(lckv_model *){NULL}),
        lckv_model_get_info(model, NULL),
        lckv_model_get_layer(model, 0, NULL),
        lckv_model_metadata(model, NULL, text, sizeof text, &length),
        lckv_model_metadata(model, "general.name", NULL, 1, &length),
        lckv_model_metadata(model, "general.name", text, sizeof text, NULL),
        lckv_model_fingerprint(model, NULL),
        lckv_dtype_from_name("f32", NULL),
        lckv_dtype_from_name(NULL, &(lckv_dtype){0}),
    };
    CHECK_REFUSED(statuses);
    ck_assert_uint_eq(length, 77);
}
END_TEST

START_TEST(text_needs_somewhere_to_come_from_and_to_go)
{
    const lckv_message message = {"user", 4, "a", 1};
    const lckv_token ids[] = {5, 6};
    lckv_token tokens[64];
    lckv_token_type type;
    char text[64];
    const char *piece;
    size_t n = 77;
    const lckv_status statuses[] = {
        lckv_tokenize(model, NULL, 1, 0, tokens, 64, &n),
        lckv_tokenize(model, "a", 1, 0, NULL, 64, &n),
        lckv_tokenize(model, "a", 1, 0, tokens, 64, NULL),
        lckv_detokenize(model, NULL, 2, 0, text, sizeof text, &n),
        lckv_detokenize(model, ids, 2, 0, NULL, sizeof text, &n),
        lckv_detokenize(model, ids, 2, 0, text, sizeof text, NULL),
        lckv_detokenizer_create(model, 0, NULL),
        lckv_detokenizer_push(detokenizer, 5, NULL, &n),
        lckv_detokenizer_push(detokenizer, 5, &piece, NULL),
        lckv_detokenizer_flush(detokenizer, NULL, &n),
        lckv_detokenizer_flush(detokenizer, &piece, NULL),
        lckv_model_token(model, 5, NULL, &n, &type),
        lckv_model_token(model, 5, &piece, NULL, &type),
        lckv_model_token(model, 5, &piece, &n, NULL),
        lckv_chat_tokenize(model, NULL, sizeof message, 1, 0, tokens, 64, &n),
        lckv_chat_tokenize(model, &message, sizeof message, 1, 0, NULL, 64, &n),
        lckv_chat_tokenize(model, &message, sizeof message, 1, 0, tokens, 64, NULL),
        lckv_chat_format(model, NULL, sizeof message, 1, 0, text, sizeof text, &n),
        lckv_chat_format(model, &message, sizeof message, 1, 0, NULL, sizeof text, &n),
        lckv_chat_format(model, &message, sizeof message, 1, 0, text, sizeof text, NULL),
    };
    CHECK_REFUSED(statuses);
    ck_assert_uint_eq(n, 77);
}
END_TEST

START_TEST(caches_and_sessions_need_somewhere_to_write)
{
    const lckv_item item = {.session = session, .tokens = NULL, .n_tokens = 1};
    lckv_session *restored = NULL;
    lckv_token token = 1;
    size_t n = 77;
    const lckv_status statuses[] = {
        lckv_cache_create(model, NULL, NULL),
        lckv_cache_estimate(model, NULL, 0, NULL),
        lckv_cache_get_stats(cache, NULL),
        lckv_session_create(cache, NULL),
        lckv_session_fork(session, NULL),
        lckv_session_reuse(NULL, &token, 1, &n),
        lckv_session_reuse(session, NULL, 1, NULL),
        lckv_session_tokens(session, NULL, 1, &n),
        lckv_session_read_tokens(session, 0, 1, NULL),
        lckv_session_logits(session, NULL, &n),
        lckv_evaluate(cache, NULL, sizeof item, 1, NULL, NULL),
        lckv_evaluate(cache, &item, sizeof item, 1, NULL, NULL),
        lckv_evaluate_cost(cache, NULL, sizeof item, 1, NULL, NULL),
        lckv_evaluate_cost(cache, &item, sizeof item, 1, NULL, NULL),
        lckv_generate(session, NULL, NULL, 1, NULL, NULL),
        lckv_sampler_create(NULL, NULL),
        lckv_sampler_clone(sampler, NULL),
        lckv_sampler_sample(sampler, NULL, 1, &token),
        lckv_sampler_sample(sampler, &(float){1}, 1, NULL),
        lckv_sampler_sample_session(sampler, session, NULL),
        lckv_sampler_sample_session(sampler, NULL, &token),
        lckv_sessions_save(&session, 1, NULL, NULL, NULL),
        lckv_sessions_save(NULL, 1, NULL, NULL, NULL),
        lckv_sessions_save_file(NULL, 1, "never", NULL),
        lckv_sessions_save_file(&session, 1, NULL, NULL),
        lckv_sessions_restore(cache, NULL, NULL, NULL, &restored, 1, &n),
        lckv_sessions_restore_file(NULL, "never", NULL, &restored, 1, &n),
        lckv_sessions_restore_file(cache, NULL, NULL, &restored, 1, &n),
        lckv_sessions_restore_file(cache, "never", NULL, NULL, 1, &n),
        lckv_sessions_restore_file(cache, "never", NULL, &restored, 1, NULL),
    };
    CHECK_REFUSED(statuses);
    ck_assert_uint_eq(n, 77);
    ck_assert_uint_eq(length_of(session), 0);
}
END_TEST

static void add_all(Suite *suite)
{
    TCase *tcase = tcase_create("null arguments");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, plans_and_models_need_somewhere_to_write);
    tcase_add_test(tcase, text_needs_somewhere_to_come_from_and_to_go);
    tcase_add_test(tcase, caches_and_sessions_need_somewhere_to_write);
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("null_arguments", add_all)
