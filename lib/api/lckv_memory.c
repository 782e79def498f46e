/*
 * lckv_memory_estimate: the memory planner.
 */
#include "api/options.h"
#include "base/status.h"
#include "plan/planner.h"

lckv_status lckv_memory_request_init(lckv_memory_request *request, size_t size)
{
    return options_init(request, size, "lckv_memory_request");
}

lckv_status lckv_memory_estimate(const lckv_memory_request *request, lckv_memory_report *report)
{
    if (request == NULL)
        return argument_null(__func__, "request");
    lckv_memory_request full;
    lckv_status status = options_read(&full, sizeof full, request, "lckv_memory_request");
    if (status == LCKV_OK)
        status = result_check(report, sizeof *report, "lckv_memory_report");
    if (status != LCKV_OK)
        return status;
    if (full.reserved != 0)
        return fail(LCKV_INVALID_ARGUMENT, "lckv_memory_request: reserved must be 0");
    if (full.plan == NULL)
        return argument_null(__func__, "request.plan");
    status = argument_array(__func__, "request.kv_shapes", full.kv_shapes, full.n_kv_shapes);
    if (status != LCKV_OK)
        return status;
    lckv_memory_report answer = {.size = sizeof answer};
    status = planner_estimate(&full, &answer);
    if (status == LCKV_OK)
        status = result_write(report, &answer, sizeof answer, "lckv_memory_report");
    return status;
}
