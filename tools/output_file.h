/*
 * A file that a subcommand writes. A new or a regular file appears only when all of it has been
 * written, with the permissions of the one that it replaces. If the name is that of anything else
 * (a device, a pipe, a link), that is written to directly, and never removed.
 */
#ifndef TOOLS_OUTPUT_FILE_H
#define TOOLS_OUTPUT_FILE_H

#include <stdbool.h>
#include <stdio.h>

struct output_file {
    FILE *stream;
    const char *path;
    char *temporary; /* beside `path`; NULL: `path` is written to directly */
};

/* If this or the next function returns false, `errno` tells why. */
bool output_file_open(struct output_file *output, const char *path);

/* Closes the stream and puts the file into place, or discards it if that fails. */
bool output_file_commit(struct output_file *output);

/* Leaves what was there before. */
void output_file_discard(struct output_file *output);

#endif
