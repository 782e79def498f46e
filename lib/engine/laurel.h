/*
 * Laurel: a map of low rank beside attention, for models with side streams. docs/semantics.md,
 * section 2, has the formula.
 */
#ifndef LCKV_ENGINE_LAUREL_H
#define LCKV_ENGINE_LAUREL_H

#include "engine/task.h"

/* hidden = (hidden + x + rmsnorm(right left x)) / sqrt(2), where attention has read x. */
void laurel(struct task *task, const struct laurel *weights);

#endif
