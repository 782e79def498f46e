/*
 * Fingerprints of bytes: 128 bits, the function FNV-1a. They tell apart what differs by accident,
 * but not what somebody made to collide.
 */
#ifndef TOOLS_FINGERPRINT_H
#define TOOLS_FINGERPRINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fingerprint {
    uint64_t high, low;
};

/* Of no bytes. */
struct fingerprint fingerprint_begin(void);

/* Adds bytes; or bytes with their number before them, so that texts in a row stay apart. */
void fingerprint_add(struct fingerprint *fingerprint, const void *bytes, size_t length);
void fingerprint_add_text(struct fingerprint *fingerprint, const char *text, size_t length);

static inline bool fingerprint_equal(struct fingerprint a, struct fingerprint b)
{
    return a.high == b.high && a.low == b.low;
}

#endif
