/*
 * How the items of a call are encoded: what the options and the plan say of each.
 */
#ifndef LCKV_ENGINE_ENCODING_H
#define LCKV_ENGINE_ENCODING_H

#include "base/checked.h"
#include "engine/schedule.h"

/* Takes passes, window and tolerance from the options. */
CHECKED lckv_status encoding_read(const lckv_evaluate_options *options, struct schedule *schedule);

/* The encoding of an item of `n_tokens`, as far as it does not depend on the others. */
enum encoding encoding_of(const struct schedule *schedule, lckv_prefill prefill, size_t n_tokens);

/*
 * When all items are known: chooses the window, unless it is given. With one of 1, the items that
 * it is for are exact.
 */
void encoding_choose_window(struct schedule *schedule);

/*
 * When the chunk is known: makes the window as small as rows and pages want it. Each cyclic stage
 * may have one of the tokens of a session that are under way.
 */
void encoding_fit_window(struct schedule *schedule);

/* The most tokens of the item that hold pages and are not done, if `chunk` is the most of any. */
uint64_t encoding_in_flight(const struct schedule *schedule, const struct scheduled *item,
                            uint64_t chunk);

/* Within what the new keys and values of an item are exact: 0, a tolerance, or INFINITY. */
float encoding_tolerance(const struct schedule *schedule, const struct scheduled *item);

#endif
