/*
 * The steps that work on whole rows: they put them into the layers, take results out, keep some of
 * them, and save them for another round.
 */
#ifndef LCKV_ENGINE_ROW_STEPS_H
#define LCKV_ENGINE_ROW_STEPS_H

#include "engine/task.h"

/* hidden = the embeddings of the batch's tokens; and the rotations of their positions. */
void embed(struct task *task);

/*
 * From here on only the rows that something is wanted of. Nothing else depends on the others once
 * the last slot is written.
 */
void keep_wanted_rows(struct task *task);

/* The hidden states after the final norm, to where the rows want them. */
void hidden_states(struct task *task);

/*
 * Of iterated encoding. Before a group's first pass: saves the rows, and clears their keys and
 * values in the slots that upward layers of the group read. Before each of the others: the rows as
 * they were saved.
 */
void save_rows(struct task *task, const struct plan_group *group);
void restore_rows(struct task *task);

#endif
