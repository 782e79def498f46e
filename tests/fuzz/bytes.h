/*
 * A stream in memory, for targets that save and restore sessions.
 */
#ifndef LCKV_TESTS_FUZZ_BYTES_H
#define LCKV_TESTS_FUZZ_BYTES_H

#include "fuzz.h"

struct bytes {
    uint8_t *data;
    size_t length, capacity, at;
};

static inline int32_t bytes_put(void *user, const void *data, size_t length)
{
    struct bytes *bytes = user;
    if (length == 0)
        return 0;
    if (bytes->length + length > bytes->capacity) {
        bytes->capacity = 2 * (bytes->length + length);
        bytes->data = realloc(bytes->data, bytes->capacity);
        require(bytes->data != NULL, "no memory");
    }
    memcpy(bytes->data + bytes->length, data, length);
    bytes->length += length;
    return 0;
}

static inline int32_t bytes_get(void *user, void *data, size_t length, size_t *n_read)
{
    struct bytes *bytes = user;
    *n_read = length < bytes->length - bytes->at ? length : bytes->length - bytes->at;
    if (*n_read > 0)
        memcpy(data, bytes->data + bytes->at, *n_read);
    bytes->at += *n_read;
    return 0;
}

#endif
