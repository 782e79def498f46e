/*
 * Output files that replace the old one only when they are complete. See file.h.
 */
#include "base/file.h"
#include "base/status.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SUFFIX_SIZE 48 /* ".tmp-<pid>-<n>" and its NUL */
#define NAMES_TRIED 100
#define LINKS_FOLLOWED 40 /* the limit of Linux itself */

/* `target` and, behind it, `temporary` share one allocation. */
#define NAMES_BYTES ((size_t)2 * PATH_MAX + SUFFIX_SIZE)

static void forget(struct output *output)
{
    memory_free(&output->allocator, output->target, NAMES_BYTES, 1);
    output->target = NULL;
    output->temporary = NULL;
    output->descriptor = -1;
}

/* Follows the links of output->path to output->target, which need not exist. */
static lckv_status follow_links(struct output *output)
{
    char *target = output->target, *link = output->temporary; /* its memory is still unused */
    size_t length = strlen(output->path);
    if (length >= PATH_MAX)
        return file_fail(output->path, "write", ENAMETOOLONG);
    memcpy(target, output->path, length + 1);
    for (int i = 0; i < LINKS_FOLLOWED; i++) {
        ssize_t link_length = readlink(target, link, PATH_MAX - 1);
        if (link_length < 0)
            return LCKV_OK;
        link[link_length] = '\0';
        /* A link is relative to the directory that it is in. */
        char *slash = link[0] == '/' ? NULL : strrchr(target, '/');
        size_t directory = slash == NULL ? 0 : (size_t)(slash - target) + 1;
        if (directory + (size_t)link_length >= PATH_MAX)
            return file_fail(output->path, "write", ENAMETOOLONG);
        memcpy(target + directory, link, (size_t)link_length + 1);
    }
    return file_fail(output->path, "write", ELOOP);
}

/* Opens the first temporary name that is free. A crashed process may have left files behind. */
static int open_temporary(struct output *output, mode_t mode)
{
    size_t length = strlen(output->target);
    memcpy(output->temporary, output->target, length);
    int descriptor = -1;
    for (int n = 0; n < NAMES_TRIED; n++) {
        snprintf(output->temporary + length, SUFFIX_SIZE, ".tmp-%ld-%d", (long)getpid(), n);
        do {
            descriptor = open(output->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
        } while (descriptor < 0 && errno == EINTR);
        if (descriptor >= 0 || errno != EEXIST)
            break;
    }
    return descriptor;
}

/* Creates the temporary file and gives it the permissions of the old one while it is empty. */
static lckv_status create(struct output *output, const struct stat *old)
{
    mode_t mode = old != NULL ? old->st_mode & 0777 : 0666;
    output->descriptor = open_temporary(output, mode);
    if (output->descriptor < 0)
        return file_fail(output->path, "create a file beside it", errno);
    if (old != NULL && fchmod(output->descriptor, mode) != 0) {
        lckv_status status = file_fail(output->path, "keep its permissions", errno);
        close(output->descriptor);
        unlink(output->temporary);
        return status;
    }
    return LCKV_OK;
}

lckv_status output_open(struct output *output, const char *path, const lckv_allocator *allocator)
{
    struct stat facts;
    output->path = path;
    output->target = NULL;
    output->temporary = NULL;
    output->descriptor = -1;
    output->position = 0;
    output->allocator = *allocator;
    bool exists = stat(path, &facts) == 0;
    /* A rename over /dev/null would replace the device. */
    if (exists && !S_ISREG(facts.st_mode))
        return fail(LCKV_IO, "%s: cannot write: it exists and is no regular file", path);
    lckv_status status = memory_alloc(allocator, NAMES_BYTES, 1, "a file name", &output->target);
    if (status != LCKV_OK)
        return status;
    output->temporary = output->target + PATH_MAX;
    status = follow_links(output);
    if (status == LCKV_OK)
        status = create(output, exists ? &facts : NULL);
    if (status != LCKV_OK)
        forget(output);
    return status;
}

lckv_status output_write(struct output *output, const void *bytes, size_t length)
{
    const size_t largest_write = (size_t)1 << 30;
    size_t done = 0;
    while (done < length) {
        size_t piece = length - done < largest_write ? length - done : largest_write;
        ssize_t put = write(output->descriptor, (const char *)bytes + done, piece);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return file_fail(output->path, "write", put < 0 ? errno : ENOSPC);
        done += (size_t)put;
        output->position += (size_t)put;
    }
    return LCKV_OK;
}

lckv_status output_pad(struct output *output, uint32_t alignment)
{
    static const char zeros[256];
    uint64_t beyond = alignment > 0 ? output->position % alignment : 0;
    uint64_t left = beyond > 0 ? alignment - beyond : 0;
    while (left > 0) {
        size_t piece = left < sizeof zeros ? (size_t)left : sizeof zeros;
        lckv_status status = output_write(output, zeros, piece);
        if (status != LCKV_OK)
            return status;
        left -= piece;
    }
    return LCKV_OK;
}

lckv_status output_commit(struct output *output)
{
    lckv_status status = LCKV_OK;
    if (fsync(output->descriptor) != 0)
        status = file_fail(output->path, "write to disk", errno);
    /* Network file systems report a full disk only here. */
    if (close(output->descriptor) != 0 && status == LCKV_OK)
        status = file_fail(output->path, "close", errno);
    output->descriptor = -1;
    if (status == LCKV_OK && rename(output->temporary, output->target) != 0)
        status = file_fail(output->path, "replace", errno);
    if (status != LCKV_OK)
        unlink(output->temporary);
    forget(output);
    return status;
}

void output_discard(struct output *output)
{
    if (output->temporary == NULL)
        return;
    close(output->descriptor);
    unlink(output->temporary);
    forget(output);
}
