/*
 * Windows: which positions a token attends to, and which a slot must keep for that
 * (docs/semantics.md, sections 2, 4 and 7).
 *
 * The sliding window belongs to the layers that the plan marks. The context window is the whole
 * session's: if there is one, a session can go on for ever, because no layer attends to more than
 * its first tokens, the sinks, and the last ones.
 */
#ifndef LCKV_PLAN_WINDOWS_H
#define LCKV_PLAN_WINDOWS_H

#include "plan/plan.h"

#define WINDOWS_MAX_SINKS 1024

struct windows {
    uint32_t sliding; /* tokens that windowed layers attend to, the current one included */
    uint32_t context; /* tokens that any layer attends to, sinks included; 0: no limit */
    uint32_t n_sinks; /* 0 if there is no context window */
};

/* Fills in the default number of sinks. LCKV_INVALID_ARGUMENT if the windows make no sense. */
CHECKED lckv_status windows_complete(struct windows *windows);

/* Positions [begin, end). */
struct span {
    uint64_t begin, end;
};

/*
 * The mask: what layer `layer` attends to at position t, without the sinks once the context window
 * has moved on.
 */
struct span window_span(const struct windows *windows, const struct plan_layer *layer, uint64_t t,
                        bool force_nodiag);

/*
 * The sinks that it attends to besides, from position windows->context on. Until then there are
 * none: the sinks are ordinary tokens of window_span.
 */
struct span sink_span(const struct windows *windows, const struct plan_layer *layer, uint64_t t);

/* What readers of a slot need in the long run: the first `n_sinks` and the last `window` tokens. */
struct reach {
    uint32_t n_sinks;
    uint64_t window; /* UINT64_MAX: all tokens */
};

/* `windowed`: all readers of the slot are windowed layers. */
struct reach slot_reach(const struct windows *windows, bool windowed);

/*
 * The first position that a slot must keep for a session of `length` tokens which may be cut back
 * by `rollback`. It keeps its sinks too. Positions are lost if the result is above n_sinks.
 */
uint64_t reach_begin(struct reach reach, uint64_t length, uint32_t rollback);

#endif
