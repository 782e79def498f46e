/*
 * lckv_sessions_*: saving and restoring, and their options.
 */
#include "api/options.h"
#include "base/status.h"
#include "cache/saved.h"

lckv_status lckv_save_options_init(lckv_save_options *options, size_t size)
{
    return options_init(options, size, "lckv_save_options");
}

lckv_status lckv_restore_options_init(lckv_restore_options *options, size_t size)
{
    return options_init(options, size, "lckv_restore_options");
}

/* The caller's functions, whose results become statuses. */
struct caller {
    lckv_write_callback write;
    lckv_read_callback read;
    void *user;
};

static lckv_status write_to_caller(void *user, const void *bytes, size_t length)
{
    const struct caller *caller = user;
    const int32_t answer = caller->write(caller->user, bytes, length);
    if (answer != 0)
        return fail(LCKV_IO, "the write callback stopped the call: it returned %d", (int)answer);
    return LCKV_OK;
}

static lckv_status read_from_caller(void *user, void *bytes, size_t length, size_t *n)
{
    const struct caller *caller = user;
    const int32_t answer = caller->read(caller->user, bytes, length, n);
    if (answer != 0)
        return fail(LCKV_IO, "the read callback stopped the call: it returned %d", (int)answer);
    if (*n > length)
        return fail(LCKV_INVALID_ARGUMENT,
                    "the read callback says that it gave %zu bytes; it was asked for %zu", *n,
                    length);
    return LCKV_OK;
}

static lckv_status check_sessions(const char *call, lckv_session *const *sessions,
                                  size_t n_sessions)
{
    if (sessions == NULL || n_sessions == 0 || n_sessions > UINT32_MAX)
        return fail(LCKV_INVALID_ARGUMENT, "%s: expected at least one session", call);
    for (size_t i = 0; i < n_sessions; i++) {
        if (sessions[i] == NULL)
            return fail(LCKV_INVALID_ARGUMENT, "%s: session %zu is NULL", call, i);
        if (sessions[i]->cache != sessions[0]->cache)
            return fail(LCKV_INVALID_ARGUMENT, "%s: session %zu belongs to another cache", call, i);
    }
    return LCKV_OK;
}

/* Checks all arguments of a save but where the bytes go, and enters the cache. */
static lckv_status begin_save(const char *call, lckv_session *const *sessions, size_t n_sessions,
                              const lckv_save_options *given, lckv_save_options *options)
{
    lckv_status status = check_sessions(call, sessions, n_sessions);
    if (status == LCKV_OK)
        status = options_read(options, sizeof *options, given, "lckv_save_options");
    if (status == LCKV_OK)
        status = argument_array(call, "note", options->note, options->note_length);
    return status == LCKV_OK ? cache_enter(sessions[0]->cache) : status;
}

static lckv_status leave(struct lckv_cache *cache, lckv_status status)
{
    failure_keep(&cache->failure, status);
    cache_leave(cache);
    return status;
}

lckv_status lckv_sessions_save(lckv_session *const *sessions, size_t n_sessions,
                               lckv_write_callback write, void *user,
                               const lckv_save_options *options)
{
    struct caller caller = {.write = write, .user = user};
    lckv_save_options full;
    if (write == NULL)
        return argument_null(__func__, "write");
    lckv_status status = begin_save(__func__, sessions, n_sessions, options, &full);
    if (status != LCKV_OK)
        return status;
    struct lckv_cache *cache = sessions[0]->cache;
    return leave(cache, sessions_save(sessions, n_sessions, write_to_caller, &caller, &full));
}

lckv_status lckv_sessions_save_file(lckv_session *const *sessions, size_t n_sessions,
                                    const char *path, const lckv_save_options *options)
{
    lckv_save_options full;
    if (path == NULL)
        return argument_null(__func__, "path");
    lckv_status status = begin_save(__func__, sessions, n_sessions, options, &full);
    if (status != LCKV_OK)
        return status;
    struct lckv_cache *cache = sessions[0]->cache;
    return leave(cache, sessions_save_file(sessions, n_sessions, path, &full));
}

/* Checks all arguments of a restore but where the bytes come from, and enters the cache. */
static lckv_status begin_restore(const char *call, lckv_cache *cache,
                                 const lckv_restore_options *given, lckv_restore_options *options,
                                 lckv_session **sessions, size_t capacity, const size_t *n_sessions)
{
    if (cache == NULL)
        return argument_null(call, "cache");
    lckv_status status = options_read(options, sizeof *options, given, "lckv_restore_options");
    if (status == LCKV_OK && options->reserved != 0)
        status = fail(LCKV_INVALID_ARGUMENT, "lckv_restore_options: reserved must be 0");
    if (status == LCKV_OK && options->any_kernels != 0 && options->any_kernels != 1)
        status = argument_range("lckv_restore_options.any_kernels", options->any_kernels, "0 or 1");
    if (status == LCKV_OK)
        status = argument_array(call, "sessions", sessions, capacity);
    if (status == LCKV_OK && n_sessions == NULL)
        status = argument_null(call, "n_sessions");
    return status == LCKV_OK ? cache_enter(cache) : status;
}

lckv_status lckv_sessions_restore(lckv_cache *cache, lckv_read_callback read, void *user,
                                  const lckv_restore_options *options, lckv_session **sessions,
                                  size_t capacity, size_t *n_sessions)
{
    struct caller caller = {.read = read, .user = user};
    lckv_restore_options full;
    if (read == NULL)
        return argument_null(__func__, "read");
    lckv_status status =
        begin_restore(__func__, cache, options, &full, sessions, capacity, n_sessions);
    if (status != LCKV_OK)
        return status;
    return leave(cache, sessions_restore(cache, read_from_caller, &caller, &full, sessions,
                                         capacity, n_sessions));
}

lckv_status lckv_sessions_restore_file(lckv_cache *cache, const char *path,
                                       const lckv_restore_options *options, lckv_session **sessions,
                                       size_t capacity, size_t *n_sessions)
{
    lckv_restore_options full;
    if (path == NULL)
        return argument_null(__func__, "path");
    lckv_status status =
        begin_restore(__func__, cache, options, &full, sessions, capacity, n_sessions);
    if (status != LCKV_OK)
        return status;
    return leave(cache, sessions_restore_file(cache, path, &full, sessions, capacity, n_sessions));
}
