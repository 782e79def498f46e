/*
 * Times the prompts of a model with random weights as if it were a trained one.
 *
 *     build/bench/replay TRAINED TEXT MODEL [tokens [rounds [threads]]]
 *
 * How many passes a token needs depends on what a model has learned: with random weights nearly all
 * come to rest after two. So the first tokens of the text (512) go through the trained model,
 * and what the test of each token said (has it moved by less than the tolerance?) is recorded,
 * for every window. The other model then gets these answers in the same order. All its ways of
 * encoding are timed in turns; the ratios are medians over the rounds. Prints JSON.
 *
 * The linker leads every call of movement_of_row, which is that test's measure, to this file
 * (--wrap in the Makefile).
 */
#include "bench/prompt.h"
#include "engine/movement.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAX_ROUNDS = 64 };

/* ---- What the test said ---- */

struct answers {
    bool *still; /* in the order of the calls */
    size_t n, capacity, next;
};

static struct answers *recorded, *replayed; /* NULL: not at present */
static float tolerance;                     /* of what is recorded */

float __real_movement_of_row(const struct pass *pass, size_t m);
float __wrap_movement_of_row(const struct pass *pass, size_t m);

float __wrap_movement_of_row(const struct pass *pass, size_t m)
{
    const float change = __real_movement_of_row(pass, m);
    if (recorded != NULL && recorded->n < recorded->capacity)
        recorded->still[recorded->n++] = change < tolerance;
    if (replayed == NULL || replayed->next == replayed->n)
        return change;
    return replayed->still[replayed->next++] ? 0 : INFINITY;
}

/* ---- Ways of encoding ---- */

struct way {
    const char *name;
    lckv_evaluate_options options;
    struct answers answers;
    lckv_evaluate_report report;
    double seconds[MAX_ROUNDS], over_exact[MAX_ROUNDS];
};

static struct way ways[] = {
    {"exact", {.prefill = LCKV_PREFILL_EXACT}, {0}, {0}, {0}, {0}},
    {"auto", {.window = 0}, {0}, {0}, {0}, {0}},
    {"iterated:7+2",
     {.prefill = LCKV_PREFILL_ITERATED, .forward_passes = 7, .backward_passes = 2},
     {0},
     {0},
     {0},
     {0}},
    {"auto:4", {.window = 4}, {0}, {0}, {0}, {0}},
    {"auto:8", {.window = 8}, {0}, {0}, {0}, {0}},
    {"auto:16", {.window = 16}, {0}, {0}, {0}, {0}},
    {"auto:32", {.window = 32}, {0}, {0}, {0}, {0}},
    {"auto:64", {.window = 64}, {0}, {0}, {0}, {0}},
};
enum { N_WAYS = sizeof ways / sizeof ways[0] };

static void record(const struct prompt *trained, struct way *way)
{
    struct answers *answers = &way->answers;
    answers->capacity = trained->n_tokens * way->options.window;
    answers->still = calloc(answers->capacity, sizeof *answers->still);
    if (answers->still == NULL)
        exit(1);
    recorded = answers;
    prompt_encode(trained, way->options, NULL);
    recorded = NULL;
}

static lckv_evaluate_report replay(const struct prompt *model, struct way *way)
{
    replayed = &way->answers;
    replayed->next = 0;
    const lckv_evaluate_report report = prompt_encode(model, way->options, NULL);
    if (replayed->next != replayed->n) {
        fprintf(stderr, "%s: the models asked differently\n", way->name);
        exit(1);
    }
    replayed = NULL;
    return report;
}

/* Takes window and tolerance as the model to be timed would, and records the trained one. */
static void prepare(const struct prompt *trained, const struct prompt *model, struct way *way)
{
    const lckv_evaluate_report report = prompt_encode(model, way->options, NULL);
    if (way->options.prefill != LCKV_PREFILL_AUTO || report.window < 2)
        return;
    way->options.window = report.window;
    way->options.tolerance = tolerance = report.tolerance;
    record(trained, way);
}

static int compare(const void *left, const void *right)
{
    const double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

static double median(double *values, size_t n)
{
    qsort(values, n, sizeof *values, compare);
    return (values[(n - 1) / 2] + values[n / 2]) / 2;
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        fprintf(stderr, "usage: %s TRAINED TEXT MODEL [tokens [rounds [threads]]]\n", argv[0]);
        return 1;
    }
    const size_t n_tokens = argc > 4 ? strtoull(argv[4], NULL, 10) : 512;
    size_t n_rounds = argc > 5 ? strtoull(argv[5], NULL, 10) : 3;
    n_rounds = n_rounds < 1 ? 1 : n_rounds > MAX_ROUNDS ? MAX_ROUNDS : n_rounds;
    const uint32_t n_threads = argc > 6 ? (uint32_t)strtoul(argv[6], NULL, 10) : 0;
    struct prompt model =
        prompt_open(argv[3], NULL, n_tokens, LCKV_PRECISION_DEFAULT, LCKV_DTYPE_DEFAULT, n_threads);
    lckv_model_info info = {.size = sizeof info};
    require(lckv_model_get_info(model.model, &info));
    struct prompt trained =
        prompt_open(argv[1], argv[2], n_tokens, info.precision, LCKV_DTYPE_DEFAULT, n_threads);
    for (size_t w = 0; w < N_WAYS; w++)
        prepare(&trained, &model, &ways[w]);
    for (size_t r = 0; r < n_rounds; r++) {
        for (size_t w = 0; w < N_WAYS; w++) {
            struct way *way = &ways[w];
            way->report = replay(&model, way);
            way->seconds[r] = way->report.seconds;
            way->over_exact[r] = ways[0].seconds[r] / way->seconds[r];
        }
    }
    printf("{\"weights\": \"%s\", \"kernel_set\": \"%s\", \"precision\": \"%s\", "
           "\"tokens\": %zu, \"rounds\": %zu, \"ways\": [\n",
           info.weight_dtypes, info.kernel_set,
           info.precision == LCKV_PRECISION_FULL ? "full" : "fast", n_tokens, n_rounds);
    for (size_t w = 0; w < N_WAYS; w++) {
        struct way *way = &ways[w];
        printf("  {\"way\": \"%s\", \"window\": %" PRIu32 ", \"work\": %.4g, \"reads\": %.4g, "
               "\"tokens_per_second\": %.4g, \"over_exact\": %.4g}%s\n",
               way->name, way->report.window, (double)way->report.n_rows / (double)n_tokens,
               (double)way->report.n_passes / (double)n_tokens,
               (double)n_tokens / median(way->seconds, n_rounds), median(way->over_exact, n_rounds),
               w + 1 < N_WAYS ? "," : "");
        free(way->answers.still);
    }
    printf("]}\n");
    prompt_close(&trained);
    prompt_close(&model);
    return 0;
}
