/*
 * The stages of a plan. See stages.h.
 */
#include "engine/stages.h"

struct stage stage_of_all(const struct lckv_plan *plan)
{
    return (struct stage){.end = plan->n_layers, .begins = true, .ends = true};
}

static uint32_t count_cyclic(const struct lckv_plan *plan)
{
    uint32_t n = 0;
    for (uint32_t g = 0; g < plan->n_groups; g++)
        n += plan->groups[g].cyclic;
    return n;
}

/* Cyclic group number n. */
static const struct plan_group *cyclic_group(const struct lckv_plan *plan, uint32_t n)
{
    uint32_t g = 0;
    for (; !plan->groups[g].cyclic || n > 0; g++)
        n -= plan->groups[g].cyclic;
    return &plan->groups[g];
}

uint32_t stages_count(const struct lckv_plan *plan)
{
    return 2 * count_cyclic(plan) + 1;
}

struct stage stages_at(const struct lckv_plan *plan, uint32_t index)
{
    const uint32_t n_cyclic = count_cyclic(plan), n = index / 2;
    if (index % 2 != 0) {
        const struct plan_group *group = cyclic_group(plan, n);
        return (struct stage){.first = group->first, .end = group->last + 1, .cyclic = true};
    }
    return (struct stage){.first = n == 0 ? 0 : cyclic_group(plan, n - 1)->last,
                          .end = n == n_cyclic ? plan->n_layers : cyclic_group(plan, n)->first,
                          .begins = n == 0,
                          .resumes = n > 0,
                          .ends = n == n_cyclic};
}
