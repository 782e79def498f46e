/*
 * The time, for measuring how long something takes.
 */
#ifndef LCKV_BASE_CLOCK_H
#define LCKV_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

/* Nanoseconds since a fixed moment in the past. Setting the system's date does not change them. */
static inline int64_t clock_nanoseconds(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

#endif
