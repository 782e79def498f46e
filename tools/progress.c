/*
 * See progress.h.
 */
#include "progress.h"

#include "report.h"

#include <stdarg.h>
#include <unistd.h>

struct progress progress_begin(const char *label)
{
    return (struct progress){.label = label, .is_shown = isatty(STDERR_FILENO) == 1};
}

/* Whether the line may change now; it does so ten times a second at most. */
static bool may_show(struct progress *progress)
{
    double now = now_seconds();
    if (!progress->is_shown || (progress->is_dirty && now - progress->shown_at < 0.1))
        return false;
    progress->shown_at = now;
    progress->is_dirty = true;
    return true;
}

int32_t progress_update(void *user, uint64_t done, uint64_t total)
{
    struct progress *progress = user;
    if (total == 0 || !may_show(progress))
        return 0;
    fprintf(stderr, "\r%s: %3.0f %%", progress->label, 100.0 * (double)done / (double)total);
    fflush(stderr);
    return 0;
}

void progress_show(struct progress *progress, const char *format, ...)
{
    if (!may_show(progress))
        return;
    va_list arguments;
    va_start(arguments, format);
    fputc('\r', stderr);
    vfprintf(stderr, format, arguments);
    fputs("\033[K", stderr);
    fflush(stderr);
    va_end(arguments);
}

void progress_end(struct progress *progress)
{
    if (progress->is_dirty)
        fputs("\r\033[K", stderr);
    progress->is_dirty = false;
}
