/*
 * A line on standard error that shows how far long work has come. It is shown only if standard
 * error is a terminal.
 */
#ifndef TOOLS_PROGRESS_H
#define TOOLS_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
    const char *label; /* "reading weights" */
    bool is_shown;     /* standard error is a terminal */
    bool is_dirty;     /* the line is on the screen and must be removed */
    double shown_at;
};

struct progress progress_begin(const char *label);

/* An lckv_progress_callback; `user` is the struct progress. Never cancels. */
int32_t progress_update(void *user, uint64_t done, uint64_t total);

/* Shows a line of the caller's own words. */
__attribute__((format(printf, 2, 3))) void progress_show(struct progress *progress,
                                                         const char *format, ...);

/* Removes the line. */
void progress_end(struct progress *progress);

#endif
