/*
 * Input files past the page cache. See direct_file.h.
 */
#include "base/direct_file.h"

#include "base/status.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

static int open_with(const char *path, int flags)
{
    int descriptor;
    do { /* O_NONBLOCK: the open of a named pipe must not wait for its writer */
        descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | flags);
    } while (descriptor < 0 && errno == EINTR);
    return descriptor;
}

lckv_status direct_file_open(struct direct_file *file, const struct file *same)
{
    struct stat opened, expected;
    *file = (struct direct_file){.name = same->name, .descriptor = open_with(same->name, O_DIRECT)};
    atomic_init(&file->direct, file->descriptor >= 0);
    if (file->descriptor < 0 && errno == EINVAL)
        file->descriptor = open_with(same->name, 0);
    if (file->descriptor < 0)
        return file_fail(same->name, "open", errno);
    lckv_status status = LCKV_OK;
    if (fstat(file->descriptor, &opened) != 0 || fstat(same->descriptor, &expected) != 0)
        status = file_fail(same->name, "inspect", errno);
    else if (opened.st_dev != expected.st_dev || opened.st_ino != expected.st_ino)
        status = fail(LCKV_IO, "%s: another file took its place while it was opened; try again",
                      same->name);
    if (status != LCKV_OK)
        direct_file_close(file);
    return status;
}

void direct_file_close(struct direct_file *file)
{
    if (file->descriptor >= 0)
        close(file->descriptor);
    file->descriptor = -1;
}

/* Reads through the page cache from now on. */
static void stop_direct(struct direct_file *file)
{
    int flags = fcntl(file->descriptor, F_GETFL);
    if (flags >= 0)
        fcntl(file->descriptor, F_SETFL, flags & ~O_DIRECT);
    atomic_store(&file->direct, false);
}

lckv_status direct_file_read(struct direct_file *file, uint64_t offset, uint8_t *buffer,
                             size_t length, size_t needed)
{
    size_t done = 0;
    while (done < needed) {
        const bool direct = atomic_load(&file->direct);
        ssize_t got = pread(file->descriptor, buffer + done, length - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR)
            continue;
        /* Some file systems refuse direct reads only when they come. */
        if (got < 0 && errno == EINVAL && direct) {
            stop_direct(file);
            continue;
        }
        if (got < 0)
            return file_fail(file->name, "read", errno);
        done += (size_t)got;
        /* A direct read ends between two blocks only where the file ends. */
        if (done < needed && (got == 0 || (direct && done % DIRECT_ALIGNMENT != 0)))
            return fail(LCKV_IO, "%s: ends before byte %llu now; it was longer when it was opened",
                        file->name, (unsigned long long)(offset + needed));
    }
    if (!atomic_load(&file->direct))
        posix_fadvise(file->descriptor, (off_t)offset, (off_t)length, POSIX_FADV_DONTNEED);
    return LCKV_OK;
}
