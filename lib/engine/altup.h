/*
 * AltUp: beside the residual stream that the layers compute, some models have side streams. Before
 * each layer all streams are predicted from each other, and behind it they are corrected by what
 * the layer has made of its prediction. docs/semantics.md, section 2, has the formulas.
 *
 * Between the layers the streams are those that the next layer predicts.
 */
#ifndef LCKV_ENGINE_ALTUP_H
#define LCKV_ENGINE_ALTUP_H

#include "engine/task.h"

/* Makes the side streams of the embeddings in `hidden`, and predicts all for the first layer. */
void altup_begin(struct task *task);

/*
 * Corrects the streams behind layer i, brings the embedding that the layer has for itself into the
 * side streams, and predicts the streams for the next layer. Behind the last one, `hidden` becomes
 * the mean of all streams.
 */
void altup_finish_layer(struct task *task, const struct model_layer *layer, uint32_t i);

/* The rows of what the layers began with, that is, of the stream in `hidden` as predicted. */
struct buffer altup_predicted(const struct workspace *workspace);

#endif
