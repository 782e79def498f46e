/*
 * See progress.h.
 */
#include "progress.h"

#include "report.h"

#include <unistd.h>

struct progress progress_begin(const char *label)
{
    return (struct progress){.label = label, .is_shown = isatty(STDERR_FILENO) == 1};
}

int32_t progress_update(void *user, uint64_t done, uint64_t total)
{
    struct progress *progress = user;
    if (!progress->is_shown || total == 0)
        return 0;
    double now = now_seconds();
    if (progress->is_dirty && now - progress->shown_at < 0.1)
        return 0;
    progress->shown_at = now;
    progress->is_dirty = true;
    fprintf(stderr, "\r%s: %3.0f %%", progress->label, 100.0 * (double)done / (double)total);
    fflush(stderr);
    return 0;
}

void progress_end(struct progress *progress)
{
    if (progress->is_dirty)
        fputs("\r\033[K", stderr);
    progress->is_dirty = false;
}
