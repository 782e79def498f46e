/*
 * The public interface without a model: version, errors, names, plans, NULL handles and arguments
 * of every function. Public header only.
 */
#include "support.h"

#include <pthread.h>
#include <string.h>

START_TEST(version_is_the_headers)
{
    ck_assert_uint_eq(lckv_version_number(),
                      LCKV_VERSION_MAJOR * 10000 + LCKV_VERSION_MINOR * 100 + LCKV_VERSION_PATCH);
    ck_assert_str_eq(lckv_version_string(), LCKV_VERSION_STRING);
}
END_TEST

START_TEST(statuses_have_names)
{
    static const char *const names[] = {"LCKV_OK",
                                        "LCKV_INVALID_ARGUMENT",
                                        "LCKV_OUT_OF_MEMORY",
                                        "LCKV_IO",
                                        "LCKV_BAD_FORMAT",
                                        "LCKV_UNSUPPORTED",
                                        "LCKV_BAD_PLAN",
                                        "LCKV_CACHE_FULL",
                                        "LCKV_CANCELLED",
                                        "LCKV_BUSY",
                                        "LCKV_BUFFER_TOO_SMALL",
                                        "LCKV_MISMATCH",
                                        "LCKV_OUT_OF_WINDOW",
                                        "LCKV_INTERNAL"};
    for (lckv_status status = 0; status <= LCKV_INTERNAL; status++)
        ck_assert_str_eq(lckv_status_name(status), names[status]);
    ck_assert_str_eq(lckv_status_name(-1), "unknown status");
    ck_assert_str_eq(lckv_status_name(LCKV_INTERNAL + 1), "unknown status");
}
END_TEST

START_TEST(the_last_error_stays_until_the_next_failure)
{
    lckv_dtype dtype;
    ck_assert_status(lckv_dtype_from_name("q9_9", &dtype), LCKV_UNSUPPORTED);
    ck_assert_error_has("q9_9");
    ck_assert_ok(lckv_dtype_from_name("f16", &dtype));
    ck_assert_error_has("q9_9");
    ck_assert_status(lckv_dtype_from_name(NULL, &dtype), LCKV_INVALID_ARGUMENT);
    ck_assert_error_has("name is NULL");
}
END_TEST

START_TEST(the_last_error_is_copied_and_cut)
{
    char buffer[8];
    memset(buffer, 'x', sizeof buffer);
    ck_assert_status(lckv_dtype_from_name(NULL, NULL), LCKV_INVALID_ARGUMENT);
    size_t length = strlen(lckv_last_error());
    ck_assert_uint_eq(lckv_last_error_copy(NULL, 0), length);
    ck_assert_uint_eq(lckv_last_error_copy(buffer, 5), length);
    ck_assert_mem_eq(buffer, lckv_last_error(), 4);
    ck_assert_int_eq(buffer[4], '\0');
    ck_assert_int_eq(buffer[5], 'x');
}
END_TEST

static void *last_error_length(void *length)
{
    *(size_t *)length = strlen(lckv_last_error());
    return NULL;
}

START_TEST(the_last_error_is_the_threads_own)
{
    size_t length = 99;
    pthread_t thread;
    ck_assert_status(lckv_dtype_from_name(NULL, NULL), LCKV_INVALID_ARGUMENT);
    ck_assert_int_eq(pthread_create(&thread, NULL, last_error_length, &length), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_uint_eq(length, 0);
}
END_TEST

START_TEST(dtypes_have_names)
{
    static const char *const names[] = {NULL,   "f32",  "f16",    "bf16",   "q8_0",  "q4_0",
                                        "q4_1", "q6_K", "q4_K",   "q5_K",   "q2_K",  "q3_K",
                                        "q5_0", "q5_1", "iq4_nl", "iq4_xs", "mxfp4", "f8_e4m3"};
    for (lckv_dtype dtype = LCKV_DTYPE_F32; dtype <= LCKV_DTYPE_F8_E4M3; dtype++) {
        lckv_dtype back = 0;
        ck_assert_str_eq(lckv_dtype_name(dtype), names[dtype]);
        ck_assert_ok(lckv_dtype_from_name(names[dtype], &back));
        ck_assert_int_eq(back, dtype);
    }
    lckv_dtype upper;
    ck_assert_ok(lckv_dtype_from_name("Q4_0", &upper));
    ck_assert_int_eq(upper, LCKV_DTYPE_Q4_0);
    ck_assert_ptr_null(lckv_dtype_name(LCKV_DTYPE_DEFAULT));
    ck_assert_ptr_null(lckv_dtype_name(-1));
    ck_assert_ptr_null(lckv_dtype_name(1000));
}
END_TEST

START_TEST(portable_is_the_first_kernel_set_and_always_there)
{
    ck_assert_str_eq(lckv_kernel_set_name(0), "portable");
    ck_assert_int_eq(lckv_kernel_set_available("portable"), 1);
    size_t count = 0;
    while (lckv_kernel_set_name(count) != NULL)
        count++;
    ck_assert_uint_lt(count, 20);
    ck_assert_int_eq(lckv_kernel_set_available("abacus"), 0);
    ck_assert_int_eq(lckv_kernel_set_available(NULL), 0);
}
END_TEST

/* ---- Plans ---- */

START_TEST(a_plan_tells_its_layers_and_slots)
{
    lckv_plan *plan = NULL;
    ck_assert_ok(lckv_plan_parse("0_3_3_3", 7, 4, &plan));
    lckv_plan_info info = {.size = sizeof info};
    ck_assert_ok(lckv_plan_get_info(plan, &info));
    ck_assert_uint_eq(info.n_layers, 4);
    ck_assert_uint_eq(info.n_slots, 2);
    ck_assert_uint_eq(info.n_upward, 2);
    ck_assert_int_eq(info.is_standard, 0);
    lckv_layer_info layer = {.size = sizeof layer};
    ck_assert_ok(lckv_plan_get_layer(plan, 1, &layer));
    ck_assert_uint_eq(layer.source, 3);
    ck_assert_int_eq(layer.is_upward, 1);
    ck_assert_int_eq(layer.slot, -1);
    ck_assert_uint_eq(layer.source_slot, 1);
    lckv_slot_info slot = {.size = sizeof slot};
    ck_assert_ok(lckv_plan_get_slot(plan, 1, &slot));
    ck_assert_uint_eq(slot.layer, 3);
    ck_assert_uint_eq(slot.n_readers, 3);
    ck_assert_status(lckv_plan_get_layer(plan, 4, &layer), LCKV_INVALID_ARGUMENT);
    ck_assert_error_has("layer is 4");
    ck_assert_status(lckv_plan_get_slot(plan, 2, &slot), LCKV_INVALID_ARGUMENT);
    ck_assert_error_has("slot is 2");
    lckv_group_info group = {.size = sizeof group};
    ck_assert_ok(lckv_plan_get_group(plan, info.n_groups - 1, &group));
    ck_assert_uint_eq(group.last, 3);
    ck_assert_status(lckv_plan_get_group(plan, info.n_groups, &group), LCKV_INVALID_ARGUMENT);
    lckv_plan_release(plan);
}
END_TEST

START_TEST(plans_are_counted)
{
    lckv_plan *plan = NULL;
    ck_assert_ok(lckv_plan_parse(NULL, 0, 3, &plan));
    lckv_plan_retain(plan);
    lckv_plan_release(plan);
    lckv_plan_info info = {.size = sizeof info};
    ck_assert_ok(lckv_plan_get_info(plan, &info));
    ck_assert_int_eq(info.is_standard, 1);
    lckv_plan_release(plan);
}
END_TEST

START_TEST(text_of_a_plan_comes_in_two_calls)
{
    lckv_plan *plan = NULL;
    ck_assert_ok(lckv_plan_parse("0_3_3_3", 7, 4, &plan));
    size_t length = 0;
    char buffer[64];
    ck_assert_status(lckv_plan_text(plan, NULL, 0, &length), LCKV_BUFFER_TOO_SMALL);
    ck_assert_uint_eq(length, 7);
    ck_assert_status(lckv_plan_text(plan, buffer, length, &length), LCKV_BUFFER_TOO_SMALL);
    ck_assert_ok(lckv_plan_text(plan, buffer, length + 1, &length));
    ck_assert_str_eq(buffer, "0_3_3_3");
    ck_assert_status(lckv_plan_text(plan, NULL, 8, &length), LCKV_INVALID_ARGUMENT);
    ck_assert_status(lckv_plan_text(plan, buffer, sizeof buffer, NULL), LCKV_INVALID_ARGUMENT);
    ck_assert_status(lckv_plan_describe(plan, NULL, 8, &length), LCKV_INVALID_ARGUMENT);
    lckv_plan_release(plan);
}
END_TEST

START_TEST(a_bad_plan_leaves_the_pointer_alone)
{
    lckv_plan *plan = NULL;
    ck_assert_status(lckv_plan_parse("0_9_3_3", 7, 4, &plan), LCKV_BAD_PLAN);
    ck_assert_ptr_null(plan);
}
END_TEST

/* ---- NULL ---- */

START_TEST(null_handles_are_refused)
{
    const char *text;
    char byte;
    size_t length;
    uint64_t length64;
    float number;
    const float *row;
    lckv_token token = 0;
    lckv_token_type type;
    lckv_cache *cache;
    lckv_session *session;
    lckv_sampler *sampler;
    lckv_detokenizer *detokenizer;
    lckv_plan_info plan_info = {.size = sizeof plan_info};
    lckv_layer_info layer = {.size = sizeof layer};
    lckv_slot_info slot = {.size = sizeof slot};
    lckv_group_info group = {.size = sizeof group};
    lckv_model_info model_info = {.size = sizeof model_info};
    lckv_model_layer model_layer = {.size = sizeof model_layer};
    lckv_cache_stats stats = {.size = sizeof stats};
    lckv_memory_report memory = {.size = sizeof memory};
    const lckv_item item = {.n_tokens = 1, .tokens = &token};
    const lckv_message message = {"user", 4, "x", 1};
    const lckv_status table[] = {
        lckv_plan_get_info(NULL, &plan_info),
        lckv_plan_get_layer(NULL, 0, &layer),
        lckv_plan_get_slot(NULL, 0, &slot),
        lckv_plan_get_group(NULL, 0, &group),
        lckv_plan_text(NULL, &byte, 1, &length),
        lckv_plan_describe(NULL, &byte, 1, &length),
        lckv_memory_estimate(NULL, &memory),
        lckv_model_get_info(NULL, &model_info),
        lckv_model_get_layer(NULL, 0, &model_layer),
        lckv_model_metadata(NULL, "general.name", &byte, 1, &length),
        lckv_tokenize(NULL, "x", 1, 0, &token, 1, &length),
        lckv_detokenize(NULL, &token, 1, 0, &byte, 1, &length),
        lckv_detokenizer_create(NULL, 0, &detokenizer),
        lckv_detokenizer_push(NULL, 0, &text, &length),
        lckv_detokenizer_flush(NULL, &text, &length),
        lckv_model_token(NULL, 0, &text, &length, &type),
        lckv_chat_format(NULL, &message, sizeof message, 1, 0, &byte, 1, &length),
        lckv_chat_tokenize(NULL, &message, sizeof message, 1, 0, &token, 1, &length),
        lckv_cache_create(NULL, NULL, &cache),
        lckv_cache_get_stats(NULL, &stats),
        lckv_session_create(NULL, &session),
        lckv_session_length(NULL, &length64),
        lckv_session_min_length(NULL, &length64),
        lckv_session_tokens(NULL, &token, 1, &length),
        lckv_session_read_tokens(NULL, 0, 1, &token),
        lckv_session_truncate(NULL, 0),
        lckv_session_read_kv(NULL, 0, 0, 1, &number, &number),
        lckv_evaluate(NULL, &item, sizeof item, 1, NULL, NULL),
        lckv_evaluate_cost(NULL, &item, sizeof item, 1, NULL, NULL),
        lckv_session_logits(NULL, &row, &length),
        lckv_sampler_clone(NULL, &sampler),
        lckv_sampler_reset(NULL),
        lckv_sampler_sample(NULL, &number, 1, &token),
        lckv_sampler_sample_session(NULL, NULL, &token),
        lckv_sampler_accept(NULL, 0),
        lckv_generate(NULL, NULL, &token, 1, NULL, NULL),
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        ck_assert_msg(table[i] == LCKV_INVALID_ARGUMENT, "call %zu of the table gave %s", i,
                      lckv_status_name(table[i]));
}
END_TEST

START_TEST(accessors_of_null_give_nothing)
{
    char buffer[4] = "xyz";
    ck_assert_ptr_null(lckv_model_plan(NULL));
    ck_assert_ptr_null(lckv_model_metadata_key(NULL, 0));
    ck_assert_int_eq(lckv_model_special_token(NULL, LCKV_SPECIAL_BOS), -1);
    ck_assert_int_eq(lckv_model_is_end_token(NULL, 0), 0);
    ck_assert_uint_eq(lckv_model_last_error(NULL, buffer, sizeof buffer), 0);
    ck_assert_uint_eq(lckv_cache_last_error(NULL, NULL, 0), 0);
}
END_TEST

START_TEST(releasing_null_does_nothing)
{
    lckv_plan_retain(NULL);
    lckv_plan_release(NULL);
    lckv_model_retain(NULL);
    lckv_model_release(NULL);
    lckv_detokenizer_retain(NULL);
    lckv_detokenizer_release(NULL);
    lckv_pool_release(NULL);
    lckv_cache_retain(NULL);
    lckv_cache_release(NULL);
    lckv_cache_cancel(NULL);
    lckv_session_retain(NULL);
    lckv_session_release(NULL);
    lckv_sampler_retain(NULL);
    lckv_sampler_release(NULL);
}
END_TEST

START_TEST(nothing_has_no_parent)
{
    ck_assert_ptr_null(lckv_session_cache(NULL));
    ck_assert_ptr_null(lckv_cache_model(NULL));
}
END_TEST

START_TEST(null_arguments_are_refused_by_name)
{
    lckv_model *model;
    lckv_memory_report report = {.size = sizeof report};
    const lckv_memory_request request = {.size = sizeof request, .n_kv_heads = 1, .head_dim = 64};
    ck_assert_status(lckv_plan_parse("0", 1, 1, NULL), LCKV_INVALID_ARGUMENT);
    ck_assert_error_has("plan is NULL");
    ck_assert_status(lckv_memory_estimate(&request, &report), LCKV_INVALID_ARGUMENT);
    ck_assert_error_has("plan");
    ck_assert_status(lckv_model_open(NULL, NULL, &model), LCKV_INVALID_ARGUMENT);
    ck_assert_error_has("path is NULL");
    ck_assert_status(lckv_model_open("x", NULL, NULL), LCKV_INVALID_ARGUMENT);
    ck_assert_error_has("model is NULL");
    ck_assert_status(lckv_model_open_memory(NULL, 0, NULL, &model), LCKV_INVALID_ARGUMENT);
    ck_assert_error_has("bytes is NULL");
    ck_assert_status(lckv_convert(NULL, "out", NULL, NULL), LCKV_INVALID_ARGUMENT);
    ck_assert_error_has("input is NULL");
    ck_assert_status(lckv_convert("in", NULL, NULL, NULL), LCKV_INVALID_ARGUMENT);
    ck_assert_error_has("output is NULL");
    ck_assert_status(lckv_pool_create(1, NULL), LCKV_INVALID_ARGUMENT);
    ck_assert_error_has("pool is NULL");
    ck_assert_status(lckv_sampler_create(NULL, NULL), LCKV_INVALID_ARGUMENT);
    ck_assert_error_has("sampler is NULL");
}
END_TEST

START_TEST(enumerations_are_checked)
{
    lckv_model *model;
    const lckv_model_options precision = {.size = sizeof precision, .precision = 3};
    const lckv_model_options gemm = {.size = sizeof gemm, .gemm = -1};
    const lckv_convert_options init = {.size = sizeof init, .init = 2};
    ck_assert_status(lckv_model_open("x", &precision, &model), LCKV_INVALID_ARGUMENT);
    ck_assert_error_has("precision is 3");
    ck_assert_status(lckv_model_open("x", &gemm, &model), LCKV_INVALID_ARGUMENT);
    ck_assert_error_has("gemm is -1");
    ck_assert_status(lckv_convert("x", "y", &init, NULL), LCKV_INVALID_ARGUMENT);
    ck_assert_error_has("init is 2");
}
END_TEST

START_TEST(a_pool_comes_and_goes)
{
    lckv_pool *pool = NULL;
    ck_assert_ok(lckv_pool_create(2, &pool));
    lckv_pool_release(pool);
    ck_assert_ok(lckv_pool_create(0, &pool));
    lckv_pool_release(pool);
    ck_assert_ok(lckv_pool_create(1024, &pool)); /* threads start with the first call */
    lckv_pool_release(pool);
    ck_assert_status(lckv_pool_create(1025, &pool), LCKV_INVALID_ARGUMENT);
    ck_assert_status(lckv_pool_create(UINT32_MAX, &pool), LCKV_INVALID_ARGUMENT);
}
END_TEST

/* Decoding reads one row of an embedding, but every row if it is the output matrix too. */
START_TEST(decoding_reads_all_weights_but_an_embedding)
{
    static const struct {
        const char *path;
        uint64_t left_out; /* rows x columns x bytes of an element */
    } models[] = {{"examples/models/stories-lckv-q8_0.gguf", 0},
                  {"tests/data/goldens/all-top", 160 * 64 * 2},
                  {"tests/data/goldens/cla2", 160 * 64 * 4}};
    for (size_t i = 0; i < COUNT(models); i++) {
        lckv_model *model;
        lckv_model_info info = {.size = sizeof info};
        ck_assert_ok(lckv_model_open(models[i].path, NULL, &model));
        ck_assert_ok(lckv_model_get_info(model, &info));
        ck_assert_int_eq(info.is_tied, models[i].left_out == 0);
        ck_assert_uint_eq(info.weight_bytes - info.decode_bytes, models[i].left_out);
        lckv_model_release(model);
    }
}
END_TEST

static void add_library(Suite *suite)
{
    const TTest *const tests[] = {version_is_the_headers,
                                  statuses_have_names,
                                  the_last_error_stays_until_the_next_failure,
                                  the_last_error_is_copied_and_cut,
                                  the_last_error_is_the_threads_own,
                                  dtypes_have_names,
                                  portable_is_the_first_kernel_set_and_always_there,
                                  decoding_reads_all_weights_but_an_embedding};
    add_tests(suite, "library", tests, COUNT(tests));
}

static void add_plans(Suite *suite)
{
    const TTest *const tests[] = {a_plan_tells_its_layers_and_slots, plans_are_counted,
                                  text_of_a_plan_comes_in_two_calls,
                                  a_bad_plan_leaves_the_pointer_alone};
    add_tests(suite, "plans", tests, COUNT(tests));
}

static void add_arguments(Suite *suite)
{
    const TTest *const tests[] = {
        null_handles_are_refused, accessors_of_null_give_nothing,     releasing_null_does_nothing,
        nothing_has_no_parent,    null_arguments_are_refused_by_name, enumerations_are_checked,
        a_pool_comes_and_goes};
    add_tests(suite, "arguments", tests, COUNT(tests));
}

TEST_MAIN("api basics", add_library, add_plans, add_arguments)
