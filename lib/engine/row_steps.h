/*
 * The steps that work on whole rows: they put rows into the layers, take results out, keep only
 * some rows, and save rows for another iteration.
 */
#ifndef LCKV_ENGINE_ROW_STEPS_H
#define LCKV_ENGINE_ROW_STEPS_H

#include "engine/task.h"

/*
 * hidden = the embeddings of the batch's tokens. Also computes the rotations for their positions.
 */
void embed(struct task *task);

/*
 * Drops the rows of which nothing is wanted. Once the last slot is written, nothing else depends on
 * them.
 */
void keep_wanted_rows(struct task *task);

/* Writes the hidden states after the final norm to where the rows want them. */
void hidden_states(struct task *task);

/*
 * For iterated encoding. Before the first iteration of a group, save_rows saves the rows, and
 * clears their keys and values in the slots that upward layers of the group read. Before each of
 * the other iterations, restore_rows brings the saved rows back.
 */
void save_rows(struct task *task, const struct plan_group *group);
void restore_rows(struct task *task);

#endif
