/*
 * While a model writes, Ctrl-C stops the text, but not the program.
 *
 * This works for one cache at a time. It needs the only global state of the tool, because signal
 * handlers have no argument for it.
 */
#ifndef TOOLS_INTERRUPT_H
#define TOOLS_INTERRUPT_H

#include "lckv.h"

#include <stdbool.h>

/* From now on SIGINT cancels the work on `cache`. If that is NULL, it is only remembered. */
void interrupt_watch(lckv_cache *cache);

/* From now on SIGINT ends the program again, and the cache may be released. */
void interrupt_unwatch(void);

/* Whether SIGINT came since the last call of interrupt_watch. */
bool interrupt_came(void);

#endif
