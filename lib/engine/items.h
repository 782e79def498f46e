/*
 * The items of an evaluate call: takes them from the caller's array into the schedule.
 */
#ifndef LCKV_ENGINE_ITEMS_H
#define LCKV_ENGINE_ITEMS_H

#include "base/checked.h"
#include "engine/schedule.h"

/* Reads item `i`, checks it and stores it in the schedule. */
CHECKED lckv_status take_item(struct schedule *schedule, const lckv_item *given, size_t i,
                              lckv_prefill prefill);

/*
 * Copies the tokens of item `i` into its session, where the call uses them, and checks the copy:
 * callbacks and other threads may write to the caller's arrays while the call runs.
 */
CHECKED lckv_status reserve_item(struct schedule *schedule, size_t i);

/* Whether the model has a rotation for the positions of `n_tokens` more tokens. */
CHECKED bool session_can_rotate(const struct lckv_session *session, size_t n_tokens);

/* Whether the cache has room for the rows of logits that it must hold itself. */
CHECKED lckv_status check_logit_rows(const struct schedule *schedule);

#endif
