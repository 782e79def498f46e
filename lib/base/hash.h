/*
 * A hash of bytes for tables in memory. It has no key, so somebody can make a file whose names
 * collide. Therefore tables limit how far they probe.
 */
#ifndef LCKV_BASE_HASH_H
#define LCKV_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

/* A table at half load gives up after so many probes. Well-mixed hashes need far fewer. */
#define HASH_MAX_PROBES 512

uint64_t hash_bytes(const void *bytes, size_t length);

#endif
