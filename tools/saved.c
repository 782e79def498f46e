/*
 * See saved.h.
 */
#include "saved.h"

#include "progress.h"
#include "report.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define MOST_NOTE ((size_t)64 << 20) /* bytes; a conversation has far fewer */

uint64_t usual_context(const lckv_model *model)
{
    enum { UNKNOWN = 4096, MOST = 8192 };
    lckv_model_info info = {.size = sizeof info};
    if (lckv_model_get_info(model, &info) != LCKV_OK || info.context_length == 0)
        return UNKNOWN;
    return info.context_length < MOST ? info.context_length : MOST;
}

int save_session(lckv_session *session, const char *path, const struct bytes *note)
{
    struct progress progress = progress_begin("saving");
    const lckv_save_options options = {.size = sizeof options,
                                       .note = note != NULL ? note->data : NULL,
                                       .note_length = note != NULL ? note->length : 0,
                                       .progress = progress_update,
                                       .progress_user = &progress};
    lckv_status status = lckv_sessions_save_file(&session, 1, path, &options);
    progress_end(&progress);
    return status == LCKV_OK ? EXIT_SUCCESS : fail_library();
}

/* An lckv_write_callback that adds to a struct bytes. */
static int32_t take_note(void *user, const void *piece, size_t length)
{
    struct bytes *note = user;
    if (length > MOST_NOTE - note->length)
        return 1;
    char *data = realloc(note->data, note->length + length + 1);
    if (data == NULL)
        return 1;
    memcpy(data + note->length, piece, length);
    note->length += length;
    data[note->length] = '\0';
    note->data = data;
    return 0;
}

int restore_session(lckv_cache *cache, const struct saved_settings *settings, uint64_t context,
                    lckv_session **session, struct bytes *note)
{
    const char *path = settings->restore_from;
    size_t n_sessions = 0;
    struct progress progress = progress_begin("restoring");
    const lckv_restore_options options = {.size = sizeof options,
                                          .any_kernels = settings->any_kernels,
                                          .note = note != NULL ? take_note : NULL,
                                          .note_user = note,
                                          .progress = progress_update,
                                          .progress_user = &progress};
    lckv_status status = lckv_sessions_restore_file(cache, path, &options, session, 1, &n_sessions);
    progress_end(&progress);
    if (status == LCKV_OK && n_sessions == 0) {
        complain("%s holds no session", path);
        return EXIT_FAILURE;
    }
    if (status == LCKV_CACHE_FULL) {
        complain("%s does not fit into a context of %" PRIu64 " token%s; --context makes it larger",
                 path, context, plural(context));
        return EXIT_FAILURE;
    }
    return status == LCKV_OK ? EXIT_SUCCESS : fail_library();
}
