/*
 * Models and caches keep the message of their last failure, which other objects and other threads
 * do not change. Uses the public header only.
 */
#include "sessions.h"

#define MODEL "tests/data/goldens/lckv-w2"

/* What fails last on this thread, on other objects than those that are looked at. */
static void fail_elsewhere(void)
{
    lckv_plan *plan;
    ck_assert_status(lckv_plan_parse(NULL, 5, 8, &plan), LCKV_INVALID_ARGUMENT);
}

static int32_t refuse_bytes(void *user, const void *bytes, size_t length)
{
    (void)user, (void)bytes, (void)length;
    return 7;
}

/* Failures of a cache and of its sessions, number by number. */
static lckv_status fail_with_cache(int number, lckv_cache *cache, lckv_session *session)
{
    const lckv_token wrong = 4711, token = 1;
    lckv_token sampled;
    const lckv_item item = {.session = session, .tokens = &wrong, .n_tokens = 1};
    const lckv_generate_options generate = {.size = sizeof generate, .n_stops = 1};
    lckv_session *none = NULL;
    lckv_sampler *sampler;
    lckv_status status;
    float number_read;
    switch (number) {
    case 0:
        return lckv_evaluate(cache, &item, sizeof item, 1, NULL, NULL);
    case 1:
        return lckv_evaluate_cost(cache, &item, sizeof item, 1, NULL, NULL);
    case 2:
        return lckv_generate(session, NULL, &token, 1, &generate, NULL);
    case 3:
        return lckv_session_create(cache, &none);
    case 4:
        return lckv_session_fork(session, &none);
    case 5:
        return lckv_session_truncate(session, 99);
    case 6:
        return lckv_session_reuse(session, NULL, 1, NULL);
    case 7:
        return lckv_session_read_kv(session, 99, 0, 0, &number_read, NULL);
    case 8:
        return lckv_session_logits(session, NULL, NULL);
    case 9:
        return lckv_session_length(session, NULL);
    case 10:
        return lckv_sessions_save(&session, 1, refuse_bytes, NULL, NULL);
    default:
        ck_assert_ok(lckv_sampler_create(NULL, &sampler));
        status = lckv_sampler_sample_session(sampler, session, &sampled);
        lckv_sampler_release(sampler);
        return status;
    }
}

START_TEST(caches_keep_their_last_failure)
{
    static const char *const messages[] = {
        "item 0",         "item 0",          "stops is NULL",  "1 more session",
        "1 more session", "cannot truncate", "tokens is NULL", "slot is 99",
        "logits is NULL", "length is NULL",  "returned 7",     "no logits of this session"};
    lckv_model *model = open_model(MODEL, (lckv_model_options){0});
    lckv_cache *cache = make_cache(model, (lckv_cache_options){.max_sessions = 1});
    lckv_session *session = make_session(cache);
    for (int i = 0; i < (int)COUNT(messages); i++) {
        char message[512];
        ck_assert_int_ne(fail_with_cache(i, cache, session), LCKV_OK);
        fail_elsewhere();
        ck_assert_uint_gt(lckv_cache_last_error(cache, message, sizeof message), 0);
        ck_assert_msg(strstr(message, messages[i]) != NULL, "%d: %s", i, message);
    }
    lckv_session_release(session);
    lckv_cache_release(cache);
    lckv_model_release(model);
}
END_TEST

/* Failures of a model, which has no tokenizer, number by number. */
static lckv_status fail_with_model(int number, lckv_model *model)
{
    const lckv_cache_options options = {.size = sizeof options, .max_rows = 65537};
    lckv_cache_estimate_report estimate = {.size = sizeof estimate};
    lckv_model_layer layer = {.size = sizeof layer};
    lckv_token token = 1;
    lckv_token_type type;
    lckv_detokenizer *detokenizer;
    lckv_cache *cache;
    const lckv_message message = {"a", 1, "b", 1};
    const char *piece;
    char text[8];
    size_t n;
    switch (number) {
    case 0:
        return lckv_tokenize(model, "a", 1, 0, &token, 1, &n);
    case 1:
        return lckv_detokenize(model, &token, 1, 0, text, sizeof text, &n);
    case 2:
        return lckv_model_token(model, token, &piece, &n, &type);
    case 3:
        return lckv_chat_format(model, &message, sizeof message, 1, 0, text, sizeof text, &n);
    case 4:
        return lckv_chat_tokenize(model, &message, sizeof message, 1, 0, &token, 1, &n);
    case 5:
        return lckv_detokenizer_create(model, 0, &detokenizer);
    case 6:
        return lckv_cache_create(model, &options, &cache);
    case 7:
        return lckv_cache_estimate(model, &options, 0, &estimate);
    case 8:
        return lckv_model_get_layer(model, 99, &layer);
    case 9:
        return lckv_model_metadata(model, "no such key", text, sizeof text, &n);
    default:
        return lckv_model_fingerprint(model, NULL);
    }
}

START_TEST(models_keep_their_last_failure)
{
    static const char *const messages[] = {"no tokenizer", "no tokenizer", "no tokenizer",
                                           "no tokenizer", "no tokenizer", "no tokenizer",
                                           "max_rows",     "max_rows",     "layer is 99",
                                           "no such key",  "fingerprint"};
    lckv_model *model = open_model(MODEL, (lckv_model_options){0});
    for (int i = 0; i < (int)COUNT(messages); i++) {
        char message[512];
        ck_assert_int_ne(fail_with_model(i, model), LCKV_OK);
        fail_elsewhere();
        ck_assert_uint_gt(lckv_model_last_error(model, message, sizeof message), 0);
        ck_assert_msg(strstr(message, messages[i]) != NULL, "%d: %s", i, message);
    }
    lckv_model_release(model);
}
END_TEST

static void add_all(Suite *suite)
{
    const TTest *const tests[] = {caches_keep_their_last_failure, models_keep_their_last_failure};
    add_tests(suite, "last failures", tests, COUNT(tests));
}

TEST_MAIN("last_failures", add_all)
