/*
 * Calibrates the choice of a window (docs/prefill.md): how long the prompts of a text take on this
 * machine with each window, and how long passes take with more sessions.
 */
#ifndef TOOLS_BENCH_CALIBRATE_H
#define TOOLS_BENCH_CALIBRATE_H

#include "bench_run.h"
#include "json.h"

/*
 * Results go to `json`, an array to add to, or if it is NULL, to standard output as text. All of
 * these complain and return an exit status.
 */

/* Checks that the prompts of this plan have a window. */
int calibrate_check(const lckv_model *model);

/* Passes of one token of 1, 2, 4, ... sessions; threads and types are those of the test. */
int calibrate_passes(const lckv_model *model, struct bench_test test, struct json *json);

/* The test, a prompt, with every window and with the one that the library takes. */
int calibrate_prompts(const lckv_model *model, struct bench_test test, struct json *json);

#endif
