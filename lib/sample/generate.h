/*
 * The generation loop: evaluate, sample, accept, give out text, until something ends it.
 */
#ifndef LCKV_SAMPLE_GENERATE_H
#define LCKV_SAMPLE_GENERATE_H

#include "lckv.h"

/*
 * As lckv_generate, options and report of full size. Built on the public calls on purpose: it is
 * what a caller would write.
 */
lckv_status generate(lckv_session *session, lckv_sampler *sampler, const lckv_token *prompt,
                     size_t n_prompt, const lckv_generate_options *options,
                     lckv_generate_report *report);

#endif
