/*
 * Calibrates the choice of a window. See bench_calibrate.h.
 */
#include "bench_calibrate.h"
#include "report.h"

#include <inttypes.h>
#include <stdlib.h>

/* Those that the library chooses from. */
static const uint32_t windows[] = {1, 4, 6, 8, 12, 16, 24, 32, 48, 64};
#define N_WINDOWS (sizeof windows / sizeof windows[0])

#define MOST_SESSIONS 128
#define STEPS 8 /* of the passes that are timed */

/* ---- Passes ---- */

static void print_passes(struct json *json, uint64_t n_sessions, double seconds, double of_one)
{
    if (json == NULL) {
        printf("%8" PRIu64 " %10.2f %10.2f\n", n_sessions, 1e3 * seconds, seconds / of_one);
        fflush(stdout);
        return;
    }
    json_begin_object(json);
    json_add_string(json, "test", "pass");
    json_add_unsigned(json, "n_sessions", n_sessions);
    json_add_real(json, "seconds", seconds, 6);
    json_add_real(json, "over_one", seconds / of_one, 6);
    json_end_object(json);
}

int calibrate_passes(const lckv_model *model, struct bench_test test, struct json *json)
{
    int status = EXIT_SUCCESS;
    double of_one = 0;
    test.n_tokens = STEPS;
    test.prefill = (struct prefill){.mode = LCKV_PREFILL_EXACT};
    if (json == NULL)
        printf("%8s %10s %10s\n", "sessions", "ms a pass", "over one");
    for (uint64_t n = 1; n <= MOST_SESSIONS && status == EXIT_SUCCESS; n *= 2) {
        struct bench_figures figures;
        test.n_sessions = n;
        status = bench_run(model, &test, &figures);
        if (status != EXIT_SUCCESS)
            break;
        const double seconds = (double)n / figures.median;
        of_one = n == 1 ? seconds : of_one;
        print_passes(json, n, seconds, of_one);
    }
    return status;
}

/* ---- Prompts ---- */

static void print_prompt(struct json *json, const struct bench_test *test,
                         const struct bench_figures *figures)
{
    const lckv_evaluate_report *report = &figures->report;
    const double n_tokens = (double)report->n_tokens;
    const double work = (double)report->n_rows / n_tokens;
    const double reads = (double)report->n_passes / n_tokens;
    if (json == NULL) {
        printf("%8" PRIu64 " %8" PRIu64 " %8" PRIu32 " %10.2f %7.2f %7.3f\n", test->depth,
               test->n_sessions, test->prefill.window, figures->median, work, reads);
        fflush(stdout);
        return;
    }
    json_begin_object(json);
    json_add_string(json, "test", "prompt");
    json_add_unsigned(json, "depth", test->depth);
    json_add_unsigned(json, "n_sessions", test->n_sessions);
    json_add_unsigned(json, "window", test->prefill.window);
    json_add_real(json, "median", figures->median, 6);
    json_add_real(json, "work", work, 6);
    json_add_real(json, "reads", reads, 6);
    json_end_object(json);
}

static void print_choice(struct json *json, const struct bench_test *test, uint32_t fastest,
                         uint32_t chosen, double ratio)
{
    if (json == NULL) {
        printf("fastest: --prefill auto:%" PRIu32 "; auto takes %" PRIu32
               " and has %.2f of that speed\n",
               fastest, chosen, ratio);
        return;
    }
    json_begin_object(json);
    json_add_string(json, "test", "choice");
    json_add_unsigned(json, "depth", test->depth);
    json_add_unsigned(json, "n_sessions", test->n_sessions);
    json_add_unsigned(json, "fastest", fastest);
    json_add_unsigned(json, "auto", chosen);
    json_add_real(json, "auto_over_fastest", ratio, 4);
    json_end_object(json);
}

int calibrate_check(const lckv_model *model)
{
    lckv_plan_info plan = {.size = sizeof plan};
    if (lckv_plan_get_info(lckv_model_plan(model), &plan) != LCKV_OK)
        return fail_library();
    if (plan.n_upward > 0)
        return EXIT_SUCCESS;
    complain("--calibrate: no layer of this plan reads a higher one, so prompts have no window");
    return EXIT_FAILURE;
}

int calibrate_prompts(const lckv_model *model, struct bench_test test, struct json *json)
{
    struct bench_figures figures;
    double best = 0;
    if (json == NULL)
        printf("\n%8s %8s %8s %10s %7s %7s\n", "depth", "sessions", "window", "tokens/s", "work",
               "reads");
    uint32_t fastest = 0;
    for (size_t w = 0; w < N_WINDOWS; w++) {
        test.prefill = (struct prefill){.window = windows[w]};
        int status = bench_run(model, &test, &figures);
        if (status != EXIT_SUCCESS)
            return status;
        print_prompt(json, &test, &figures);
        if (figures.median > best) {
            best = figures.median;
            fastest = windows[w];
        }
    }
    test.prefill = (struct prefill){0};
    int status = bench_run(model, &test, &figures);
    if (status == EXIT_SUCCESS)
        print_choice(json, &test, fastest, figures.report.window > 0 ? figures.report.window : 1,
                     figures.median / best);
    return status;
}
