/*
 * The stages of a plan: which layers a pass computes when tokens do not go through all of them at
 * once.
 *
 * A layer that reads the slot of a higher one needs the keys and values of all earlier tokens, so
 * the layers from it up to the slot's own form a cyclic group (docs/semantics.md, section 3), which
 * few tokens at a time go through, perhaps several times. The group's stage ends when its last
 * layer has stored keys and values, because earlier layers read nothing else of that layer. What
 * the last layer does after that belongs to the next stage. So stages are cyclic in turns: below
 * the first cyclic one, between two and above the last one are stages that every token passes once.
 */
#ifndef LCKV_ENGINE_STAGES_H
#define LCKV_ENGINE_STAGES_H

#include "plan/plan.h"

struct stage {
    uint32_t first, end; /* layers [first, end) */
    bool begins;         /* with the embeddings of tokens; else with kept rows */
    bool resumes;        /* the first layer, behind its keys and values */
    bool cyclic;         /* it ends with the keys and values of the last layer */
    bool ends;           /* with what is wanted of the rows */
};

/* All layers: the one stage of a pass that tokens go through as a whole. */
struct stage stage_of_all(const struct lckv_plan *plan);

/* How many stages the plan has, an odd number, and the one with an index from the bottom. */
uint32_t stages_count(const struct lckv_plan *plan);
struct stage stages_at(const struct lckv_plan *plan, uint32_t index);

#endif
