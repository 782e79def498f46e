/*
 * The processors that this process may use.
 */
#ifndef LCKV_BASE_PROCESSORS_H
#define LCKV_BASE_PROCESSORS_H

#include <stdint.h>

/* By the affinity mask of the calling thread; at least 1. */
uint32_t processors_usable(void);

/* Their physical cores: hyper-threads of one core count once. */
uint32_t processors_cores(void);

#endif
