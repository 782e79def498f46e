/*
 * An input file that is read past the system's page cache, for data larger than memory: what has
 * been read takes no memory but the caller's buffer. Where the file system refuses that (O_DIRECT),
 * reads go through the page cache, which is told to forget them at once.
 */
#ifndef LCKV_BASE_DIRECT_FILE_H
#define LCKV_BASE_DIRECT_FILE_H

#include "base/checked.h"
#include "base/file.h"

#define DIRECT_ALIGNMENT 4096 /* of offsets, lengths and buffers */

struct direct_file {
    const char *name; /* for messages; not owned */
    int descriptor;   /* -1: closed */
    _Atomic bool direct;
};

/*
 * Opens the file that `same` has open once more, by its name. LCKV_IO if another file has taken its
 * place.
 */
CHECKED lckv_status direct_file_open(struct direct_file *file, const struct file *same);
void direct_file_close(struct direct_file *file);

/*
 * Reads `length` bytes at `offset`, all of which are multiples of DIRECT_ALIGNMENT. The file may
 * end behind the first `needed` of them. LCKV_IO if it ends earlier. Several threads may read at
 * once.
 */
CHECKED lckv_status direct_file_read(struct direct_file *file, uint64_t offset, uint8_t *buffer,
                                     size_t length, size_t needed);

#endif
