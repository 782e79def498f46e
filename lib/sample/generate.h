/*
 * The generation loop: it evaluates, samples, accepts and gives out text until something ends it.
 */
#ifndef LCKV_SAMPLE_GENERATE_H
#define LCKV_SAMPLE_GENERATE_H

#include "base/checked.h"
#include "lckv.h"

/*
 * Does what lckv_generate says; options and report are of full size. The caller must hold the cache
 * (cache_enter) from before this call to after it: that keeps the session alive and other calls out
 * between the steps, and one cancel ends the whole generation.
 */
CHECKED lckv_status generate(struct lckv_session *session, struct lckv_sampler *sampler,
                             const lckv_token *prompt, size_t n_prompt,
                             const lckv_generate_options *options, lckv_generate_report *report);

#endif
