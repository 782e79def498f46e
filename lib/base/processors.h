/*
 * The processors that this process may use.
 */
#ifndef LCKV_BASE_PROCESSORS_H
#define LCKV_BASE_PROCESSORS_H

#include <stdint.h>

/* Those in the affinity mask of the calling thread, which cpusets narrow too; at least 1. */
uint32_t processors_usable(void);

/* Their physical cores: hyper-threads of one core count once. */
uint32_t processors_cores(void);

/*
 * The number of threads to compute with: one for each physical core, but no more than a container's
 * CPU quota lets run all the time (base/quota.h); at least 1.
 */
uint32_t processors_default(void);

#endif
