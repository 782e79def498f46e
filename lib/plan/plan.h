/*
 * Layer plans: which layer attends to whose keys and values (docs/semantics.md, sections 1 to 4).
 *
 * Parsing, validation, slots and groups; windows.h has the masks. No weights, no threads. Only
 * plan/ and cache/ know that slots are fewer than layers.
 */
#ifndef LCKV_PLAN_PLAN_H
#define LCKV_PLAN_PLAN_H

#include "base/checked.h"
#include "base/memory.h"

#define PLAN_MAX_LAYERS 1024

struct plan_layer {
    uint32_t source;
    bool windowed; /* flag `s` */
    bool upward;   /* source > layer */
    int32_t slot;  /* the slot it writes, or -1 */
    uint32_t source_slot;
};

struct plan_slot {
    uint32_t layer;
    uint32_t n_readers;
    bool windowed; /* every reader is windowed */
};

struct plan_group {
    uint32_t first, last;
    bool cyclic;
};

/* = lckv_plan; counted, immutable. */
struct lckv_plan {
    _Atomic uint32_t references;
    lckv_allocator allocator;
    uint32_t n_layers, n_slots, n_groups, n_upward, n_windowed_slots;
    bool standard;
    uint32_t last_kv_layer; /* the highest layer that computes keys and values */
    struct plan_layer *layers;
    struct plan_slot *slots;   /* ascending by layer */
    struct plan_group *groups; /* bottom up; every layer is in exactly one */
};

/* `text` NULL: the standard plan. LCKV_BAD_PLAN names the entry. */
CHECKED lckv_status plan_parse(const char *text, size_t length, uint32_t n_layers,
                               const lckv_allocator *allocator, struct lckv_plan **plan);
void plan_retain(const struct lckv_plan *plan);
void plan_release(const struct lckv_plan *plan);

/* As lckv_plan_text and lckv_plan_describe. */
CHECKED lckv_status plan_text(const struct lckv_plan *plan, char *buffer, size_t capacity,
                              size_t *length);
CHECKED lckv_status plan_describe(const struct lckv_plan *plan, char *buffer, size_t capacity,
                                  size_t *length);

#endif
