/*
 * Prefill: how the tokens of a call go through the stages of a plan with upward layers.
 *
 * A layer that reads a higher layer's keys and values needs those of all earlier tokens, which are
 * there only when these tokens have been through the whole cyclic stage. So the tokens of a session
 * go through it in a window: in each pass, a few tokens together, from the first one whose keys and
 * values are not final yet. After a pass the tokens at the left end that are done leave the window,
 * and others enter at its right end. The keys and values of the others are from the pass before;
 * those of tokens that enter are zeros.
 *
 *     exact       a window of one token: what it reads is always final
 *     window      the first token of the window is done after each pass, because what it reads is
 *                 final, and so are those behind it that have hardly moved in the last pass
 *                 (where that is none, again and again, the window becomes narrower)
 *     iterated    a window of all tokens, which are done after as many passes as are asked for
 *
 * The stages between cyclic ones need none of that. They take as many tokens at a time as there is
 * room for. Tokens of all sessions of the call share the passes, and the result of none depends on
 * the others.
 */
#ifndef LCKV_ENGINE_PREFILL_H
#define LCKV_ENGINE_PREFILL_H

#include "engine/schedule.h"

/* Encodes all items of this encoding, any but PARALLEL. */
CHECKED lckv_status prefill_run(struct schedule *schedule, enum encoding encoding);

#endif
