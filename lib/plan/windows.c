/*
 * Masks and what slots keep. See windows.h.
 */
#include "plan/windows.h"

#include "base/status.h"

#define DEFAULT_SINKS 4

lckv_status windows_complete(struct windows *windows)
{
    if (windows->context == 0) {
        if (windows->n_sinks != 0)
            return fail(LCKV_INVALID_ARGUMENT,
                        "n_sinks is %u, but there is no context_window; give it, too",
                        windows->n_sinks);
        return LCKV_OK;
    }
    if (windows->context < 2)
        return fail(LCKV_INVALID_ARGUMENT,
                    "context_window is %u; expected at least 2 tokens, a sink and the current one",
                    windows->context);
    uint32_t most = windows->context - 1;
    most = most < WINDOWS_MAX_SINKS ? most : WINDOWS_MAX_SINKS;
    if (windows->n_sinks == 0)
        windows->n_sinks = most < DEFAULT_SINKS ? most : DEFAULT_SINKS;
    if (windows->n_sinks > most)
        return fail(LCKV_INVALID_ARGUMENT,
                    "n_sinks is %u; with a context_window of %u expected at most %u",
                    windows->n_sinks, windows->context, most);
    return LCKV_OK;
}

/* Of the context window, the tokens that follow the sinks. */
static uint64_t moving_part(const struct windows *windows)
{
    return windows->context > 0 ? windows->context - windows->n_sinks : UINT64_MAX;
}

struct span window_span(const struct windows *windows, const struct plan_layer *layer, uint64_t t,
                        bool force_nodiag)
{
    struct span span = {0, layer->upward || force_nodiag ? t : t + 1};
    uint64_t window = layer->windowed ? windows->sliding : UINT64_MAX;
    if (windows->context > 0 && t >= windows->context && moving_part(windows) < window)
        window = moving_part(windows);
    if (t + 1 > window)
        span.begin = t + 1 - window;
    if (span.begin > span.end)
        span.begin = span.end;
    return span;
}

/*
 * In the cache the query stands at position context - 1 then, and a sliding window counts from
 * there.
 */
struct span sink_span(const struct windows *windows, const struct plan_layer *layer, uint64_t t)
{
    if (windows->context == 0 || t < windows->context)
        return (struct span){0, 0};
    struct span span = {0, windows->n_sinks};
    if (layer->windowed && windows->context > windows->sliding)
        span.begin = windows->context - windows->sliding;
    if (span.begin > span.end)
        span.begin = span.end;
    return span;
}

struct reach slot_reach(const struct windows *windows, bool windowed)
{
    const uint64_t window = windowed ? windows->sliding : UINT64_MAX;
    if (windows->context > 0 && moving_part(windows) < window)
        return (struct reach){windows->n_sinks, moving_part(windows)};
    return (struct reach){0, window};
}

uint64_t reach_begin(struct reach reach, uint64_t length, uint32_t rollback)
{
    if (reach.window == UINT64_MAX)
        return 0;
    const uint64_t kept = reach.window + rollback;
    return length > kept ? length - kept : 0;
}
