/*
 * Measures the microseconds to draw a token from vocabularies of real models. Logits are like a
 * model's (few likely tokens), flat (all likely) and equal, under the filters that people use.
 */
#include "sample/random.h"
#include "sample/sampler.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define MOST_TOKENS 128256
#define ROUNDS 200

static float logits[MOST_TOKENS];

static double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

enum shape { MODEL, FLAT, EQUAL };

static void fill(enum shape shape)
{
    struct random random;
    random_seed(&random, 1);
    for (int i = 0; i < MOST_TOKENS; i++) {
        double unit = random_fraction(&random);
        logits[i] = shape == MODEL  ? (float)(-2.0 * log(unit + 1e-9) - 5.0)
                    : shape == FLAT ? (float)(unit * 0.5)
                                    : 1.0f;
    }
}

/* Compares times, to find the median of single draws. */
static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double microseconds(lckv_sampler_options options, size_t n_vocab)
{
    static double times[ROUNDS];
    struct lckv_sampler *sampler;
    lckv_token token;
    options.size = sizeof options;
    if (sampler_create(&options, &sampler) != LCKV_OK)
        exit(1);
    for (int i = -3; i < ROUNDS; i++) { /* the first ones allocate */
        double start = seconds_now();
        if (sampler_sample(sampler, logits, n_vocab, &token) != LCKV_OK)
            exit(1);
        times[i < 0 ? 0 : i] = 1e6 * (seconds_now() - start);
    }
    sampler_release(sampler);
    qsort(times, ROUNDS, sizeof times[0], compare);
    return times[ROUNDS / 2];
}

int main(void)
{
    static const char *const shapes[] = {"model", "flat", "equal"};
    static const size_t sizes[] = {32000, MOST_TOKENS};
    static const struct {
        const char *name;
        lckv_sampler_options options;
    } filters[] = {{"greedy", {.temperature = 0}},
                   {"no filter", {.temperature = 0.8f}},
                   {"top_k 40, top_p 0.95", {.temperature = 0.8f, .top_k = 40, .top_p = 0.95f}},
                   {"top_k 20000", {.temperature = 0.8f, .top_k = 20000}},
                   {"top_p 0.95", {.temperature = 0.8f, .top_p = 0.95f}},
                   {"min_p 0.05", {.temperature = 0.8f, .min_p = 0.05f}}};
    printf("%-8s %-8s %-24s %s\n", "tokens", "logits", "filter", "microseconds");
    for (size_t size = 0; size < 2; size++) {
        for (int shape = MODEL; shape <= EQUAL; shape++) {
            fill((enum shape)shape);
            for (size_t f = 0; f < sizeof filters / sizeof filters[0]; f++)
                printf("%-8zu %-8s %-24s %.0f\n", sizes[size], shapes[shape], filters[f].name,
                       microseconds(filters[f].options, sizes[size]));
        }
    }
}
