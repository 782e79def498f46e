/*
 * A file that a subcommand writes. A new or a regular file appears, whole, only when all of it has
 * been written, with the permissions of the one that it replaces; what else has the name (a device, a pipe, a link) is written to as it stands, and
 * never removed.
 */
#ifndef TOOLS_OUTPUT_FILE_H
#define TOOLS_OUTPUT_FILE_H

#include <stdbool.h>
#include <stdio.h>

struct output_file {
    FILE *stream;
    const char *path;
    char *temporary; /* beside `path`; NULL: written to directly */
};

/* False, here and below: `errno` tells why. */
bool output_file_open(struct output_file *output, const char *path);

/* Closes the stream and puts the file into place, or discards it if that fails. */
bool output_file_commit(struct output_file *output);

/* Leaves what was there before. */
void output_file_discard(struct output_file *output);

#endif
