/*
 * lckv_plan_*: layer plans without a model.
 */
#include "api/options.h"
#include "plan/plan.h"

lckv_status lckv_plan_parse(const char *text, size_t length, uint32_t n_layers, lckv_plan **plan)
{
    if (plan == NULL)
        return argument_null(__func__, "plan");
    if (text == NULL && length > 0)
        return argument_array(__func__, "text", text, length);
    return plan_parse(text, length, n_layers, &memory_default_allocator, plan);
}

void lckv_plan_retain(const lckv_plan *plan)
{
    if (plan != NULL)
        plan_retain(plan);
}

void lckv_plan_release(const lckv_plan *plan)
{
    if (plan != NULL)
        plan_release(plan);
}

lckv_status lckv_plan_get_info(const lckv_plan *plan, lckv_plan_info *info)
{
    if (plan == NULL)
        return argument_null(__func__, "plan");
    const lckv_plan_info full = {.n_layers = plan->n_layers,
                                 .n_slots = plan->n_slots,
                                 .n_windowed_slots = plan->n_windowed_slots,
                                 .n_upward = plan->n_upward,
                                 .n_groups = plan->n_groups,
                                 .is_standard = plan->standard};
    return result_write(info, &full, sizeof full, "lckv_plan_info");
}

static lckv_status check_index(const char *argument, uint32_t index, uint32_t count,
                               const char *expected)
{
    return index < count ? LCKV_OK : argument_range(argument, index, expected);
}

lckv_status lckv_plan_get_layer(const lckv_plan *plan, uint32_t layer, lckv_layer_info *info)
{
    if (plan == NULL)
        return argument_null(__func__, "plan");
    lckv_status status =
        check_index("layer", layer, plan->n_layers, "less than the plan's n_layers");
    if (status != LCKV_OK)
        return status;
    const struct plan_layer *of = &plan->layers[layer];
    const lckv_layer_info full = {.source = of->source,
                                  .is_upward = of->upward,
                                  .is_windowed = of->windowed,
                                  .slot = of->slot,
                                  .source_slot = of->source_slot};
    return result_write(info, &full, sizeof full, "lckv_layer_info");
}

lckv_status lckv_plan_get_slot(const lckv_plan *plan, uint32_t slot, lckv_slot_info *info)
{
    if (plan == NULL)
        return argument_null(__func__, "plan");
    lckv_status status = check_index("slot", slot, plan->n_slots, "less than the plan's n_slots");
    if (status != LCKV_OK)
        return status;
    const struct plan_slot *of = &plan->slots[slot];
    const lckv_slot_info full = {
        .layer = of->layer, .n_readers = of->n_readers, .is_windowed = of->windowed};
    return result_write(info, &full, sizeof full, "lckv_slot_info");
}

lckv_status lckv_plan_get_group(const lckv_plan *plan, uint32_t group, lckv_group_info *info)
{
    if (plan == NULL)
        return argument_null(__func__, "plan");
    lckv_status status =
        check_index("group", group, plan->n_groups, "less than the plan's n_groups");
    if (status != LCKV_OK)
        return status;
    const struct plan_group *of = &plan->groups[group];
    const lckv_group_info full = {.first = of->first, .last = of->last, .is_cyclic = of->cyclic};
    return result_write(info, &full, sizeof full, "lckv_group_info");
}

lckv_status lckv_plan_text(const lckv_plan *plan, char *buffer, size_t capacity, size_t *length)
{
    if (plan == NULL)
        return argument_null(__func__, "plan");
    lckv_status status = argument_buffer(__func__, buffer, capacity, length);
    return status == LCKV_OK ? plan_text(plan, buffer, capacity, length) : status;
}

lckv_status lckv_plan_describe(const lckv_plan *plan, char *buffer, size_t capacity, size_t *length)
{
    if (plan == NULL)
        return argument_null(__func__, "plan");
    lckv_status status = argument_buffer(__func__, buffer, capacity, length);
    return status == LCKV_OK ? plan_describe(plan, buffer, capacity, length) : status;
}
