/*
 * A hash of bytes for tables in memory. It has no key, so names in a file can be made to collide: a
 * table bounds how far it probes.
 */
#ifndef LCKV_BASE_HASH_H
#define LCKV_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

/* The probes after which a table at half load gives up: well-mixed hashes stay far below. */
#define HASH_MAX_PROBES 512

uint64_t hash_bytes(const void *bytes, size_t length);

#endif
