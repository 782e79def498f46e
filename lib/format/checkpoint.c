/*
 * Opens checkpoints of any kind and reads tensor data from them. The containers themselves are
 * gguf.c's and safetensors.c's.
 */
#include "format/checkpoint.h"

#include "base/status.h"
#include "base/text.h"
#include "format/gguf.h"
#include "format/safetensors.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#define SAFETENSORS_SUFFIX ".safetensors"

static lckv_status start(struct checkpoint *checkpoint, const lckv_allocator *allocator,
                         const char *name)
{
    *checkpoint = (struct checkpoint){.kind = CHECKPOINT_GGUF};
    arena_init(&checkpoint->arena, allocator);
    metadata_init(&checkpoint->metadata, &checkpoint->arena);
    return arena_copy(&checkpoint->arena, name, strlen(name), &checkpoint->name);
}

/* A checkpoint that could not be opened holds nothing. */
static lckv_status finish(struct checkpoint *checkpoint, lckv_status status)
{
    if (status != LCKV_OK)
        checkpoint_close(checkpoint);
    return status;
}

static lckv_status add_file(struct checkpoint *checkpoint)
{
    return arena_alloc(&checkpoint->arena, 1, sizeof *checkpoint->files, "the checkpoint's files",
                       &checkpoint->files);
}

static lckv_status open_gguf(struct checkpoint *checkpoint)
{
    lckv_status status = add_file(checkpoint);
    if (status == LCKV_OK)
        status = file_open(&checkpoint->files[0], checkpoint->name);
    if (status != LCKV_OK)
        return status;
    checkpoint->n_files = 1;
    return gguf_read(checkpoint);
}

static bool has_suffix(const char *path, const char *suffix)
{
    size_t length = strlen(path);
    size_t suffix_length = strlen(suffix);
    return length >= suffix_length && strcmp(path + length - suffix_length, suffix) == 0;
}

/* The file that the caller named must be one of those that make up the model beside it. */
static lckv_status open_beside(struct checkpoint *checkpoint)
{
    const char *path = checkpoint->name;
    const char *slash = strrchr(path, '/');
    const char *name = slash == NULL ? path : slash + 1;
    const char *directory = ".";
    lckv_status status = LCKV_OK;
    if (slash != NULL)
        status = arena_copy(&checkpoint->arena, path, slash == path ? 1 : (size_t)(slash - path),
                            &directory);
    if (status == LCKV_OK)
        status = safetensors_read_directory(checkpoint, directory);
    if (status != LCKV_OK)
        return status;
    for (size_t i = 0; i < checkpoint->n_files; i++) {
        const char *file = checkpoint->files[i].name;
        if (strcmp(strrchr(file, '/') + 1, name) == 0)
            return LCKV_OK;
    }
    return fail(LCKV_BAD_FORMAT, "%s: not a file of the model in its directory", path);
}

/* What `path` is: a directory, a file of one, or a file by itself. */
static lckv_status open_path(struct checkpoint *checkpoint)
{
    const char *path = checkpoint->name;
    struct stat info;
    if (path[0] == '\0')
        return fail(LCKV_INVALID_ARGUMENT, "the path is empty; expected that of a model");
    if (stat(path, &info) != 0) {
        char reason[64];
        return fail(LCKV_IO, "%s: %s", path, strerror_r(errno, reason, sizeof reason));
    }
    if (S_ISDIR(info.st_mode)) {
        checkpoint->kind = CHECKPOINT_HF;
        return safetensors_read_directory(checkpoint, path);
    }
    if (has_suffix(path, SAFETENSORS_SUFFIX)) {
        checkpoint->kind = CHECKPOINT_HF;
        return open_beside(checkpoint);
    }
    return open_gguf(checkpoint);
}

lckv_status checkpoint_open(struct checkpoint *checkpoint, const char *path,
                            const lckv_allocator *allocator)
{
    lckv_status status = start(checkpoint, allocator, path);
    if (status == LCKV_OK)
        status = open_path(checkpoint);
    return finish(checkpoint, status);
}

lckv_status checkpoint_open_memory(struct checkpoint *checkpoint, const void *bytes, size_t length,
                                   const lckv_allocator *allocator)
{
    lckv_status status = start(checkpoint, allocator, "GGUF in memory");
    if (status == LCKV_OK)
        status = add_file(checkpoint);
    if (status == LCKV_OK) {
        file_open_memory(&checkpoint->files[0], bytes, length, checkpoint->name);
        checkpoint->n_files = 1;
        status = gguf_read(checkpoint);
    }
    return finish(checkpoint, status);
}

void checkpoint_close_files(struct checkpoint *checkpoint)
{
    for (size_t i = 0; i < checkpoint->n_files; i++)
        file_close_descriptor(&checkpoint->files[i]);
}

void checkpoint_close(struct checkpoint *checkpoint)
{
    for (size_t i = 0; i < checkpoint->n_files; i++)
        file_close(&checkpoint->files[i]);
    arena_release(&checkpoint->arena);
    *checkpoint = (struct checkpoint){.kind = CHECKPOINT_GGUF};
}

const struct tensor *checkpoint_find(const struct checkpoint *checkpoint, const char *name)
{
    struct text wanted = {name, strlen(name)};
    size_t low = 0;
    size_t high = checkpoint->n_tensors;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct tensor *tensor = &checkpoint->tensors[middle];
        int order = text_compare(wanted, tensor->name);
        if (order == 0)
            return tensor;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

lckv_status checkpoint_check(const struct checkpoint *checkpoint, const struct tensor *tensor)
{
    return tensor_check(tensor, checkpoint->files[tensor->file].name);
}

lckv_status checkpoint_read(const struct checkpoint *checkpoint, const struct tensor *tensor,
                            uint64_t begin, void *buffer, size_t length)
{
    struct quoted name = quoted(tensor->name.bytes, tensor->name.length);
    if (tensor->problem != NULL)
        return checkpoint_check(checkpoint, tensor);
    if (begin > tensor->n_bytes || length > tensor->n_bytes - begin)
        return fail(LCKV_INTERNAL, "tensor %s: a read of %zu bytes at %" PRIu64 " of %" PRIu64,
                    name.text, length, begin, tensor->n_bytes);
    lckv_status status =
        file_read(&checkpoint->files[tensor->file], tensor->offset + begin, buffer, length);
    return status == LCKV_OK ? LCKV_OK : fail_in(status, "tensor %s", name.text);
}

lckv_status checkpoint_map(struct checkpoint *checkpoint, const struct tensor *tensor,
                           const uint8_t **data)
{
    struct file *file = &checkpoint->files[tensor->file];
    *data = NULL;
    if (file->descriptor < 0)
        return LCKV_OK;
    lckv_status status = file_map(file);
    if (status == LCKV_OK)
        *data = file->bytes + tensor->offset;
    return status;
}
