/*
 * Layer plans: parsing, slots and groups. describe.c writes them as text and pictures.
 */
#include "plan/plan.h"

#include "base/status.h"

#include <stdatomic.h>

/* One entry: `<source>` or `<source>s`. */
static bool parse_entry(const char *entry, size_t length, struct plan_layer *layer)
{
    uint32_t source = 0;
    size_t digits = 0;
    while (digits < length && entry[digits] >= '0' && entry[digits] <= '9') {
        if (source < PLAN_MAX_LAYERS) /* larger ones are out of range, whatever digits follow */
            source = source * 10 + (uint32_t)(entry[digits] - '0');
        digits++;
    }
    layer->source = source;
    layer->windowed = length == digits + 1 && entry[digits] == 's';
    return digits > 0 && digits + layer->windowed == length;
}

static lckv_status parse_entries(struct lckv_plan *plan, const char *text, size_t length)
{
    const uint32_t n_layers = plan->n_layers;
    size_t n_entries = 1, begin = 0;
    for (size_t i = 0; i < length; i++)
        n_entries += text[i] == '_';
    for (uint32_t i = 0; i < n_layers && i < n_entries; i++) {
        struct plan_layer *layer = &plan->layers[i];
        size_t end = begin;
        while (end < length && text[end] != '_')
            end++;
        if (!parse_entry(text + begin, end - begin, layer))
            return fail(LCKV_BAD_PLAN,
                        "plan %s: entry %u is %s, expected the number of a layer, with an s behind "
                        "it for a sliding window",
                        quoted(text, length).text, i, quoted(text + begin, end - begin).text);
        if (layer->source >= n_layers)
            return fail(LCKV_BAD_PLAN, "plan %s: entry %u is %s, expected a layer below %u",
                        quoted(text, length).text, i, quoted(text + begin, end - begin).text,
                        n_layers);
        layer->upward = layer->source > i;
        begin = end + 1;
    }
    if (n_entries != n_layers)
        return fail(LCKV_BAD_PLAN, "plan %s: %zu entries, expected %u, one for each layer",
                    quoted(text, length).text, n_entries, n_layers);
    return LCKV_OK;
}

/* Gives a slot to each layer that some layer reads, in the order of layers. */
static void assign_slots(struct lckv_plan *plan)
{
    for (uint32_t i = 0; i < plan->n_layers; i++)
        plan->layers[i].slot = -1;
    for (uint32_t i = 0; i < plan->n_layers; i++)
        plan->layers[plan->layers[i].source].slot = 0; /* numbered below */
    plan->standard = true;
    for (uint32_t i = 0; i < plan->n_layers; i++) {
        struct plan_layer *layer = &plan->layers[i];
        plan->standard &= layer->source == i && !layer->windowed;
        plan->n_upward += layer->upward;
        if (layer->slot < 0)
            continue;
        layer->slot = (int32_t)plan->n_slots;
        plan->slots[plan->n_slots++] = (struct plan_slot){.layer = i, .windowed = true};
        plan->last_kv_layer = i;
    }
    for (uint32_t i = 0; i < plan->n_layers; i++) {
        struct plan_layer *layer = &plan->layers[i];
        layer->source_slot = (uint32_t)plan->layers[layer->source].slot;
        struct plan_slot *slot = &plan->slots[layer->source_slot];
        slot->n_readers++;
        slot->windowed &= layer->windowed;
    }
    for (uint32_t s = 0; s < plan->n_slots; s++)
        plan->n_windowed_slots += plan->slots[s].windowed;
}

/* The last layer of the cyclic group that begins at `first` (docs/semantics.md, section 3). */
static uint32_t cyclic_top(const struct lckv_plan *plan, uint32_t first)
{
    uint32_t top = plan->layers[first].source;
    for (uint32_t i = first; i <= top; i++)
        top = plan->layers[i].source > top ? plan->layers[i].source : top;
    return top;
}

static void assign_groups(struct lckv_plan *plan)
{
    for (uint32_t i = 0; i < plan->n_layers;) {
        struct plan_group *group = &plan->groups[plan->n_groups++];
        *group = (struct plan_group){.first = i, .last = i, .cyclic = plan->layers[i].upward};
        if (group->cyclic)
            group->last = cyclic_top(plan, i);
        while (!group->cyclic && group->last + 1 < plan->n_layers &&
               !plan->layers[group->last + 1].upward)
            group->last++;
        i = group->last + 1;
    }
}

static void destroy(struct lckv_plan *plan)
{
    lckv_allocator allocator = plan->allocator;
    memory_free(&allocator, plan->layers, plan->n_layers, sizeof *plan->layers);
    memory_free(&allocator, plan->slots, plan->n_layers, sizeof *plan->slots);
    memory_free(&allocator, plan->groups, plan->n_layers, sizeof *plan->groups);
    memory_free(&allocator, plan, 1, sizeof *plan);
}

lckv_status plan_parse(const char *text, size_t length, uint32_t n_layers,
                       const lckv_allocator *allocator, struct lckv_plan **result)
{
    struct lckv_plan *plan;
    if (n_layers == 0 || n_layers > PLAN_MAX_LAYERS)
        return fail(LCKV_INVALID_ARGUMENT, "plan: n_layers is %u, expected 1 to %d", n_layers,
                    PLAN_MAX_LAYERS);
    lckv_status status = memory_alloc(allocator, 1, sizeof *plan, "a plan", &plan);
    if (status != LCKV_OK)
        return status;
    plan->allocator = *allocator;
    plan->n_layers = n_layers;
    atomic_init(&plan->references, 1);
    status = memory_alloc(allocator, n_layers, sizeof *plan->layers, "a plan", &plan->layers);
    if (status == LCKV_OK)
        status = memory_alloc(allocator, n_layers, sizeof *plan->slots, "a plan", &plan->slots);
    if (status == LCKV_OK)
        status = memory_alloc(allocator, n_layers, sizeof *plan->groups, "a plan", &plan->groups);
    if (status == LCKV_OK && text != NULL)
        status = parse_entries(plan, text, length);
    for (uint32_t i = 0; status == LCKV_OK && text == NULL && i < n_layers; i++)
        plan->layers[i].source = i;
    if (status != LCKV_OK) {
        destroy(plan);
        return status;
    }
    assign_slots(plan);
    assign_groups(plan);
    *result = plan;
    return LCKV_OK;
}

/* Plans are immutable, except for the count of references. */
static _Atomic uint32_t *references(const struct lckv_plan *plan)
{
    return (_Atomic uint32_t *)((uintptr_t)plan + offsetof(struct lckv_plan, references));
}

void plan_retain(const struct lckv_plan *plan)
{
    atomic_fetch_add_explicit(references(plan), 1, memory_order_relaxed);
}

void plan_release(const struct lckv_plan *plan)
{
    if (plan != NULL && atomic_fetch_sub_explicit(references(plan), 1, memory_order_acq_rel) == 1)
        destroy((struct lckv_plan *)(uintptr_t)plan);
}
