/*
 * See plan_report.h.
 */
#include "plan_report.h"

#include "json.h"
#include "report.h"
#include "values.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static double ratio(uint64_t standard, uint64_t condensed)
{
    return condensed > 0 ? (double)standard / (double)condensed : 0;
}

static int print_groups(const struct plan_answer *answer)
{
    printf("groups           ");
    for (uint32_t i = 0; i < answer->info.n_groups; i++) {
        lckv_group_info group = {.size = sizeof group};
        if (lckv_plan_get_group(answer->plan, i, &group) != LCKV_OK)
            return fail_library();
        printf("%s%" PRIu32, i > 0 ? ", " : "", group.first);
        if (group.last != group.first)
            printf("-%" PRIu32, group.last);
        printf(group.is_cyclic ? " iterated" : " once");
    }
    putchar('\n');
    return EXIT_SUCCESS;
}

static void print_row(const char *label, const char *mine, const char *standard, double times)
{
    printf("%-24s %14s %14s", label, mine, standard);
    if (times > 0)
        printf("   %.2f times", times);
    putchar('\n');
}

static bool same_shape(const lckv_kv_shape *a, const lckv_kv_shape *b)
{
    return a->n_kv_heads == b->n_kv_heads && a->head_dim == b->head_dim;
}

static void print_shape(const char *before, uint32_t n_kv_heads, uint32_t head_dim)
{
    printf("%s%" PRIu32 " KV head%s of %" PRIu32, before, n_kv_heads, n_kv_heads == 1 ? "" : "s",
           head_dim);
}

/* Each shape that layers have, once. */
static void print_shapes(const lckv_memory_request *request)
{
    printf("shape            ");
    if (request->n_kv_shapes == 0)
        print_shape("", request->n_kv_heads, request->head_dim);
    for (size_t i = 0; i < request->n_kv_shapes; i++) {
        const lckv_kv_shape *shape = &request->kv_shapes[i];
        size_t first = 0;
        while (!same_shape(shape, &request->kv_shapes[first]))
            first++;
        if (first == i)
            print_shape(i == 0 ? "" : " or ", shape->n_kv_heads, shape->head_dim);
    }
}

static void print_memory(const struct plan_answer *answer)
{
    const lckv_memory_request *request = &answer->request;
    const lckv_memory_report *report = &answer->report;
    char label[64], mine[32], standard[32];
    print_row("", "this plan", "standard", 0);
    print_row("KV per token", human_bytes(report->bytes_per_token).text,
              human_bytes(report->standard_bytes_per_token).text,
              ratio(report->standard_bytes_per_token, report->bytes_per_token));
    if (answer->info.n_windowed_slots > 0) {
        const uint64_t full = report->full_bytes_per_token;
        print_row("  in full slots", human_bytes(full).text, "", 0);
        snprintf(label, sizeof label, "  in windows of %" PRIu32, request->sliding_window);
        print_row(label, human_bytes(report->bytes_per_token - full).text, "", 0);
    }
    snprintf(label, sizeof label, "%" PRIu64 " tokens", request->context);
    print_row(label, human_bytes(report->bytes_per_session).text,
              human_bytes(report->standard_bytes_per_session).text,
              ratio(report->standard_bytes_per_session, report->bytes_per_session));
    if (request->n_sessions > 1) {
        snprintf(label, sizeof label, "%" PRIu64 " such sessions", request->n_sessions);
        print_row(label, human_bytes(report->bytes_needed).text, "", 0);
    }
    if (request->budget_bytes == 0)
        return;
    snprintf(label, sizeof label, "sessions in %s", human_bytes(request->budget_bytes).text);
    snprintf(mine, sizeof mine, "%" PRIu64, report->sessions_that_fit);
    snprintf(standard, sizeof standard, "%" PRIu64, report->standard_sessions_that_fit);
    print_row(label, mine, standard,
              ratio(report->sessions_that_fit, report->standard_sessions_that_fit));
    if (answer->has_cache) {
        const lckv_cache_estimate_report *cache = &answer->cache;
        snprintf(mine, sizeof mine, "%" PRIu64, cache->sessions_that_fit);
        print_row("  with scratch and tables", mine, "", 0);
        printf("    pages %s, scratch %s, tables %s\n", human_bytes(cache->page_bytes_total).text,
               human_bytes(cache->scratch_bytes).text, human_bytes(cache->table_bytes).text);
    }
    if (report->context_that_fits == UINT64_MAX)
        snprintf(mine, sizeof mine, "no limit");
    else
        snprintf(mine, sizeof mine, "%" PRIu64, report->context_that_fits);
    snprintf(label, sizeof label, "tokens for %" PRIu64 " session%s", request->n_sessions,
             request->n_sessions > 1 ? "s" : "");
    print_row(label, mine, "", 0);
}

int plan_print_text(const struct plan_answer *answer)
{
    const lckv_plan_info *info = &answer->info;
    printf("plan             %s\n", answer->text);
    printf("layers           %" PRIu32 ", %" PRIu32 " of them read a layer above\n", info->n_layers,
           info->n_upward);
    printf("slots            %" PRIu32, info->n_slots);
    if (info->n_windowed_slots > 0)
        printf(", %" PRIu32 " of them windowed (%" PRIu32 " tokens)", info->n_windowed_slots,
               answer->request.sliding_window);
    putchar('\n');
    if (answer->request.context_window > 0)
        printf("context window   %" PRIu32 " tokens\n", answer->request.context_window);
    int status = print_groups(answer);
    if (status != EXIT_SUCCESS)
        return status;
    print_shapes(&answer->request);
    printf(" in %s%s\n\n",
           kv_types_text((struct kv_types){answer->request.kv_dtype, answer->request.v_dtype}).text,
           answer->is_assumed ? " (assumed; see --kv-heads, --head-dim)" : "");
    print_memory(answer);
    printf("\n%s", answer->picture);
    size_t length = strlen(answer->picture);
    if (length == 0 || answer->picture[length - 1] != '\n')
        putchar('\n');
    return EXIT_SUCCESS;
}

static int add_layers(struct json *json, const struct plan_answer *answer)
{
    json_key(json, "layers");
    json_begin_array(json);
    for (uint32_t i = 0; i < answer->info.n_layers; i++) {
        lckv_layer_info layer = {.size = sizeof layer};
        if (lckv_plan_get_layer(answer->plan, i, &layer) != LCKV_OK)
            return fail_library();
        json_begin_object(json);
        json_add_unsigned(json, "layer", i);
        json_add_unsigned(json, "source", layer.source);
        json_add_bool(json, "is_upward", layer.is_upward);
        json_add_bool(json, "is_windowed", layer.is_windowed);
        json_key(json, "slot"); /* -1: the layer computes no keys and values */
        json_signed(json, layer.slot);
        json_add_unsigned(json, "source_slot", layer.source_slot);
        json_end_object(json);
    }
    json_end_array(json);
    return EXIT_SUCCESS;
}

static int add_slots(struct json *json, const struct plan_answer *answer)
{
    json_key(json, "slots");
    json_begin_array(json);
    for (uint32_t i = 0; i < answer->info.n_slots; i++) {
        lckv_slot_info slot = {.size = sizeof slot};
        if (lckv_plan_get_slot(answer->plan, i, &slot) != LCKV_OK)
            return fail_library();
        json_begin_object(json);
        json_add_unsigned(json, "layer", slot.layer);
        json_add_unsigned(json, "n_readers", slot.n_readers);
        json_add_bool(json, "is_windowed", slot.is_windowed);
        json_end_object(json);
    }
    json_end_array(json);
    return EXIT_SUCCESS;
}

static int add_groups(struct json *json, const struct plan_answer *answer)
{
    json_key(json, "groups");
    json_begin_array(json);
    for (uint32_t i = 0; i < answer->info.n_groups; i++) {
        lckv_group_info group = {.size = sizeof group};
        if (lckv_plan_get_group(answer->plan, i, &group) != LCKV_OK)
            return fail_library();
        json_begin_object(json);
        json_add_unsigned(json, "first", group.first);
        json_add_unsigned(json, "last", group.last);
        json_add_bool(json, "is_cyclic", group.is_cyclic);
        json_end_object(json);
    }
    json_end_array(json);
    return EXIT_SUCCESS;
}

static void add_memory(struct json *json, const struct plan_answer *answer)
{
    const lckv_memory_request *request = &answer->request;
    const lckv_memory_report *report = &answer->report;
    json_add_unsigned(json, "n_kv_heads", request->n_kv_heads);
    json_add_unsigned(json, "head_dim", request->head_dim);
    json_add_bool(json, "is_shape_assumed", answer->is_assumed);
    json_add_string(json, "kv_type",
                    kv_types_text((struct kv_types){request->kv_dtype, request->v_dtype}).text);
    json_add_unsigned(json, "sliding_window", request->sliding_window);
    json_add_unsigned(json, "context", request->context);
    if (request->context_window > 0)
        json_add_unsigned(json, "context_window", request->context_window);
    json_add_unsigned(json, "bytes_per_token", report->bytes_per_token);
    json_add_unsigned(json, "full_bytes_per_token", report->full_bytes_per_token);
    json_add_unsigned(json, "standard_bytes_per_token", report->standard_bytes_per_token);
    json_add_real(json, "ratio", ratio(report->standard_bytes_per_token, report->bytes_per_token),
                  6);
    json_add_unsigned(json, "bytes_per_session", report->bytes_per_session);
    json_add_unsigned(json, "standard_bytes_per_session", report->standard_bytes_per_session);
    json_add_unsigned(json, "n_sessions", request->n_sessions);
    json_add_unsigned(json, "bytes_needed", report->bytes_needed);
    if (request->budget_bytes == 0)
        return;
    json_add_unsigned(json, "memory", request->budget_bytes);
    json_add_unsigned(json, "sessions_that_fit", report->sessions_that_fit);
    json_add_unsigned(json, "standard_sessions_that_fit", report->standard_sessions_that_fit);
    json_key(json, "context_that_fits"); /* null: there is no limit */
    if (report->context_that_fits == UINT64_MAX)
        json_real(json, INFINITY, 1);
    else
        json_unsigned(json, report->context_that_fits);
}

static void add_cache(struct json *json, const lckv_cache_estimate_report *cache)
{
    json_key(json, "cache");
    json_begin_object(json);
    json_add_unsigned(json, "sessions_that_fit", cache->sessions_that_fit);
    json_add_unsigned(json, "n_pages", cache->n_pages);
    json_add_unsigned(json, "page_bytes", cache->page_bytes);
    json_add_unsigned(json, "page_bytes_total", cache->page_bytes_total);
    json_add_unsigned(json, "scratch_bytes", cache->scratch_bytes);
    json_add_unsigned(json, "table_bytes", cache->table_bytes);
    json_end_object(json);
}

int plan_print_json(const struct plan_answer *answer)
{
    const lckv_plan_info *info = &answer->info;
    struct json json = json_open(stdout);
    json_add_string(&json, "plan", answer->text);
    json_add_bool(&json, "is_standard", info->is_standard);
    json_add_unsigned(&json, "n_layers", info->n_layers);
    json_add_unsigned(&json, "n_slots", info->n_slots);
    json_add_unsigned(&json, "n_windowed_slots", info->n_windowed_slots);
    json_add_unsigned(&json, "n_upward", info->n_upward);
    json_add_unsigned(&json, "n_groups", info->n_groups);
    add_memory(&json, answer);
    if (answer->has_cache)
        add_cache(&json, &answer->cache);
    int status = add_layers(&json, answer);
    if (status == EXIT_SUCCESS)
        status = add_slots(&json, answer);
    if (status == EXIT_SUCCESS)
        status = add_groups(&json, answer);
    if (status == EXIT_SUCCESS)
        json_close(&json);
    return status;
}
