/*
 * Output files that replace the old one only when they are complete. See file.h.
 */
#include "base/file.h"
#include "base/status.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SUFFIX_SIZE 48 /* ".tmp-<pid>-<n>" and its NUL */
#define NAMES_TRIED 100

static lckv_status fail_system(const char *path, const char *verb, int error)
{
    char buffer[128];
    return fail(LCKV_IO, "%s: cannot %s: %s", path, verb, strerror_r(error, buffer, sizeof buffer));
}

static void forget(struct output *output)
{
    memory_free(&output->allocator, output->temporary, output->temporary_size, 1);
    output->temporary = NULL;
    output->descriptor = -1;
}

/* Opens the first temporary name that is free; leftovers of a crashed process keep theirs. */
static int open_temporary(struct output *output)
{
    size_t length = strlen(output->path);
    memcpy(output->temporary, output->path, length);
    int descriptor = -1;
    for (int n = 0; n < NAMES_TRIED; n++) {
        snprintf(output->temporary + length, SUFFIX_SIZE, ".tmp-%ld-%d", (long)getpid(), n);
        do {
            descriptor = open(output->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        } while (descriptor < 0 && errno == EINTR);
        if (descriptor >= 0 || errno != EEXIST)
            break;
    }
    return descriptor;
}

lckv_status output_open(struct output *output, const char *path, const lckv_allocator *allocator)
{
    struct stat facts;
    output->path = path;
    output->temporary = NULL;
    output->temporary_size = 0;
    output->descriptor = -1;
    output->position = 0;
    output->allocator = *allocator;
    /* A rename over /dev/null would replace the device. */
    if (stat(path, &facts) == 0 && !S_ISREG(facts.st_mode))
        return fail(LCKV_IO, "%s: cannot write: it exists and is no regular file", path);
    size_t size;
    if (!checked_add(strlen(path), SUFFIX_SIZE, &size))
        return fail(LCKV_INVALID_ARGUMENT, "output path: too long");
    lckv_status status = memory_alloc(allocator, size, 1, "a file name", &output->temporary);
    if (status != LCKV_OK)
        return status;
    output->temporary_size = size;
    output->descriptor = open_temporary(output);
    if (output->descriptor < 0) {
        status = fail_system(output->temporary, "create", errno);
        forget(output);
    }
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
            return fail_system(output->temporary, "write", put < 0 ? errno : ENOSPC);
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
        status = fail_system(output->temporary, "write to disk", errno);
    /* Network file systems report a full disk only here. */
    if (close(output->descriptor) != 0 && status == LCKV_OK)
        status = fail_system(output->temporary, "close", errno);
    output->descriptor = -1;
    if (status == LCKV_OK && rename(output->temporary, output->path) != 0)
        status = fail_system(output->path, "replace", errno);
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
