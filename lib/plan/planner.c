/*
 * The memory planner counts whole pages, slot by slot. See planner.h.
 *
 * It counts the pages of keys and values only. cache/ knows what else a cache allocates.
 */
#include "plan/planner.h"

#include "base/status.h"
#include "plan/kv_format.h"
#include "plan/page_counts.h"

#define DEFAULT_ROLLBACK 64
#define DEFAULT_PAGE_POSITIONS 64
#define DEFAULT_CONTEXT 4096

/* What a session's memory depends on. */
struct shape {
    uint64_t n_slots, n_windowed_slots;
    struct paging paging;
    uint64_t page_bytes;
};

/* The most pages that a slot takes while single tokens bring a session to `context`. */
static uint64_t slot_pages(const struct shape *shape, bool windowed, uint64_t context)
{
    const uint64_t held = pages_at_rest(&shape->paging, windowed, context);
    return pages_at_peak(&shape->paging, windowed, held, context, 1, 1);
}

/* Bytes of a session that grows to `context` tokens; false if they overflow. */
static bool session_bytes(const struct shape *shape, uint64_t context, uint64_t *bytes)
{
    const uint64_t all = slot_pages(shape, false, context);
    const uint64_t windowed = slot_pages(shape, true, context);
    uint64_t full_pages, windowed_pages, pages;
    return checked_multiply64(shape->n_slots - shape->n_windowed_slots, all, &full_pages) &&
           checked_multiply64(shape->n_windowed_slots, windowed, &windowed_pages) &&
           checked_add64(full_pages, windowed_pages, &pages) &&
           checked_multiply64(pages, shape->page_bytes, bytes);
}

/* a * b, or UINT64_MAX: a figure that only serves to compare must not make the call fail. */
static uint64_t product_or_most(uint64_t a, uint64_t b)
{
    uint64_t product;
    return checked_multiply64(a, b, &product) ? product : UINT64_MAX;
}

/* The longest context whose session takes at most `share` bytes. */
static uint64_t longest_context(const struct shape *shape, uint64_t share)
{
    uint64_t bytes, fits = 0, fails = UINT64_MAX;
    if (session_bytes(shape, UINT64_MAX, &bytes) && bytes <= share)
        return UINT64_MAX;
    while (fails - fits > 1) {
        const uint64_t middle = fits + (fails - fits) / 2;
        if (session_bytes(shape, middle, &bytes) && bytes <= share)
            fits = middle;
        else
            fails = middle;
    }
    return fits;
}

/* Fills in defaults, and refuses requests for which no cache could be made. */
static lckv_status complete(lckv_memory_request *request)
{
    if (request->rollback == 0)
        request->rollback = DEFAULT_ROLLBACK;
    if (request->page_positions == 0)
        request->page_positions = DEFAULT_PAGE_POSITIONS;
    if (request->context == 0)
        request->context = DEFAULT_CONTEXT;
    if (request->n_sessions == 0)
        request->n_sessions = 1;
    if (request->plan == NULL)
        return fail(LCKV_INVALID_ARGUMENT, "memory request: plan is NULL");
    if (request->n_kv_heads == 0)
        return fail(LCKV_INVALID_ARGUMENT, "memory request: n_kv_heads is 0, expected at least 1");
    if (request->head_dim == 0 || request->head_dim % 2 != 0)
        return fail(LCKV_INVALID_ARGUMENT,
                    "memory request: head_dim is %u, expected an even number above 0",
                    request->head_dim);
    bool has_windows = false;
    for (uint32_t i = 0; i < request->plan->n_layers; i++)
        has_windows |= request->plan->layers[i].windowed;
    if (has_windows && request->sliding_window == 0)
        return fail(LCKV_INVALID_ARGUMENT,
                    "memory request: sliding_window is 0, but the plan has windowed layers");
    return LCKV_OK;
}

static lckv_status fail_overflow(void)
{
    return fail(LCKV_INVALID_ARGUMENT, "memory request: its bytes exceed 64 bits");
}

lckv_status planner_estimate(const lckv_memory_request *given, lckv_memory_report *report)
{
    lckv_memory_request request = *given;
    lckv_status status = complete(&request);
    if (status != LCKV_OK)
        return status;
    struct kv_layout layout;
    status = kv_layout_init(&layout, request.kv_dtype, request.v_dtype, request.n_kv_heads,
                            request.head_dim, request.page_positions);
    if (status != LCKV_OK)
        return status;
    struct shape shape = {
        .n_slots = request.plan->n_slots,
        .n_windowed_slots = request.plan->n_windowed_slots,
        .paging = {.page_positions = request.page_positions,
                   .rollback = request.rollback,
                   .windows = {.sliding = request.sliding_window,
                               .context = request.context_window,
                               .n_sinks = request.n_sinks}},
        .page_bytes = layout.page_bytes,
    };
    status = windows_complete(&shape.paging.windows);
    if (status != LCKV_OK)
        return status;
    struct shape standard = shape;
    standard.n_slots = request.plan->n_layers;
    standard.n_windowed_slots = 0;

    lckv_memory_report answer = {.size = report->size};
    if (!checked_multiply64(shape.n_slots, layout.position_bytes, &answer.bytes_per_token) ||
        !session_bytes(&shape, request.context, &answer.bytes_per_session) ||
        !checked_multiply64(answer.bytes_per_session, request.n_sessions, &answer.bytes_needed))
        return fail_overflow();
    answer.standard_bytes_per_token = product_or_most(standard.n_slots, layout.position_bytes);
    bool standard_overflows =
        !session_bytes(&standard, request.context, &answer.standard_bytes_per_session);
    if (standard_overflows)
        answer.standard_bytes_per_session = UINT64_MAX;
    if (request.budget_bytes > 0) {
        answer.sessions_that_fit = request.budget_bytes / answer.bytes_per_session;
        answer.standard_sessions_that_fit =
            standard_overflows ? 0 : request.budget_bytes / answer.standard_bytes_per_session;
        answer.context_that_fits =
            longest_context(&shape, request.budget_bytes / request.n_sessions);
    }
    *report = answer;
    return LCKV_OK;
}
