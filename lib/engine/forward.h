/*
 * The forward pass: rows of tokens through the layers, as docs/semantics.md, section 2, defines it.
 */
#ifndef LCKV_ENGINE_FORWARD_H
#define LCKV_ENGINE_FORWARD_H

#include "engine/pass.h"

/* Runs the pass on the cache's threads. It ends early if lckv_cache_cancel asks for that. */
void forward(struct pass *pass);

#endif
