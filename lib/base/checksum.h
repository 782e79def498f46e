/*
 * Checksums of bytes in files: XXH3 with 64 bits. They find damage; they do not keep anybody from
 * making another file with the same sum.
 */
#ifndef LCKV_BASE_CHECKSUM_H
#define LCKV_BASE_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

/* `seed` is the checksum of what came before, or 0. */
uint64_t checksum(const void *bytes, size_t length, uint64_t seed);

#endif
