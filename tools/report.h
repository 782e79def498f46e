/*
 * What subcommands report besides their results: failures on standard error, exit statuses, and
 * figures for people. Results go to standard output.
 */
#ifndef TOOLS_REPORT_H
#define TOOLS_REPORT_H

#include <stdint.h>
#include <stdio.h>

/* Exit statuses beside EXIT_SUCCESS and EXIT_FAILURE. */
enum { EXIT_USAGE = 2, EXIT_INTERRUPTED = 130 /* as shells report SIGINT */ };

/* Writes "lckv: MESSAGE\n" to standard error. Texts in the message cannot control a terminal. */
__attribute__((format(printf, 1, 2))) void complain(const char *format, ...);

/* Complains with the library's message. Returns EXIT_FAILURE, so that a command can return it. */
int fail_library(void);

/* Complains that memory ran out. Returns EXIT_FAILURE. */
int fail_memory(void);

/*
 * Closes standard output. Returns `status`, or complains and returns EXIT_FAILURE if something that
 * was written there is lost (a full disk, a closed pipe).
 */
int close_output(int status);

/* An lckv_log_callback that writes remarks to standard error. */
void log_remark(void *user, const char *text, size_t length);

/* "s", or "" if the count is 1. */
const char *plural(uint64_t count);

/* "1536 bytes", "9.9 MiB": bytes with a binary unit. */
struct human_bytes {
    char text[32];
};
struct human_bytes human_bytes(uint64_t bytes);

/* "40 s", "12 min", "3.5 h": about how long something takes. */
struct human_seconds {
    char text[32];
};
struct human_seconds human_seconds(double seconds);

/* Seconds on a clock that only goes forward. */
double now_seconds(void);

/* `count` per second, 0 if no time passed. */
double per_second(double count, double seconds);

#endif
