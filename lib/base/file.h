/*
 * Input files are opened read-only and read in pieces, or mapped if their packed weights are used
 * in place. Output files replace the old ones only when they are complete. Bytes in memory can take
 * the place of an input file.
 */
#ifndef LCKV_BASE_FILE_H
#define LCKV_BASE_FILE_H

#include "base/checked.h"
#include "base/memory.h"

struct file {
    const char *name; /* for messages; not owned */
    int descriptor;   /* -1 for memory */
    uint64_t length;
    const uint8_t *bytes; /* the mapping, or the memory; NULL if not mapped */
    bool mapped;          /* bytes must be unmapped */
};

/*
 * LCKV_IO, "<path>: cannot <verb>: <the system's reason>". If the path is a symbolic link that
 * leads nowhere, the message says so.
 */
CHECKED lckv_status file_fail(const char *path, const char *verb, int error);

/* Regular files only (LCKV_IO otherwise). `path` must outlive the file. */
CHECKED lckv_status file_open(struct file *file, const char *path);
void file_open_memory(struct file *file, const void *bytes, size_t length, const char *name);

/*
 * Maps the whole file read-only into file->bytes, an empty file as "". Does nothing for memory.
 */
CHECKED lckv_status file_map(struct file *file);
void file_unmap(struct file *file);
void file_close(struct file *file);

/* Afterwards only a mapping can be read, until file_unmap or file_close. */
void file_close_descriptor(struct file *file);

/*
 * Reads exactly `length` bytes at `offset` into `buffer`, with read(2), never through the mapping,
 * so that weights do not count twice as resident. LCKV_BAD_FORMAT if the file ends earlier.
 */
CHECKED lckv_status file_read(const struct file *file, uint64_t offset, void *buffer,
                              size_t length);

/* Reads a small file of at most `limit` bytes into memory of `allocator`, with a NUL behind it. */
CHECKED lckv_status file_read_all(const char *path, size_t limit, const lckv_allocator *allocator,
                                  char **text, size_t *length);

/*
 * A file being written under a temporary name beside the one that it will replace. Symbolic links
 * in `path` stay, and the file that they lead to is replaced. The new file has the permissions of
 * the old one, or if there was none, those that the umask gives.
 */
struct output {
    const char *path; /* as given, for messages; not owned; must outlive the output */
    char *target;     /* the path with links followed */
    char *temporary;
    int descriptor;
    uint64_t position;
    lckv_allocator allocator;
};
CHECKED lckv_status output_open(struct output *output, const char *path,
                                const lckv_allocator *allocator);
CHECKED lckv_status output_write(struct output *output, const void *bytes, size_t length);
CHECKED lckv_status output_pad(struct output *output,
                               uint32_t alignment);       /* zeros up to a multiple of it */
CHECKED lckv_status output_commit(struct output *output); /* flushes, closes, replaces */
void output_discard(struct output *output); /* removes what was written; fine after a commit */

#endif
