/*
 * CPU quotas of control groups, versions 1 and 2: what `docker run --cpus`, Kubernetes limits and
 * systemd's CPUQuota set. The kernel then stops all threads of the group for the rest of each
 * period, so that more threads than the quota has processors only wait for each other.
 */
#ifndef LCKV_BASE_QUOTA_H
#define LCKV_BASE_QUOTA_H

#include <stdint.h>

#define QUOTA_PROC "/proc/self"

/*
 * The whole processors that the quotas of this process's groups, and of the groups around them,
 * leave to it: at least 1, UINT32_MAX without a quota. `proc` is the directory in which `cgroup`
 * and `mountinfo` are read.
 */
uint32_t quota_processors(const char *proc);

#endif
