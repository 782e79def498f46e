/*
 * Saved sessions in files, and how a restore ends. See saved.h.
 */
#include "base/file.h"
#include "base/status.h"
#include "cache/restoration.h"
#include "cache/saved.h"

static lckv_status write_to_file(void *user, const void *bytes, size_t length)
{
    return output_write(user, bytes, length);
}

lckv_status sessions_save_file(struct lckv_session *const *sessions, size_t n_sessions,
                               const char *path, const lckv_save_options *options)
{
    struct output output;
    lckv_status status = output_open(&output, path, &sessions[0]->cache->allocator);
    if (status != LCKV_OK)
        return status;
    status = sessions_save(sessions, n_sessions, write_to_file, &output, options);
    if (status == LCKV_OK)
        return output_commit(&output);
    output_discard(&output);
    return status;
}

/* Hands the sessions out if all is well. */
static lckv_status finish(struct restoration *restoration, lckv_status status,
                          struct lckv_session **sessions, size_t *n_sessions)
{
    if (status == LCKV_OK)
        restoration_publish(restoration, sessions);
    if (status == LCKV_OK || status == LCKV_BUFFER_TOO_SMALL)
        *n_sessions = restoration->n_saved;
    restoration_end(restoration);
    return status;
}

lckv_status sessions_restore(struct lckv_cache *cache, frame_read_function read, void *user,
                             const lckv_restore_options *options, struct lckv_session **sessions,
                             size_t capacity, size_t *n_sessions)
{
    struct restoration restoration;
    restoration_begin(&restoration, cache);
    lckv_status status = restoration_read(&restoration, read, user, options, capacity);
    return finish(&restoration, status, sessions, n_sessions);
}

struct input {
    struct file file;
    uint64_t position;
};

static lckv_status read_from_file(void *user, void *bytes, size_t length, size_t *n)
{
    struct input *input = user;
    const uint64_t left = input->file.length - input->position;
    *n = length < left ? length : (size_t)left;
    lckv_status status = file_read(&input->file, input->position, bytes, *n);
    input->position += *n;
    return status;
}

lckv_status sessions_restore_file(struct lckv_cache *cache, const char *path,
                                  const lckv_restore_options *options,
                                  struct lckv_session **sessions, size_t capacity,
                                  size_t *n_sessions)
{
    struct input input = {.position = 0};
    struct restoration restoration;
    lckv_status status = file_open(&input.file, path);
    if (status != LCKV_OK)
        return status;
    restoration_begin(&restoration, cache);
    status = restoration_read(&restoration, read_from_file, &input, options, capacity);
    if (status == LCKV_OK && input.position != input.file.length)
        status = fail(LCKV_BAD_FORMAT, "%llu bytes follow the end of the saved sessions",
                      (unsigned long long)(input.file.length - input.position));
    file_close(&input.file);
    status = finish(&restoration, status, sessions, n_sessions);
    const bool names_it = status == LCKV_OK || status == LCKV_IO;
    return names_it ? status : fail_in(status, "%s", path);
}
