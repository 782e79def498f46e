/*
 * Streams in memory, which sessions are saved to and restored from.
 */
#ifndef LCKV_TESTS_STREAMS_H
#define LCKV_TESTS_STREAMS_H

#include "sessions.h"

struct bytes {
    uint8_t *data;
    size_t length, capacity;
    size_t at;         /* the next byte that is read */
    size_t piece;      /* the most bytes that a read gives; 0: any number */
    size_t fails_from; /* writing beyond this many bytes fails; 0: never */
};

static inline int32_t put(void *user, const void *data, size_t length)
{
    struct bytes *bytes = user;
    if (bytes->fails_from != 0 && bytes->length + length > bytes->fails_from)
        return 28;
    if (bytes->length + length > bytes->capacity) {
        bytes->capacity = 2 * (bytes->length + length);
        bytes->data = realloc(bytes->data, bytes->capacity);
        ck_assert_ptr_nonnull(bytes->data);
    }
    memcpy(bytes->data + bytes->length, data, length);
    bytes->length += length;
    return 0;
}

static inline int32_t get(void *user, void *data, size_t length, size_t *n_read)
{
    struct bytes *bytes = user;
    size_t left = bytes->length - bytes->at, n = length < left ? length : left;
    if (bytes->piece != 0 && n > bytes->piece)
        n = bytes->piece;
    memcpy(data, bytes->data + bytes->at, n);
    bytes->at += n;
    *n_read = n;
    return 0;
}

static inline struct bytes save(lckv_session *const *sessions, size_t n)
{
    struct bytes bytes = {0};
    ck_assert_ok(lckv_sessions_save(sessions, n, put, &bytes, NULL));
    return bytes;
}

static inline lckv_status restore_some(lckv_cache *cache, struct bytes *bytes,
                                       lckv_session **sessions, size_t capacity, size_t *n)
{
    bytes->at = 0;
    return lckv_sessions_restore(cache, get, bytes, NULL, sessions, capacity, n);
}

static inline void restore(lckv_cache *cache, struct bytes *bytes, lckv_session **sessions,
                           size_t n)
{
    size_t n_restored = 0;
    ck_assert_ok(restore_some(cache, bytes, sessions, n, &n_restored));
    ck_assert_uint_eq(n_restored, n);
}

#endif
