/*
 * The forward pass: rows of tokens through the layers, as docs/semantics.md, section 2, defines it.
 */
#ifndef LCKV_ENGINE_FORWARD_H
#define LCKV_ENGINE_FORWARD_H

#include "base/checked.h"
#include "engine/pass.h"

/*
 * Runs the pass on the cache's threads. It ends early, with LCKV_CANCELLED, if lckv_cache_cancel
 * asks for that, and with another status if streamed weights cannot be read.
 */
CHECKED lckv_status forward(struct pass *pass);

#endif
