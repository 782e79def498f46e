/*
 * The memory planner: how many sessions of how many tokens a plan fits into a budget
 * (docs/semantics.md, section 4).
 */
#ifndef LCKV_PLAN_PLANNER_H
#define LCKV_PLAN_PLANNER_H

#include "base/checked.h"
#include "plan/plan.h"

/* As lckv_memory_estimate, the request's size already checked. */
CHECKED lckv_status planner_estimate(const lckv_memory_request *request,
                                     lckv_memory_report *report);

#endif
