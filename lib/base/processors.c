/*
 * Asks sched_getaffinity(2) and sysfs which processors this process may use. See processors.h.
 */
#include "base/processors.h"

#include "base/quota.h"

#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

static uint32_t online(void)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (uint32_t)n : 1;
}

uint32_t processors_usable(void)
{
    cpu_set_t usable;
    /* Fails on machines with more processors than a cpu_set_t holds. */
    if (sched_getaffinity(0, sizeof usable, &usable) != 0)
        return online();
    int n = CPU_COUNT(&usable);
    return n > 0 ? (uint32_t)n : 1;
}

/* The number in a file of the processor's topology, perhaps negative; false if there is none. */
static bool read_topology(int cpu, const char *name, int64_t *value)
{
    char path[96], text[16];
    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/%s", cpu, name);
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        return false;
    ssize_t length = read(descriptor, text, sizeof text);
    close(descriptor);
    ssize_t i = length > 0 && text[0] == '-' ? 1 : 0, first = i;
    for (*value = 0; i < length && text[i] >= '0' && text[i] <= '9'; i++)
        *value = *value * 10 + (text[i] - '0');
    if (first == 1)
        *value = -*value;
    return i > first;
}

uint32_t processors_cores(void)
{
    struct {
        int64_t package, core;
    } seen[CPU_SETSIZE];
    uint32_t n = 0;
    cpu_set_t usable;
    if (sched_getaffinity(0, sizeof usable, &usable) != 0)
        return online();
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        int64_t package, core;
        if (!CPU_ISSET(cpu, &usable))
            continue;
        if (!read_topology(cpu, "physical_package_id", &package) ||
            !read_topology(cpu, "core_id", &core))
            return processors_usable();
        uint32_t i = 0;
        while (i < n && (seen[i].package != package || seen[i].core != core))
            i++;
        seen[i].package = package;
        seen[i].core = core;
        n = i == n ? n + 1 : n;
    }
    return n > 0 ? n : 1;
}

uint32_t processors_default(void)
{
    uint32_t cores = processors_cores(), quota = quota_processors(QUOTA_PROC);
    return quota < cores ? quota : cores;
}
