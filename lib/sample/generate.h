/*
 * The generation loop: evaluate, sample, accept, give out text, until something ends it.
 */
#ifndef LCKV_SAMPLE_GENERATE_H
#define LCKV_SAMPLE_GENERATE_H

#include "base/checked.h"
#include "lckv.h"

/*
 * As lckv_generate, options and report of full size. The cache must be held by the caller
 * (cache_enter) from before this call to after it: that keeps the session alive and others out
 * between the steps, and one cancel ends the whole of it.
 */
CHECKED lckv_status generate(struct lckv_session *session, struct lckv_sampler *sampler,
                             const lckv_token *prompt, size_t n_prompt,
                             const lckv_generate_options *options, lckv_generate_report *report);

#endif
