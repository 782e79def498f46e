/*
 * Every call of the parts of the interface that need no cache: see every_call.c.
 */
#include "every_call.h"

void use_library(void)
{
    char text[64];
    lckv_dtype dtype;
    EXPECT(lckv_version_number() >=
           LCKV_VERSION_MAJOR * 10000 + LCKV_VERSION_MINOR * 100 + LCKV_VERSION_PATCH);
    EXPECT(lckv_version_string()[0] != 0);
    EXPECT(strcmp(lckv_status_name(LCKV_BUSY), "LCKV_BUSY") == 0);
    EXPECT(strcmp(lckv_dtype_name(LCKV_DTYPE_MXFP4), "mxfp4") == 0);
    OK(lckv_dtype_from_name("q4_0", &dtype));
    EXPECT(dtype == LCKV_DTYPE_Q4_0);
    EXPECT(lckv_dtype_from_name("none", &dtype) == LCKV_UNSUPPORTED);
    EXPECT(strstr(lckv_last_error(), "none") != NULL);
    EXPECT(lckv_last_error_copy(text, sizeof text) == strlen(lckv_last_error()));
    EXPECT(strcmp(lckv_kernel_set_name(0), "portable") == 0);
    EXPECT(lckv_kernel_set_available("portable"));
}

void use_plans(void)
{
    char text[512];
    size_t length;
    lckv_plan *plan;
    RESULT(lckv_plan_info, info);
    RESULT(lckv_layer_info, layer);
    RESULT(lckv_slot_info, slot);
    RESULT(lckv_group_info, group);
    OK(lckv_plan_parse("0_3_3_3", 7, 4, &plan));
    OK(lckv_plan_get_info(plan, &info.result));
    OK(lckv_plan_get_layer(plan, 1, &layer.result));
    OK(lckv_plan_get_slot(plan, 1, &slot.result));
    OK(lckv_plan_get_group(plan, 1, &group.result));
    WHOLE(info);
    WHOLE(layer);
    WHOLE(slot);
    WHOLE(group);
    EXPECT(info.result.n_layers == 4 && info.result.n_slots == 2 && info.result.n_upward == 2);
    EXPECT(info.result.n_windowed_slots == 0 && info.result.n_groups == 2);
    EXPECT(!info.result.is_standard);
    EXPECT(layer.result.source == 3 && layer.result.is_upward && !layer.result.is_windowed);
    EXPECT(layer.result.slot == -1 && layer.result.source_slot == 1);
    EXPECT(slot.result.layer == 3 && slot.result.n_readers == 3 && !slot.result.is_windowed);
    EXPECT(group.result.first == 1 && group.result.last == 3 && group.result.is_cyclic);
    OK(lckv_plan_text(plan, text, sizeof text, &length));
    EXPECT(strcmp(text, "0_3_3_3") == 0 && length == 7);
    OK(lckv_plan_describe(plan, text, sizeof text, &length));
    lckv_plan_retain(plan);
    lckv_plan_release(plan);
    lckv_plan_release(plan);
}

void use_memory_planner(void)
{
    lckv_plan *plan;
    const lckv_kv_shape shapes[4] = {{4, 32}, {4, 32}, {4, 32}, {4, 32}};
    OPTIONS(lckv_memory_request, request);
    RESULT(lckv_memory_report, report);
    OK(lckv_plan_parse("0_3_3_3", 7, 4, &plan));
    request.result.plan = plan;
    request.result.kv_dtype = LCKV_DTYPE_F16;
    request.result.context = 1024;
    request.result.budget_bytes = 1 << 20;
    request.result.kv_shapes = shapes;
    request.result.n_kv_shapes = 4;
    OK(lckv_memory_estimate(&request.result, &report.result));
    WHOLE(report);
    EXPECT(report.result.bytes_per_token == 2 * 2 * 4 * 32 * 2);
    EXPECT(report.result.full_bytes_per_token == report.result.bytes_per_token);
    EXPECT(report.result.standard_bytes_per_token == 2 * report.result.bytes_per_token);
    EXPECT(report.result.bytes_per_session == 1024 * report.result.bytes_per_token);
    EXPECT(report.result.standard_bytes_per_session == 2 * report.result.bytes_per_session);
    EXPECT(report.result.bytes_needed == report.result.bytes_per_session);
    EXPECT(report.result.sessions_that_fit == 1 && report.result.context_that_fits == 1024);
    EXPECT(report.result.standard_sessions_that_fit == 0);
    lckv_plan_release(plan);
}

void use_model(const lckv_model *model)
{
    char text[64];
    size_t length;
    uint64_t fingerprint;
    RESULT(lckv_model_info, info);
    RESULT(lckv_model_layer, layer);
    OK(lckv_model_get_info(model, &info.result));
    OK(lckv_model_get_layer(model, 11, &layer.result));
    WHOLE(info);
    WHOLE(layer);
    EXPECT(info.result.n_layers == 12 && info.result.n_vocab == 4096);
    EXPECT(info.result.hidden_size == 256 && info.result.intermediate_size == 704);
    EXPECT(info.result.n_heads == 8 && info.result.n_kv_heads == 4 && info.result.head_dim == 32);
    EXPECT(info.result.context_length == 512 && info.result.sliding_window == 0);
    EXPECT(info.result.forward_passes == 7 && info.result.backward_passes == 2);
    EXPECT(info.result.has_tokenizer && info.result.is_tied && info.result.has_weights);
    EXPECT(info.result.precision == LCKV_PRECISION_FULL);
    EXPECT(info.result.rope_theta == 10000 && info.result.rms_norm_eps < 1e-4F);
    EXPECT(info.result.n_parameters > 9000000 && info.result.decode_bytes > 0);
    EXPECT(info.result.weight_bytes >= info.result.resident_bytes && info.result.ring_bytes == 0);
    EXPECT(strcmp(info.result.architecture, "lckv-llama") == 0);
    EXPECT(strcmp(info.result.name, "stories-lckv") == 0);
    EXPECT(strcmp(info.result.kernel_set, "portable") == 0);
    EXPECT(strstr(info.result.weight_dtypes, "q8_0") != NULL && info.result.problem == NULL);
    EXPECT(!info.result.is_table_mapped && info.result.table_bytes == 0);
    EXPECT(layer.result.kv_shape.n_kv_heads == 4 && layer.result.kv_shape.head_dim == 32);
    EXPECT(layer.result.intermediate_size == 704);
    OK(lckv_model_fingerprint(model, &fingerprint));
    EXPECT(lckv_model_plan(model) != NULL);
    EXPECT(lckv_model_metadata_key(model, 0) != NULL);
    OK(lckv_model_metadata(model, "general.name", text, sizeof text, &length));
    EXPECT(lckv_model_metadata(model, "none", text, sizeof text, &length) != LCKV_OK);
    EXPECT(lckv_model_last_error(model, text, sizeof text) > 0);
}

size_t use_text(const lckv_model *model, lckv_token *tokens, size_t capacity)
{
    char text[64];
    const char *piece;
    size_t n, length, n_message;
    lckv_token_type type;
    lckv_detokenizer *detokenizer;
    OK(lckv_tokenize(model, "Once upon a time", 16, LCKV_TOKENIZE_BOS, tokens, capacity, &n));
    EXPECT(tokens[0] == lckv_model_special_token(model, LCKV_SPECIAL_BOS));
    EXPECT(!lckv_model_is_end_token(model, tokens[1]));
    OK(lckv_model_token(model, tokens[1], &piece, &length, &type));
    EXPECT(type == LCKV_TOKEN_NORMAL && length > 0);
    OK(lckv_detokenize(model, tokens, n, 0, text, sizeof text, &length));
    EXPECT(length == 16 && memcmp(text, "Once upon a time", 16) == 0);

    OK(lckv_detokenizer_create(model, 0, &detokenizer));
    lckv_detokenizer_retain(detokenizer);
    lckv_detokenizer_release(detokenizer);
    OK(lckv_detokenizer_push(detokenizer, tokens[1], &piece, &length));
    OK(lckv_detokenizer_flush(detokenizer, &piece, &length));
    lckv_detokenizer_release(detokenizer);

    /* The bundled model has no chat template, which is said after all arguments have been read. */
    const lckv_message message = {"user", 4, "Hello", 5};
    EXPECT(lckv_chat_tokenize(model, &message, sizeof message, 1, LCKV_CHAT_ANSWER, NULL, 0,
                              &n_message) == LCKV_UNSUPPORTED);
    EXPECT(lckv_chat_format(model, &message, sizeof message, 1, LCKV_CHAT_ANSWER, NULL, 0,
                            &length) == LCKV_UNSUPPORTED);
    return n;
}

void use_convert(const char *input, const char *output, struct calls *calls)
{
    OPTIONS(lckv_convert_options, options);
    RESULT(lckv_convert_report, report);
    options.result.dtype = LCKV_DTYPE_Q4_0;
    options.result.init = LCKV_CONVERT_COPY;
    options.result.log = remark;
    options.result.log_user = calls;
    options.result.progress = progress;
    options.result.progress_user = calls;
    OK(lckv_convert(input, output, &options.result, &report.result));
    WHOLE(report);
    EXPECT(report.result.n_tensors > 12 && report.result.file_bytes > 1000000);
    EXPECT(report.result.n_kept_f16 == 0);
}
