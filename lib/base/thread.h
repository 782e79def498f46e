/*
 * Threads of the library's own, of which the host knows nothing.
 */
#ifndef LCKV_BASE_THREAD_H
#define LCKV_BASE_THREAD_H

#include "base/checked.h"

#include <pthread.h>
#include <stdbool.h>

/*
 * Starts a thread on which the host's signal handlers do not run. False if the system refuses. The
 * caller joins it.
 */
CHECKED bool thread_start(pthread_t *thread, void *(*function)(void *), void *argument);

#endif
