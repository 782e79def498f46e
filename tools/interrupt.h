/*
 * Ctrl-C while a model writes: stops the text, not the program.
 *
 * One cache at a time; the only state of the tool that is global, because signal handlers get none.
 */
#ifndef TOOLS_INTERRUPT_H
#define TOOLS_INTERRUPT_H

#include "lckv.h"

#include <stdbool.h>

/* From here on SIGINT cancels the work on `cache` (NULL: only notes that it came). */
void interrupt_watch(lckv_cache *cache);

/* SIGINT ends the program again. The cache may be released after this. */
void interrupt_unwatch(void);

/* Whether SIGINT came since the last call of interrupt_watch. */
bool interrupt_came(void);

#endif
