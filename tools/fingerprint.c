/*
 * See fingerprint.h.
 */
#include "fingerprint.h"

struct fingerprint fingerprint_begin(void)
{
    return (struct fingerprint){0x6c62272e07bb0142, 0x62b821756295c58d};
}

void fingerprint_add(struct fingerprint *fingerprint, const void *bytes, size_t length)
{
    const unsigned char *at = bytes;
    for (size_t i = 0; i < length; i++) {
        /* Times the prime, 2^88 + 0x13b, modulo 2^128. */
        uint64_t low = fingerprint->low ^ at[i];
        unsigned __int128 product = (unsigned __int128)low * 0x13b;
        fingerprint->high = fingerprint->high * 0x13b + (uint64_t)(product >> 64) + (low << 24);
        fingerprint->low = (uint64_t)product;
    }
}

void fingerprint_add_text(struct fingerprint *fingerprint, const char *text, size_t length)
{
    uint64_t n = length;
    fingerprint_add(fingerprint, &n, sizeof n);
    fingerprint_add(fingerprint, text, length);
}
