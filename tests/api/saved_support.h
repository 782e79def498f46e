/*
 * What the tests of saved sessions share: streams in memory, caches, texts, and what must hold of a
 * restored session.
 */
#ifndef LCKV_TESTS_SAVED_SUPPORT_H
#define LCKV_TESTS_SAVED_SUPPORT_H

#include "cache_support.h"

/* ---- Streams in memory ---- */

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

/* ---- What must hold ---- */

static inline lckv_cache *make_paged(const lckv_model *model, uint32_t page_positions)
{
    return make_cache(model, (lckv_cache_options){.page_positions = page_positions,
                                                  .n_threads = 1,
                                                  .n_tokens = 2048,
                                                  .max_sessions = 8});
}

static inline lckv_token *long_text(size_t n)
{
    static lckv_token text[600];
    ck_assert_uint_le(n, COUNT(text));
    fill_tokens(text, COUNT(text));
    return text;
}

/* Appends text[begin, end) and gets the last logits. */
static inline void append(lckv_session *session, lckv_cache *cache, size_t begin, size_t end,
                          float *logits)
{
    lckv_item item = make_item(session, long_text(end) + begin, end - begin, logits, N_VOCAB);
    item.want = LCKV_WANT_LAST;
    ck_assert_ok(run(cache, &item, 1, LCKV_PREFILL_AUTO));
}

/* Both sessions have the same tokens, and go on alike. */
static inline void assert_alike(lckv_session *a, lckv_cache *cache_a, lckv_session *b,
                                lckv_cache *cache_b)
{
    float ours[N_VOCAB], theirs[N_VOCAB];
    lckv_token tokens_a[600], tokens_b[600];
    size_t n_a = 0, n_b = 0;
    uint64_t least_a, least_b;
    ck_assert_ok(lckv_session_tokens(a, tokens_a, COUNT(tokens_a), &n_a));
    ck_assert_ok(lckv_session_tokens(b, tokens_b, COUNT(tokens_b), &n_b));
    ck_assert_uint_eq(n_a, n_b);
    ck_assert_mem_eq(tokens_a, tokens_b, n_a * sizeof *tokens_a);
    ck_assert_ok(lckv_session_min_length(a, &least_a));
    ck_assert_ok(lckv_session_min_length(b, &least_b));
    ck_assert_uint_eq(least_a, least_b);
    for (int step = 0; step < 3; step++) {
        append(a, cache_a, 100 + (size_t)step, 101 + (size_t)step, ours);
        append(b, cache_b, 100 + (size_t)step, 101 + (size_t)step, theirs);
        ck_assert_mem_eq(ours, theirs, sizeof ours);
    }
    ck_assert_ok(lckv_session_truncate(a, n_a));
    ck_assert_ok(lckv_session_truncate(b, n_a));
}

static inline void release_all(lckv_session **sessions, size_t n)
{
    for (size_t i = 0; i < n; i++)
        lckv_session_release(sessions[i]);
}

#endif
