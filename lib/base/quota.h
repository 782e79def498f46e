/*
 * CPU quotas of control groups, versions 1 and 2: what `docker run --cpus`, Kubernetes limits and
 * systemd's CPUQuota set. The kernel then stops all threads of the group for the rest of each
 * period, so threads beyond the number of processors in the quota only make the others wait.
 */
#ifndef LCKV_BASE_QUOTA_H
#define LCKV_BASE_QUOTA_H

#include <stdint.h>

#define QUOTA_PROC "/proc/self"

/*
 * The number of whole processors that the quotas of this process's groups, and of the groups around
 * them, allow it: at least 1, UINT32_MAX without a quota. `cgroup` and `mountinfo` are read in the
 * directory `proc`.
 */
uint32_t quota_processors(const char *proc);

#endif
