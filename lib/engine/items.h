/*
 * The items of an evaluate call: takes them from the caller's array into the schedule.
 */
#ifndef LCKV_ENGINE_ITEMS_H
#define LCKV_ENGINE_ITEMS_H

#include "base/checked.h"
#include "engine/schedule.h"

/*
 * Reads item `i` once, checks it and stores it in the schedule: callbacks and other threads may
 * write to the caller's arrays while the call runs. So a call that computes reserves room in the
 * session, and checks and uses the copy of the tokens that lies there.
 */
CHECKED lckv_status take_item(struct schedule *schedule, const lckv_item *given, size_t i,
                              lckv_prefill prefill, bool computes);

/* Whether the cache has room for the rows of logits that it must hold itself. */
CHECKED lckv_status check_logit_rows(const struct schedule *schedule);

#endif
