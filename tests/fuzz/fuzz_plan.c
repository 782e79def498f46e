/*
 * Plan strings are parsed, described and written, and their memory is estimated. The first bytes of
 * the input are the numbers, the rest is the plan.
 */
#include "touch.h"

static uint64_t take_number(struct input *input)
{
    uint64_t number = take(input, 256);
    return number << take(input, 64);
}

static void estimate(const lckv_plan *plan, struct input *input)
{
    lckv_memory_request request = {.size = sizeof request,
                                   .plan = plan,
                                   .n_kv_heads = (uint32_t)take_number(input),
                                   .head_dim = (uint32_t)take_number(input),
                                   .kv_dtype = (lckv_dtype)take(input, 4),
                                   .sliding_window = (uint32_t)take_number(input),
                                   .rollback = (uint32_t)take_number(input),
                                   .page_positions = 16 * take(input, 66),
                                   .context = take_number(input),
                                   .budget_bytes = take_number(input),
                                   .n_sessions = take_number(input),
                                   .context_window = (uint32_t)take_number(input)};
    lckv_memory_report report = {.size = sizeof report};
    if (!succeeded(lckv_memory_estimate(&request, &report)))
        return;
    require(report.bytes_per_token <= report.standard_bytes_per_token, "more than the standard");
    uint64_t n = request.n_sessions != 0 ? request.n_sessions : 1;
    require(report.bytes_per_session <= UINT64_MAX / n &&
                report.bytes_needed == report.bytes_per_session * n,
            "%llu", (unsigned long long)report.bytes_needed);
    if (request.budget_bytes == 0)
        return;
    require(report.sessions_that_fit == request.budget_bytes / report.bytes_per_session,
            "sessions");
    if (report.context_that_fits == 0 || report.context_that_fits == UINT64_MAX)
        return;
    request.context = report.context_that_fits; /* this must fit, and one more token must not */
    require_ok(lckv_memory_estimate(&request, &report));
    require(report.bytes_needed <= request.budget_bytes, "%llu tokens do not fit",
            (unsigned long long)request.context);
    request.context++;
    require(lckv_memory_estimate(&request, &report) != LCKV_OK ||
                report.bytes_needed > request.budget_bytes,
            "%llu tokens fit", (unsigned long long)request.context);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { N_NUMBERS = 20 };
    struct input input = {data, size < N_NUMBERS ? size : N_NUMBERS};
    const char *text = (const char *)data + input.size;
    size_t length = size - input.size;
    uint32_t n_layers = 1 + take(&input, 40);
    bool is_standard = take(&input, 8) == 7;
    lckv_plan *plan = NULL;
    /* A layer takes at least a character. Also tries the number of layers that the text has. */
    uint32_t n_entries = 1;
    for (size_t i = 0; i < length; i++)
        n_entries += text[i] == '_';
    if (is_standard ? succeeded(lckv_plan_parse(NULL, 0, n_layers, &plan))
                    : succeeded(lckv_plan_parse(text, length, n_entries, &plan)) ||
                          succeeded(lckv_plan_parse(text, length, n_layers, &plan))) {
        touch_plan(plan);
        estimate(plan, &input);
    }
    lckv_plan_release(plan);
    return 0;
}
