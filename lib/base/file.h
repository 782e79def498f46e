/*
 * Input files are opened read-only, read in pieces, and mapped where packed weights are used where
 * they are; output files replace the old one only when complete. Memory counts as a file, too.
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
 * LCKV_IO, "<path>: cannot <verb>: <the system's reason>"; a symbolic link that leads nowhere is
 * called so.
 */
CHECKED lckv_status file_fail(const char *path, const char *verb, int error);

/* Regular files only (LCKV_IO otherwise). `path` must outlive the file. */
CHECKED lckv_status file_open(struct file *file, const char *path);
void file_open_memory(struct file *file, const void *bytes, size_t length, const char *name);

/*
 * Maps the whole file read-only into file->bytes; nothing to do for memory. Empty files map as "".
 */
CHECKED lckv_status file_map(struct file *file);
void file_unmap(struct file *file);
void file_close(struct file *file);

/* A mapping stays until file_unmap or file_close; nothing else can be read any more. */
void file_close_descriptor(struct file *file);

/*
 * Reads exactly `length` bytes at `offset` into `buffer`, with read(2), never through the mapping,
 * so that weights do not count twice as resident. LCKV_BAD_FORMAT if the file ends before.
 */
CHECKED lckv_status file_read(const struct file *file, uint64_t offset, void *buffer,
                              size_t length);

/* A whole small file into memory of `allocator` (with a NUL behind it); at most `limit` bytes. */
CHECKED lckv_status file_read_all(const char *path, size_t limit, const lckv_allocator *allocator,
                                  char **text, size_t *length);

/*
 * A file being written under a temporary name beside the one that it will replace. Symbolic links
 * in `path` stay, and the file that they lead to is replaced. The new file has the permissions of
 * the old one; where there was none, those of the umask.
 */
struct output {
    const char *path; /* as given, for messages; not owned; must outlive the output */
    char *target;     /* the same with links followed */
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
