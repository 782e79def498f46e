/*
 * What the tests of plans share: making a plan from its text.
 */
#ifndef LCKV_TESTS_PLAN_SUPPORT_H
#define LCKV_TESTS_PLAN_SUPPORT_H

#include "plan/plan.h"

#include <string.h>

#include "support.h"

/* Makes the standard plan if `text` is NULL. The caller releases the plan. */
static inline struct lckv_plan *parse(const char *text, uint32_t n_layers)
{
    struct lckv_plan *plan;
    ck_assert_ok(plan_parse(text, text != NULL ? strlen(text) : 0, n_layers,
                            &memory_default_allocator, &plan));
    return plan;
}

#endif
