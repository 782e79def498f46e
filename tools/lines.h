/*
 * Reads a file line by line, in the memory of its longest line or of a limit for lines. What comes
 * from a pipe can be asked for without waiting.
 */
#ifndef TOOLS_LINES_H
#define TOOLS_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lines {
    int descriptor;
    size_t most;  /* bytes of a line */
    char *buffer; /* from malloc */
    size_t capacity;
    size_t begin, end; /* what was read and not given */
    size_t searched;   /* of that, how much has no newline */
    bool is_at_end;
    bool skips;      /* the line at hand is too long; nothing is kept of it */
    uint64_t number; /* of the line that was given last, from 1 */
    uint64_t offset; /* in the file, of the byte behind that line */
};

enum lines_result {
    LINES_LINE,     /* the line, without its newline */
    LINES_TOO_LONG, /* the line was longer than `most`, and is skipped */
    LINES_REST,     /* what stands behind the last newline, if anything does */
    LINES_END,
    LINES_LATER, /* nothing is there now, or a signal came */
    LINES_FAILED /* `errno` tells why */
};

struct lines lines_of(int descriptor, size_t most);

/*
 * The next line. It may be changed, and has a NUL behind it; it is valid until the next call. Waits
 * for it only if `may_wait`.
 */
enum lines_result lines_next(struct lines *lines, bool may_wait, char **line, size_t *length);

void lines_free(struct lines *lines);

#endif
