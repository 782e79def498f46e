/*
 * How near a prompt comes to the exact one, and what it costs, for windows and iterations
 * (docs/prefill.md). Precision is full, keys and values are f32. Prints JSON; prefill.py makes
 * tables and a plot of it.
 *
 *     build/bench/windows MODEL TEXT [tokens]
 *
 * The first 256 tokens of the text are taken. A deviation is the difference of a logit from the
 * exact one, in standard deviations of the exact logits; `argmax` is the share of tokens after
 * which the most likely token is the same.
 */
#include "bench/prompt.h"
#include "tools/deviation.h"

#include <stdio.h>
#include <stdlib.h>

struct bench {
    struct prompt prompt;
    float *exact, *logits; /* [n_tokens, n_vocab] */
};

static void measure(const struct bench *bench, lckv_evaluate_options options, const char *before)
{
    const struct prompt *prompt = &bench->prompt;
    const lckv_evaluate_report report = prompt_encode(prompt, options, bench->logits);
    const double n_tokens = (double)prompt->n_tokens;
    struct deviation deviation = {0};
    deviation_add(&deviation, bench->logits, bench->exact, prompt->n_tokens, prompt->n_vocab);
    printf("%s  {\"passes\": %u, \"window\": %u, \"tolerance\": %g, \"work\": %.4g, "
           "\"reads\": %.4g, \"deviation\": %.3g, \"mean_deviation\": %.3g, \"argmax\": %.4g}",
           before, options.forward_passes + options.backward_passes, options.window,
           (double)options.tolerance, (double)report.n_rows / n_tokens,
           (double)report.n_passes / n_tokens, deviation_largest(&deviation),
           deviation_mean(&deviation), (double)deviation.n_agreeing / n_tokens);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    static const uint32_t windows[] = {2, 4, 8, 16, 32, 64};
    static const float tolerances[] = {1e-1F, 3e-2F, 1e-2F, 3e-3F, 1e-3F};
    static const uint32_t forward[] = {1, 2, 3, 5, 7, 10, 14, 20}; /* and 2 backward */
    const char *before = "\n";
    if (argc < 3) {
        fprintf(stderr, "usage: %s MODEL TEXT [tokens]\n", argv[0]);
        return 1;
    }
    struct bench bench = {.prompt = prompt_open(argv[1], argv[2],
                                                argc > 3 ? strtoull(argv[3], NULL, 10) : 256,
                                                LCKV_PRECISION_FULL, LCKV_DTYPE_F32, 0)};
    const size_t n = bench.prompt.n_tokens * bench.prompt.n_vocab;
    bench.exact = calloc(n, sizeof *bench.exact);
    bench.logits = calloc(n, sizeof *bench.logits);
    if (bench.exact == NULL || bench.logits == NULL)
        return 1;
    prompt_encode(&bench.prompt, (lckv_evaluate_options){.prefill = LCKV_PREFILL_EXACT},
                  bench.exact);
    printf("{\"tokens\": %zu, \"rows\": [", bench.prompt.n_tokens);
    for (size_t i = 0; i < sizeof forward / sizeof forward[0]; i++, before = ",\n") {
        const lckv_evaluate_options iterated = {
            .prefill = LCKV_PREFILL_ITERATED, .forward_passes = forward[i], .backward_passes = 2};
        measure(&bench, iterated, before);
    }
    for (size_t w = 0; w < sizeof windows / sizeof windows[0]; w++) {
        for (size_t t = 0; t < sizeof tolerances / sizeof tolerances[0]; t++) {
            const lckv_evaluate_options window = {.window = windows[w], .tolerance = tolerances[t]};
            measure(&bench, window, before);
        }
    }
    printf("\n]}\n");
    free(bench.exact);
    free(bench.logits);
    prompt_close(&bench.prompt);
    return 0;
}
