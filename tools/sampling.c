/*
 * See sampling.h.
 */
#include "sampling.h"

#include "report.h"

#include <stdlib.h>

struct option option_temperature(double *temperature)
{
    return (struct option){
        .name = "temp",
        .kind = OPTION_REAL,
        .to.real = temperature,
        .value = "T",
        .help = "temperature (default 0: always the most likely\ntoken; 0.8 is lively)",
        .most_real = 1000,
    };
}

struct option option_top_k(uint64_t *top_k)
{
    return (struct option){
        .name = "top-k",
        .kind = OPTION_NUMBER,
        .to.number = top_k,
        .value = "K",
        .help = "keep the K most likely tokens (default 0: all)",
    };
}

struct option option_top_p(double *top_p)
{
    return (struct option){
        .name = "top-p",
        .kind = OPTION_REAL,
        .to.real = top_p,
        .value = "P",
        .help = "keep the fewest most likely tokens that reach\nprobability P, at least one "
                "(default 1: all)",
        .most_real = 1,
    };
}

struct option option_min_p(double *min_p)
{
    return (struct option){
        .name = "min-p",
        .kind = OPTION_REAL,
        .to.real = min_p,
        .value = "P",
        .help = "keep tokens of at least P times the top\nprobability (default 0: all)",
        .most_real = 1,
    };
}

struct option option_seed(uint64_t *seed)
{
    return (struct option){
        .name = "seed",
        .kind = OPTION_NUMBER,
        .to.number = seed,
        .value = "N",
        .help = "seed of the random choice (default 0)",
        .most = UINT64_MAX,
    };
}

int create_sampler(const struct sampling *sampling, lckv_sampler **sampler)
{
    const float top_p = (float)sampling->top_p;
    lckv_sampler_options options = {
        .size = sizeof options,
        .temperature = (float)sampling->temperature,
        .top_k = top_p == 0 ? 1 : (uint32_t)sampling->top_k, /* a top_p of 0 is the default there */
        .top_p = top_p,
        .min_p = (float)sampling->min_p,
        .seed = sampling->seed,
    };
    return lckv_sampler_create(&options, sampler) == LCKV_OK ? EXIT_SUCCESS : fail_library();
}
