/*
 * See report.h.
 */
#include "report.h"

#include "lckv.h"
#include "show.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void complain(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *text = NULL;
    if (vasprintf(&text, format, arguments) < 0)
        text = NULL;
    va_end(arguments);
    const char *message = text != NULL ? text : "out of memory";
    fputs("lckv: ", stderr);
    show_line(stderr, message, strlen(message));
    fputc('\n', stderr);
    free(text);
}

int fail_library(void)
{
    complain("%s", lckv_last_error());
    return EXIT_FAILURE;
}

int fail_memory(void)
{
    complain("out of memory");
    return EXIT_FAILURE;
}

int close_output(int status)
{
    int had_failed = ferror(stdout);
    errno = 0;
    if (fclose(stdout) == 0 && !had_failed)
        return status;
    complain("cannot write standard output%s%s", errno != 0 ? ": " : "",
             errno != 0 ? strerror(errno) : "");
    return status == EXIT_SUCCESS ? EXIT_FAILURE : status;
}

void log_remark(void *user, const char *text, size_t length)
{
    (void)user;
    complain("note: %.*s", (int)length, text);
}

const char *plural(uint64_t count)
{
    return count == 1 ? "" : "s";
}

struct human_bytes human_bytes(uint64_t bytes)
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    struct human_bytes human;
    if (bytes < 100000) {
        snprintf(human.text, sizeof human.text, "%llu bytes", (unsigned long long)bytes);
        return human;
    }
    double value = (double)bytes / 1024;
    size_t unit = 0;
    while (value >= 1024 && unit + 1 < sizeof units / sizeof units[0]) {
        value /= 1024;
        unit++;
    }
    snprintf(human.text, sizeof human.text, "%.*f %s", value < 100 ? 1 : 0, value, units[unit]);
    return human;
}

struct human_seconds human_seconds(double seconds)
{
    struct human_seconds human;
    bool is_short = seconds < 90, is_long = seconds >= 90 * 60;
    double value = is_short ? seconds : is_long ? seconds / 3600 : seconds / 60;
    snprintf(human.text, sizeof human.text, is_long && value < 10 ? "%.1f %s" : "%.0f %s", value,
             is_short  ? "s"
             : is_long ? "h"
                       : "min");
    return human;
}

double now_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

double per_second(double count, double seconds)
{
    return seconds > 0 ? count / seconds : 0;
}
