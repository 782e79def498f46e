/*
 * Sessions are restored from any bytes. If that fails, nothing has changed; if not, the sessions
 * can be used like others, and saving them gives bytes that make the same sessions again.
 */
#include "restore.h"

enum { MAX_RESTORED = 4 };

/* The input as a stream that the cache accepts, as far as the checks of frames and model go. */
static struct bytes stream_of(struct input *input, lckv_cache *cache, bool is_raw,
                              size_t frame_bytes)
{
    struct bytes stream = {0};
    if (is_raw) {
        bytes_put(&stream, input->data, input->size);
        return stream;
    }
    struct bytes empty = saved_empty(cache), payload = unframed(&empty);
    payload.length -= RESTORE_COUNTS + RESTORE_EMPTY_SESSION;
    bytes_put(&payload, input->data, input->size);
    stream = framed(empty.data, &payload, frame_bytes);
    free(empty.data);
    free(payload.data);
    return stream;
}

static struct bytes save(lckv_session *const *sessions, size_t n)
{
    struct bytes stream = {0};
    require_ok(lckv_sessions_save(sessions, n, bytes_put, &stream, NULL));
    return stream;
}

/* Appends a token to each session, takes it back, and forgets all. */
static void use(lckv_cache *cache, lckv_session *const *sessions, size_t n)
{
    static lckv_token tokens[1 << 16];
    static float logits[TINY_VOCAB];
    const lckv_token token = 5;
    for (size_t i = 0; i < n; i++) {
        uint64_t length;
        size_t n_tokens = 0;
        require_ok(lckv_session_length(sessions[i], &length));
        if (succeeded(lckv_session_tokens(sessions[i], tokens, COUNT(tokens), &n_tokens))) {
            require(n_tokens == length, "%zu tokens of %llu", n_tokens, (unsigned long long)length);
        } else { /* windows have left some behind, but never the last one */
            n_tokens = 1;
            require_ok(lckv_session_read_tokens(sessions[i], length - 1, length, tokens));
        }
        for (size_t t = 0; t < n_tokens; t++)
            require(tokens[t] >= 0 && tokens[t] < TINY_VOCAB, "token %d", (int)tokens[t]);
        const lckv_item item = {.session = sessions[i],
                                .tokens = &token,
                                .n_tokens = 1,
                                .want = LCKV_WANT_LAST,
                                .logits = logits,
                                .logits_capacity = COUNT(logits)};
        if (succeeded(lckv_evaluate(cache, &item, sizeof item, 1, NULL, NULL)))
            succeeded(lckv_session_truncate(sessions[i], length));
    }
}

static void check_restored(lckv_cache *cache, lckv_session **sessions, size_t n)
{
    lckv_session *again[MAX_RESTORED];
    size_t n_again = 0;
    struct bytes first = save(sessions, n);
    use(cache, sessions, n);
    for (size_t i = 0; i < n; i++)
        lckv_session_release(sessions[i]);
    require_ok(
        lckv_sessions_restore(cache, bytes_get, &first, NULL, again, MAX_RESTORED, &n_again));
    require(n_again == n, "%zu sessions, then %zu", n, n_again);
    struct bytes second = save(again, n);
    require(first.length == second.length && memcmp(first.data, second.data, first.length) == 0,
            "%zu bytes, then %zu others", first.length, second.length);
    for (size_t i = 0; i < n; i++)
        lckv_session_release(again[i]);
    free(first.data);
    free(second.data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    const size_t model = take(&input, COUNT(restore_tinies));
    const size_t page = take(&input, COUNT(restore_pages));
    const uint32_t flags = take(&input, RESTORE_FLAGS), frame_bytes = take(&input, 256);
    restore_model(model);
    const size_t out = bytes_out;
    lckv_cache *cache = restore_cache(model, page, flags);
    struct bytes stream =
        stream_of(&input, cache, (flags & RESTORE_RAW) != 0, frame_bytes > 0 ? frame_bytes : 65536);
    lckv_session *sessions[MAX_RESTORED];
    size_t n = 0;
    lckv_cache_stats before = {.size = sizeof before}, after = before;
    require_ok(lckv_cache_get_stats(cache, &before));
    const size_t out_before = bytes_out;
    const bool restored = succeeded(
        lckv_sessions_restore(cache, bytes_get, &stream, NULL, sessions, MAX_RESTORED, &n));
    if (restored && n > 0)
        check_restored(cache, sessions, n);
    require_ok(lckv_cache_get_stats(cache, &after));
    require(memcmp(&before, &after, sizeof before) == 0, "the statistics differ");
    require(bytes_out == out_before, "%zu bytes, before %zu", bytes_out, out_before);
    lckv_cache_release(cache);
    require(bytes_out == out, "%zu bytes are left, before %zu", bytes_out, out);
    free(stream.data);
    return 0;
}
