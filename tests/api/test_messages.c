/*
 * Mistakes that callers make. Each is refused with a message that names what to change. Uses the
 * public header only.
 */
#include "sessions.h"

#define MODEL "tests/data/goldens/lckv-w2"

START_TEST(an_empty_path_is_called_empty)
{
    lckv_model *model;
    ck_assert_status(lckv_model_open("", NULL, &model), LCKV_INVALID_ARGUMENT);
    ck_assert_error_has("the path is empty");
    ck_assert_status(lckv_convert("", "never.gguf", NULL, NULL), LCKV_INVALID_ARGUMENT);
    ck_assert_error_has("the path is empty");
}
END_TEST

START_TEST(a_plan_of_no_text_has_no_length)
{
    lckv_plan *plan;
    ck_assert_status(lckv_plan_parse(NULL, 5, 8, &plan), LCKV_INVALID_ARGUMENT);
    ck_assert_error_has("text is NULL");
    ck_assert_ok(lckv_plan_parse(NULL, 0, 8, &plan));
    lckv_plan_release(plan);
}
END_TEST

START_TEST(reserved_members_of_items_are_named)
{
    lckv_model *model = open_model(MODEL, (lckv_model_options){0});
    lckv_cache *cache = make_cache(model, (lckv_cache_options){0});
    lckv_session *session = make_session(cache);
    lckv_token token = 1;
    lckv_item item = {.session = session, .tokens = &token, .n_tokens = 1, .reserved = 1};
    ck_assert_status(lckv_evaluate(cache, &item, sizeof item, 1, NULL, NULL),
                     LCKV_INVALID_ARGUMENT);
    ck_assert_error_has("item 0: reserved");
    ck_assert_ptr_null(strstr(lckv_last_error(), "want"));
    item = (lckv_item){.session = session, .tokens = &token, .n_tokens = 1, .want = 3};
    ck_assert_status(lckv_evaluate(cache, &item, sizeof item, 1, NULL, NULL),
                     LCKV_INVALID_ARGUMENT);
    ck_assert_error_has("want is 3");
    lckv_session_release(session);
    lckv_cache_release(cache);
    lckv_model_release(model);
}
END_TEST

/* What is asked for twice, or by half, is refused before anything is done. */
START_TEST(requests_that_contradict_themselves_are_named)
{
    lckv_model *model = open_model(MODEL, (lckv_model_options){0}), *none = NULL;
    lckv_cache *cache = make_cache(model, (lckv_cache_options){0});
    lckv_session *session = make_session(cache);
    lckv_token token = 1;
    size_t n = 0;
    const lckv_model_options bytes = {.size = sizeof bytes, .stream_bytes = 1 << 20};
    ck_assert_status(lckv_model_open(MODEL, &bytes, &none), LCKV_INVALID_ARGUMENT);
    ck_assert_error_has("stream_bytes is set");
    const uint32_t both = LCKV_TOKENIZE_BOS | LCKV_TOKENIZE_NO_BOS;
    ck_assert_status(lckv_tokenize(model, "a", 1, both, &token, 1, &n), LCKV_INVALID_ARGUMENT);
    ck_assert_error_has("asks for BOS and for no BOS");
    const lckv_evaluate_options reserved = {.size = sizeof reserved, .reserved = 1};
    lckv_item item = {.session = session, .tokens = &token, .n_tokens = 1};
    ck_assert_status(lckv_evaluate(cache, &item, sizeof item, 1, &reserved, NULL),
                     LCKV_INVALID_ARGUMENT);
    ck_assert_error_has("lckv_evaluate_options: reserved must be 0");
    item.want = LCKV_WANT_HIDDEN;
    item.hidden_capacity = 64;
    ck_assert_status(lckv_evaluate(cache, &item, sizeof item, 1, NULL, NULL),
                     LCKV_INVALID_ARGUMENT);
    ck_assert_error_has("item 0: HIDDEN needs an array");
    lckv_generate_options generate = {.size = sizeof generate, .n_stops = 1};
    ck_assert_status(lckv_generate(session, NULL, &token, 1, &generate, NULL),
                     LCKV_INVALID_ARGUMENT);
    ck_assert_error_has("stops is NULL, but n_stops is 1");
    const lckv_string stops[] = {{"a", 1}, {"b", 0}};
    generate.stops = stops;
    generate.n_stops = 2;
    ck_assert_status(lckv_generate(session, NULL, &token, 1, &generate, NULL),
                     LCKV_INVALID_ARGUMENT);
    ck_assert_error_has("stops[1] is empty");
    ck_assert_uint_eq(length_of(session), 0);
    lckv_session_release(session);
    lckv_cache_release(cache);
    lckv_model_release(model);
}
END_TEST

START_TEST(options_of_conversion_are_checked)
{
    static const struct {
        lckv_convert_options options;
        const char *message;
    } wrong[] = {
        {{.packed = 2}, "lckv_convert_options.packed"},
        {{.mixture = 2, .dtype = LCKV_DTYPE_Q4_K}, "lckv_convert_options.mixture"},
        {{.mixture = -1, .dtype = LCKV_DTYPE_Q4_K}, "lckv_convert_options.mixture"},
        {{.init = 2}, "lckv_convert_options.init"},
        {{.kernel_set = "portable"}, "kernel_set needs packed"},
        {{.reserved = 1}, "lckv_convert_options: reserved must be 0"},
    };
    for (size_t i = 0; i < COUNT(wrong); i++) {
        lckv_convert_options options = wrong[i].options;
        options.size = sizeof options;
        ck_assert_status(lckv_convert(MODEL, "never.gguf", &options, NULL), LCKV_INVALID_ARGUMENT);
        ck_assert_error_has(wrong[i].message);
    }
}
END_TEST

/* A value without a meaning is refused, so that a later version can give it one. */
START_TEST(options_of_caches_are_checked)
{
    static const struct {
        lckv_cache_options options;
        const char *message;
    } wrong[] = {
        {{.waits = 2}, "lckv_cache_options.waits"},
        {{.waits = -1}, "lckv_cache_options.waits"},
        {{.reuse = 3}, "reuse"},
        {{.reserved = 1}, "lckv_cache_options: reserved must be 0"},
    };
    lckv_model *model = open_model(MODEL, (lckv_model_options){0});
    for (size_t i = 0; i < COUNT(wrong); i++) {
        lckv_cache_options options = wrong[i].options;
        lckv_cache_estimate_report report = {.size = sizeof report};
        lckv_cache *cache;
        options.size = sizeof options;
        ck_assert_status(lckv_cache_create(model, &options, &cache), LCKV_INVALID_ARGUMENT);
        ck_assert_error_has(wrong[i].message);
        ck_assert_status(lckv_cache_estimate(model, &options, 0, &report), LCKV_INVALID_ARGUMENT);
        ck_assert_error_has(wrong[i].message);
    }
    lckv_model_release(model);
}
END_TEST

/* A stride is a whole item at least, and keeps all of them aligned. */
START_TEST(strides_of_items_are_checked)
{
    static const size_t strides[] = {0, sizeof(lckv_item) - 8, sizeof(lckv_item) + 4};
    lckv_model *model = open_model(MODEL, (lckv_model_options){0});
    lckv_cache *cache = make_cache(model, (lckv_cache_options){0});
    lckv_session *session = make_session(cache);
    lckv_token token = 1;
    lckv_item item = {.session = session, .tokens = &token, .n_tokens = 1};
    for (size_t i = 0; i < COUNT(strides); i++) {
        ck_assert_status(lckv_evaluate(cache, &item, strides[i], 1, NULL, NULL),
                         LCKV_INVALID_ARGUMENT);
        ck_assert_error_has("stride");
        ck_assert_status(lckv_evaluate_cost(cache, &item, strides[i], 1, NULL, NULL),
                         LCKV_INVALID_ARGUMENT);
        ck_assert_error_has("stride");
    }
    ck_assert_ok(lckv_evaluate(cache, &item, sizeof item + 8, 1, NULL, NULL));
    lckv_session_release(session);
    lckv_cache_release(cache);
    lckv_model_release(model);
}
END_TEST

/* One row of logits for each session is a default, not a limit on sessions. */
START_TEST(many_sessions_need_no_other_option)
{
    lckv_model *model = open_model(MODEL, (lckv_model_options){0});
    lckv_cache_options options = {
        .size = sizeof options, .max_sessions = 70000, .budget_bytes = 128 << 20};
    lckv_cache *cache = make_cache(model, options);
    lckv_cache_stats stats = stats_of(cache);
    ck_assert_uint_eq(stats.max_sessions, 70000);
    ck_assert_uint_eq(stats.max_logit_rows, 65536);
    lckv_cache_release(cache);
    options.max_logit_rows = 65537;
    ck_assert_status(lckv_cache_create(model, &options, &cache), LCKV_INVALID_ARGUMENT);
    ck_assert_error_has("max_logit_rows is 65537");
    options = (lckv_cache_options){.size = sizeof options, .max_rows = 65537};
    ck_assert_status(lckv_cache_create(model, &options, &cache), LCKV_INVALID_ARGUMENT);
    ck_assert_error_has("max_rows is 65537");
    options = (lckv_cache_options){.size = sizeof options, .max_sessions = 1048577};
    ck_assert_status(lckv_cache_create(model, &options, &cache), LCKV_INVALID_ARGUMENT);
    ck_assert_error_has("max_sessions is 1048577");
    lckv_model_release(model);
}
END_TEST

static void add_all(Suite *suite)
{
    TCase *tcase = tcase_create("messages");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, an_empty_path_is_called_empty);
    tcase_add_test(tcase, a_plan_of_no_text_has_no_length);
    tcase_add_test(tcase, reserved_members_of_items_are_named);
    tcase_add_test(tcase, requests_that_contradict_themselves_are_named);
    tcase_add_test(tcase, options_of_conversion_are_checked);
    tcase_add_test(tcase, options_of_caches_are_checked);
    tcase_add_test(tcase, strides_of_items_are_checked);
    tcase_add_test(tcase, many_sessions_need_no_other_option);
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("messages", add_all)
