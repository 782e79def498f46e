/*
 * Input files. See file.h.
 */
#include "base/file.h"

#include "base/status.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* The most that one read asks for; Linux itself stops a little below 2 GiB. */
#define LARGEST_READ ((size_t)1 << 30)

lckv_status file_fail(const char *path, const char *verb, int error)
{
    char buffer[256];
    ssize_t length = error == ENOENT ? readlink(path, buffer, sizeof buffer) : -1;
    if (length > 0)
        return fail(LCKV_IO, "%s: cannot %s: the symbolic link leads to %s, which does not exist",
                    path, verb, quoted(buffer, (size_t)length).text);
    return fail(LCKV_IO, "%s: cannot %s: %s", path, verb, strerror_r(error, buffer, sizeof buffer));
}

lckv_status file_open(struct file *file, const char *path)
{
    struct stat facts;
    file->name = path;
    file->descriptor = -1;
    file->length = 0;
    file->bytes = NULL;
    file->mapped = false;
    int descriptor;
    do { /* O_NONBLOCK: the open of a named pipe must not wait for its writer */
        descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    } while (descriptor < 0 && errno == EINTR);
    if (descriptor < 0)
        return file_fail(path, "open", errno);
    if (fstat(descriptor, &facts) != 0) {
        int error = errno;
        close(descriptor);
        return file_fail(path, "inspect", error);
    }
    if (!S_ISREG(facts.st_mode)) {
        close(descriptor);
        return fail(LCKV_IO, "%s: expected a regular file, found a %s", path,
                    S_ISDIR(facts.st_mode) ? "directory" : "pipe, socket or device");
    }
    file->descriptor = descriptor;
    file->length = (uint64_t)facts.st_size;
    return LCKV_OK;
}

void file_open_memory(struct file *file, const void *bytes, size_t length, const char *name)
{
    file->name = name;
    file->descriptor = -1;
    file->length = bytes != NULL ? length : 0;
    file->bytes = bytes != NULL ? bytes : (const uint8_t *)"";
    file->mapped = false;
}

lckv_status file_map(struct file *file)
{
    if (file->bytes != NULL)
        return LCKV_OK;
    if (file->length == 0) {
        file->bytes = (const uint8_t *)"";
        return LCKV_OK;
    }
    if (file->length > SIZE_MAX)
        return fail(LCKV_UNSUPPORTED, "%s: %llu bytes are more than this machine can address",
                    file->name, (unsigned long long)file->length);
    void *bytes = mmap(NULL, (size_t)file->length, PROT_READ, MAP_PRIVATE, file->descriptor, 0);
    if (bytes == MAP_FAILED)
        return file_fail(file->name, "map", errno);
    file->bytes = bytes;
    file->mapped = true;
    return LCKV_OK;
}

void file_unmap(struct file *file)
{
    if (file->mapped) {
        void *bytes;
        memcpy(&bytes, &file->bytes, sizeof bytes);
        munmap(bytes, (size_t)file->length);
    }
    if (file->mapped || file->descriptor >= 0)
        file->bytes = NULL;
    file->mapped = false;
}

void file_close_descriptor(struct file *file)
{
    if (file->descriptor >= 0)
        close(file->descriptor);
    file->descriptor = -1;
    if (!file->mapped) {
        file->length = 0;
        file->bytes = NULL;
    }
}

void file_close(struct file *file)
{
    file_unmap(file);
    file_close_descriptor(file);
}

lckv_status file_read(const struct file *file, uint64_t offset, void *buffer, size_t length)
{
    if (offset > file->length || length > file->length - offset)
        return fail(LCKV_BAD_FORMAT,
                    "%s: truncated: %zu bytes expected at byte %llu, the file has %llu", file->name,
                    length, (unsigned long long)offset, (unsigned long long)file->length);
    if (length == 0)
        return LCKV_OK;
    if (file->descriptor < 0) {
        memcpy(buffer, file->bytes + offset, length);
        return LCKV_OK;
    }
    size_t done = 0;
    while (done < length) {
        size_t piece = length - done < LARGEST_READ ? length - done : LARGEST_READ;
        ssize_t got = pread(file->descriptor, (char *)buffer + done, piece, (off_t)(offset + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return file_fail(file->name, "read", errno);
        if (got == 0)
            return fail(LCKV_BAD_FORMAT,
                        "%s: truncated at byte %llu while it was read, expected %llu bytes",
                        file->name, (unsigned long long)(offset + done),
                        (unsigned long long)file->length);
        done += (size_t)got;
    }
    return LCKV_OK;
}

lckv_status file_read_all(const char *path, size_t limit, const lckv_allocator *allocator,
                          char **text, size_t *length)
{
    struct file file;
    lckv_status status = file_open(&file, path);
    if (status != LCKV_OK)
        return status;
    if (file.length > limit || file.length >= SIZE_MAX) {
        status = fail(LCKV_BAD_FORMAT, "%s: %llu bytes, expected at most %zu", path,
                      (unsigned long long)file.length, limit);
        file_close(&file);
        return status;
    }
    size_t size = (size_t)file.length;
    char *memory = NULL;
    status = memory_alloc(allocator, size + 1, 1, path, &memory);
    if (status == LCKV_OK)
        status = file_read(&file, 0, memory, size);
    file_close(&file);
    if (status != LCKV_OK) {
        memory_free(allocator, memory, size + 1, 1);
        return status;
    }
    *text = memory;
    *length = size;
    return LCKV_OK;
}
