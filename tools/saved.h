/*
 * A session in a file: the options --save, --restore and --any-kernels of lckv generate and lckv
 * chat.
 */
#ifndef TOOLS_SAVED_H
#define TOOLS_SAVED_H

#include "values.h"

struct saved_settings {
    const char *save_to;      /* a file, or NULL */
    const char *restore_from; /* a file, or NULL */
    bool any_kernels;
};

/*
 * A context for a session from a file, which may have any length: as long as the model was trained
 * for, within reason.
 */
uint64_t usual_context(const lckv_model *model);

/* Saves a session, and a note unless it is NULL. Complains and returns an exit status. */
int save_session(lckv_session *session, const char *path, const struct bytes *note);

/*
 * Restores the one session of settings->restore_from, and its note unless `note` is NULL. Complains
 * and returns an exit status; `context` is that of the cache. The note may be there after a
 * failure, too.
 */
int restore_session(lckv_cache *cache, const struct saved_settings *settings, uint64_t context,
                    lckv_session **session, struct bytes *note);

#endif
