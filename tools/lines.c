/*
 * See lines.h.
 */
#include "lines.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct lines lines_of(int descriptor, size_t most)
{
    return (struct lines){.descriptor = descriptor, .most = most};
}

/* Makes room behind the bytes that are there, for at least one more and a NUL. */
static bool make_room(struct lines *lines)
{
    enum { LEAST = 1 << 16 };
    if (lines->begin > 0) {
        memmove(lines->buffer, lines->buffer + lines->begin, lines->end - lines->begin);
        lines->end -= lines->begin;
        lines->begin = 0;
    }
    if (lines->end + 1 < lines->capacity)
        return true;
    size_t larger = lines->capacity == 0 ? LEAST : lines->capacity * 2;
    char *buffer = realloc(lines->buffer, larger);
    if (buffer == NULL)
        return false;
    lines->buffer = buffer;
    lines->capacity = larger;
    return true;
}

/* Reads more bytes. LINES_LINE says that some came, or that the end was met. */
static enum lines_result read_more(struct lines *lines, bool may_wait)
{
    if (!make_room(lines))
        return LINES_FAILED;
    struct pollfd ready = {.fd = lines->descriptor, .events = POLLIN};
    int n_ready = poll(&ready, 1, may_wait ? -1 : 0);
    if (n_ready == 0 || (n_ready < 0 && errno == EINTR))
        return LINES_LATER;
    ssize_t n =
        read(lines->descriptor, lines->buffer + lines->end, lines->capacity - 1 - lines->end);
    if (n < 0)
        return errno == EINTR || errno == EAGAIN ? LINES_LATER : LINES_FAILED;
    lines->is_at_end = n == 0;
    lines->end += (size_t)n;
    return LINES_LINE;
}

/* Gives `length` bytes, and goes over `n`. */
static char *give(struct lines *lines, size_t length, size_t n)
{
    char *line = lines->buffer + lines->begin;
    line[length] = '\0';
    lines->begin += n;
    lines->offset += n;
    lines->searched = 0;
    return line;
}

/* Gives what is there if it ends with a newline. */
static bool next_in_buffer(struct lines *lines, char **line, size_t *length)
{
    size_t held = lines->end - lines->begin;
    if (held == lines->searched)
        return false;
    char *newline =
        memchr(lines->buffer + lines->begin + lines->searched, '\n', held - lines->searched);
    lines->searched = held;
    if (newline == NULL)
        return false;
    *length = (size_t)(newline - (lines->buffer + lines->begin));
    *line = give(lines, *length, *length + 1);
    return true;
}

enum lines_result lines_next(struct lines *lines, bool may_wait, char **line, size_t *length)
{
    for (;;) {
        if (next_in_buffer(lines, line, length)) {
            lines->number++;
            bool is_too_long = lines->skips || *length > lines->most;
            lines->skips = false;
            return is_too_long ? LINES_TOO_LONG : LINES_LINE;
        }
        size_t held = lines->end - lines->begin;
        if (lines->is_at_end) {
            if (held == 0 && !lines->skips)
                return LINES_END;
            lines->number++;
            *length = held;
            *line = give(lines, held, held);
            bool is_too_long = lines->skips || held > lines->most;
            lines->skips = false;
            return is_too_long ? LINES_TOO_LONG : LINES_REST;
        }
        if (held > lines->most) {
            lines->skips = true;
            give(lines, 0, held);
        }
        enum lines_result result = read_more(lines, may_wait);
        if (result != LINES_LINE)
            return result;
    }
}

void lines_free(struct lines *lines)
{
    free(lines->buffer);
    *lines = (struct lines){0};
}
