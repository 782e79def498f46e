/*
 * What the inputs of fuzz_restore.c stand for. Checksums would turn away nearly everything that is
 * changed, and the description of the model differs between machines. So an input is what follows
 * the description, and the target puts both around it:
 *
 *     model, page size, flags, bytes of a frame, a byte each
 *     the number of sessions, the length of the note, and the rest
 *
 * Flags are 1: all bytes are the input's, and nothing is put around; 2: there is a context window.
 */
#ifndef LCKV_TESTS_FUZZ_RESTORE_H
#define LCKV_TESTS_FUZZ_RESTORE_H

#include "bytes.h"
#include "tiny.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

enum { RESTORE_HEADER = 12, RESTORE_COUNTS = 12, RESTORE_EMPTY_SESSION = 24 };
enum { RESTORE_RAW = 1, RESTORE_ENDLESS = 2, RESTORE_FLAGS = 4 };

static const struct tiny restore_tinies[] = {
    {.plan = "1_1", .n_layers = 2},
    {.plan = "0s_0s_2_2", .n_layers = 4, .sliding_window = 5},
    {.plan = "0s_0s", .n_layers = 2, .sliding_window = 3},
};
static const uint32_t restore_pages[] = {16, 32, 64, 1024};

/* Opens a model the first time; its memory counts, and stays. */
static inline const lckv_model *restore_model(size_t index)
{
    static lckv_model *models[COUNT(restore_tinies)];
    if (models[index] == NULL) {
        lckv_model_options options = {
            .size = sizeof options, .gemm = LCKV_GEMM_OWN, .allocator = &limited};
        uint64_t fingerprint; /* its memory would be taken in the middle of an input */
        folder_begin();
        require(tiny_write(&restore_tinies[index], folder), "cannot write to %s", folder);
        require_ok(lckv_model_open(folder, &options, &models[index]));
        require_ok(lckv_model_fingerprint(models[index], &fingerprint));
    }
    return models[index];
}

static inline lckv_cache *restore_cache(size_t model, size_t page, uint32_t flags)
{
    const bool is_endless = (flags & RESTORE_ENDLESS) != 0;
    static lckv_pool *pool;
    if (pool == NULL)
        require_ok(lckv_pool_create(1, &pool));
    lckv_cache *cache;
    const lckv_cache_options options = {.size = sizeof options,
                                        .n_tokens = 256,
                                        .max_sessions = 4,
                                        .max_rows = 8,
                                        .rollback = 4,
                                        .pool = pool,
                                        .reuse = LCKV_REUSE_OFF,
                                        .context_window = is_endless ? 12 : 0,
                                        .n_sinks = is_endless ? 3 : 0,
                                        .page_positions = restore_pages[page]};
    require_ok(lckv_cache_create(restore_model(model), &options, &cache));
    return cache;
}

/* ---- The frames around bytes ---- */

/* What the frames of a stream hold. */
static inline struct bytes unframed(const struct bytes *stream)
{
    struct bytes payload = {0};
    uint32_t length = 1;
    for (size_t at = RESTORE_HEADER; length > 0; at += length + 12) {
        memcpy(&length, stream->data + at, sizeof length);
        bytes_put(&payload, stream->data + at + sizeof length, length);
    }
    return payload;
}

/* Puts frames of `n` bytes around a payload. */
static inline struct bytes framed(const uint8_t *header, const struct bytes *payload, size_t n)
{
    struct bytes stream = {0};
    uint64_t sum = XXH3_64bits(header, RESTORE_HEADER);
    bytes_put(&stream, header, RESTORE_HEADER);
    for (size_t at = 0;;) {
        const size_t left = payload->length - at, begin = stream.length;
        const uint32_t length = (uint32_t)(left < n ? left : n);
        bytes_put(&stream, &length, sizeof length);
        if (length > 0)
            bytes_put(&stream, payload->data + at, length);
        sum = XXH3_64bits_withSeed(stream.data + begin, sizeof length + length, sum);
        bytes_put(&stream, &sum, sizeof sum);
        at += length;
        if (length == 0)
            break; /* the frame that ends the stream */
    }
    return stream;
}

/* The stream that a cache writes for one empty session. */
static inline struct bytes saved_empty(lckv_cache *cache)
{
    struct bytes stream = {0};
    lckv_session *session;
    require_ok(lckv_session_create(cache, &session));
    require_ok(lckv_sessions_save(&session, 1, bytes_put, &stream, NULL));
    lckv_session_release(session);
    return stream;
}

#endif
