/*
 * See output_file.h.
 */
#include "output_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Opens the first temporary name that is free. A crashed process may have left files behind. */
static FILE *open_temporary(const char *path, mode_t mode, char *temporary, size_t capacity)
{
    enum { NAMES_TRIED = 100 };
    int descriptor = -1;
    for (int n = 0; n < NAMES_TRIED; n++) {
        snprintf(temporary, capacity, "%s.tmp-%ld-%d", path, (long)getpid(), n);
        descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
        if (descriptor >= 0 || errno != EEXIST)
            break;
    }
    FILE *stream = descriptor >= 0 ? fdopen(descriptor, "wb") : NULL;
    if (descriptor >= 0 && stream == NULL) {
        close(descriptor);
        unlink(temporary);
        errno = ENOMEM;
    }
    return stream;
}

bool output_file_open(struct output_file *output, const char *path)
{
    enum { SUFFIX = 48 };
    struct stat facts;
    mode_t mode = 0666;
    *output = (struct output_file){.path = path};
    bool exists = lstat(path, &facts) == 0;
    if (exists && !S_ISREG(facts.st_mode)) {
        output->stream = fopen(path, "wb");
        return output->stream != NULL;
    }
    if (exists)
        mode = facts.st_mode & 0777;
    size_t capacity = strlen(path) + SUFFIX;
    output->temporary = malloc(capacity);
    if (output->temporary == NULL)
        return false;
    output->stream = open_temporary(path, mode, output->temporary, capacity);
    if (output->stream != NULL && exists && fchmod(fileno(output->stream), mode) != 0) {
        int error = errno;
        output_file_discard(output);
        errno = error;
        return false;
    }
    if (output->stream == NULL) {
        free(output->temporary);
        output->temporary = NULL;
    }
    return output->stream != NULL;
}

bool output_file_commit(struct output_file *output)
{
    bool ok = !ferror(output->stream) && fflush(output->stream) == 0;
    if (ok && output->temporary != NULL)
        ok = fsync(fileno(output->stream)) == 0;
    int error = errno;
    if (fclose(output->stream) != 0 && ok) {
        ok = false;
        error = errno;
    }
    output->stream = NULL;
    if (ok && output->temporary != NULL && rename(output->temporary, output->path) != 0) {
        ok = false;
        error = errno;
    }
    if (!ok)
        output_file_discard(output);
    free(output->temporary);
    output->temporary = NULL;
    errno = error;
    return ok;
}

void output_file_discard(struct output_file *output)
{
    if (output->stream != NULL)
        fclose(output->stream);
    if (output->temporary != NULL)
        unlink(output->temporary);
    free(output->temporary);
    *output = (struct output_file){.path = output->path};
}
