/*
 * The forward pass: rows of tokens through the layers, as docs/semantics.md, section 2, defines it.
 */
#ifndef LCKV_ENGINE_FORWARD_H
#define LCKV_ENGINE_FORWARD_H

#include "base/checked.h"
#include "engine/pass.h"

/* Runs the pass on the cache's threads. LCKV_CANCELLED if lckv_cache_cancel asked for it. */
CHECKED lckv_status forward(struct pass *pass);

#endif
