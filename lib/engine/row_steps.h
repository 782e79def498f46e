/*
 * The steps that work on whole rows: they put rows into the layers, take results out, keep only
 * some rows, and carry rows from one stage to the next.
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
 * Begins a stage other than the first with the rows as keep_row has kept them after an earlier one.
 * Rows that enter a cyclic stage get zeros as keys and values in the slots that its upward layers
 * read.
 */
void resume_rows(struct task *task);

/* Keeps row m after a pass that has not reduced its rows to those wanted. Not a step. */
void keep_row(const struct workspace *w, size_t m);

#endif
