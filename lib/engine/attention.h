/*
 * Attention over the cache for the rows of a pass: which rows go together, and who attends to what.
 */
#ifndef LCKV_ENGINE_ATTENTION_H
#define LCKV_ENGINE_ATTENTION_H

#include "engine/forward.h"

/* Groups the pass's rows into runs; call again whenever the rows change. */
void attention_runs(struct pass *pass);

/* attended = attention of q over the slot that the layer reads. */
void attention(const struct worker *worker, const struct pass *pass,
               const struct plan_layer *layer);

#endif
