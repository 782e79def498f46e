/*
 * The memory planner counts whole pages, slot by slot. See planner.h.
 *
 * It counts the pages of keys and values only. cache/ knows what else a cache allocates.
 */
#include "plan/planner.h"

#include "base/status.h"
#include "plan/kv_format.h"
#include "plan/page_counts.h"

#include <string.h>

#define DEFAULT_ROLLBACK 64
#define DEFAULT_PAGE_POSITIONS 64
#define DEFAULT_CONTEXT 4096

/* What a session's memory depends on. */
struct shape {
    struct kv_layout layouts[KV_MAX_SHAPES];
    struct {
        uint64_t n_full, n_windowed;
    } slots[KV_MAX_SHAPES]; /* of each layout */
    uint32_t n_layouts;
    struct paging paging;
};

/* The most pages that a slot takes while single tokens bring a session to `context`. */
static uint64_t slot_pages(const struct paging *paging, bool windowed, uint64_t context)
{
    const uint64_t held = pages_at_rest(paging, windowed, context);
    return pages_at_peak(paging, windowed, held, context, 1, 1);
}

/* Adds the pages of all slots with the same layout; false if they overflow. */
static bool add_pages(const struct shape *shape, uint32_t i, uint64_t context, uint64_t *pages)
{
    struct paging paging = shape->paging;
    uint64_t full, windowed;
    paging.page_positions = shape->layouts[i].page_positions;
    return checked_multiply64(shape->slots[i].n_full, slot_pages(&paging, false, context), &full) &&
           checked_multiply64(shape->slots[i].n_windowed, slot_pages(&paging, true, context),
                              &windowed) &&
           checked_add64(*pages, full, pages) && checked_add64(*pages, windowed, pages);
}

/* Bytes of a session that grows to `context` tokens; false if they overflow. */
static bool session_bytes(const struct shape *shape, uint64_t context, uint64_t *bytes)
{
    uint64_t pages = 0;
    for (uint32_t i = 0; i < shape->n_layouts; i++) {
        if (!add_pages(shape, i, context, &pages))
            return false;
    }
    return checked_multiply64(pages, shape->layouts[0].page_bytes, bytes);
}

/*
 * Bytes of keys and values of a token, in all slots and in those that are not windowed; false if
 * they overflow.
 */
static bool token_bytes(const struct shape *shape, uint64_t *bytes, uint64_t *full_bytes)
{
    uint64_t of_layout;
    *bytes = *full_bytes = 0;
    for (uint32_t i = 0; i < shape->n_layouts; i++) {
        const uint64_t n_full = shape->slots[i].n_full;
        if (!checked_multiply64(n_full + shape->slots[i].n_windowed,
                                shape->layouts[i].position_bytes, &of_layout) ||
            !checked_add64(*bytes, of_layout, bytes))
            return false;
        *full_bytes += n_full * shape->layouts[i].position_bytes;
    }
    return true;
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
    return LCKV_OK;
}

/* Whether there are shapes for all layers, or for none. */
static lckv_status check_n_shapes(const lckv_memory_request *request)
{
    const size_t expected = request->kv_shapes != NULL ? request->plan->n_layers : 0;
    if (request->n_kv_shapes != expected)
        return fail(LCKV_INVALID_ARGUMENT,
                    "memory request: n_kv_shapes is %zu, expected %zu, one for each layer",
                    request->n_kv_shapes, expected);
    return LCKV_OK;
}

static lckv_status check_kv_shape(uint32_t n_kv_heads, uint32_t head_dim)
{
    if (n_kv_heads == 0)
        return fail(LCKV_INVALID_ARGUMENT, "memory request: n_kv_heads is 0, expected at least 1");
    if (head_dim == 0 || head_dim % 2 != 0)
        return fail(LCKV_INVALID_ARGUMENT,
                    "memory request: head_dim is %u, expected an even number above 0", head_dim);
    return LCKV_OK;
}

/* The index of the shape of a layer's keys and values. */
static lckv_status find_kv_shape(const lckv_memory_request *request, uint32_t layer,
                                 struct kv_shapes *shapes, uint32_t *index)
{
    uint32_t n_kv_heads = request->n_kv_heads, head_dim = request->head_dim;
    if (request->kv_shapes != NULL) {
        n_kv_heads = request->kv_shapes[layer].n_kv_heads;
        head_dim = request->kv_shapes[layer].head_dim;
    }
    lckv_status status = check_kv_shape(n_kv_heads, head_dim);
    return status == LCKV_OK ? kv_shapes_add(shapes, n_kv_heads, head_dim, index) : status;
}

/* Counts the slots of each shape, for the plan and for the standard plan, and lays out pages. */
static lckv_status count_slots(const lckv_memory_request *request, struct shape *shape,
                               struct shape *standard)
{
    const struct lckv_plan *plan = request->plan;
    struct kv_shapes shapes = {0};
    for (uint32_t i = 0; i < plan->n_layers; i++) {
        const int32_t slot = plan->layers[i].slot;
        uint32_t index = 0;
        lckv_status status = find_kv_shape(request, i, &shapes, &index);
        if (status != LCKV_OK)
            return status;
        standard->slots[index].n_full++;
        if (slot >= 0 && plan->slots[slot].windowed)
            shape->slots[index].n_windowed++;
        else if (slot >= 0)
            shape->slots[index].n_full++;
    }
    lckv_status status = kv_layouts_init(shape->layouts, &shapes, request->kv_dtype,
                                         request->v_dtype, request->page_positions);
    memcpy(standard->layouts, shape->layouts, sizeof standard->layouts);
    shape->n_layouts = standard->n_layouts = shapes.n;
    return status;
}

static lckv_status check_window(const lckv_memory_request *request)
{
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
    struct shape shape = {
        .paging = {.page_positions = request.page_positions,
                   .rollback = request.rollback,
                   .windows = {.sliding = request.sliding_window,
                               .context = request.context_window,
                               .n_sinks = request.n_sinks}},
    };
    struct shape standard = shape;
    status = check_n_shapes(&request);
    if (status == LCKV_OK)
        status = count_slots(&request, &shape, &standard);
    if (status == LCKV_OK)
        status = check_window(&request);
    if (status == LCKV_OK)
        status = windows_complete(&shape.paging.windows);
    if (status != LCKV_OK)
        return status;
    standard.paging = shape.paging;

    lckv_memory_report answer = {.size = report->size};
    uint64_t standard_full_bytes;
    if (!token_bytes(&shape, &answer.bytes_per_token, &answer.full_bytes_per_token) ||
        !session_bytes(&shape, request.context, &answer.bytes_per_session) ||
        !checked_multiply64(answer.bytes_per_session, request.n_sessions, &answer.bytes_needed))
        return fail_overflow();
    /* Figures that only serve to compare must not make the call fail. */
    if (!token_bytes(&standard, &answer.standard_bytes_per_token, &standard_full_bytes))
        answer.standard_bytes_per_token = UINT64_MAX;
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
