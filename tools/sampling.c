/*
 * See sampling.h.
 */
#include "sampling.h"

#include "report.h"

#include <stdlib.h>

int create_sampler(const struct sampling *sampling, lckv_sampler **sampler)
{
    const float top_p = (float)sampling->top_p;
    lckv_sampler_options options = {
        .size = sizeof options,
        .temperature = (float)sampling->temperature,
        .top_k = top_p == 0 ? 1 : (uint32_t)sampling->top_k, /* in lckv.h, top_p 0 means all */
        .top_p = top_p,
        .min_p = (float)sampling->min_p,
        .seed = sampling->seed,
    };
    return lckv_sampler_create(&options, sampler) == LCKV_OK ? EXIT_SUCCESS : fail_library();
}
