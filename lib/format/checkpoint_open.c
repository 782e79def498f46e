/*
 * Opens checkpoints of any kind: gguf_parts.c reads GGUF files, hf_texts.c and hf_weights.c read
 * directories.
 */
#include "format/checkpoint_open.h"

#include "base/status.h"
#include "format/gguf.h"
#include "format/hf_texts.h"
#include "format/hf_weights.h"

#include <errno.h>
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

/* Empties a checkpoint that could not be opened. */
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

static lckv_status open_directory(struct checkpoint *checkpoint, const char *path)
{
    lckv_status status = hf_read_texts(checkpoint, path);
    if (status == LCKV_OK)
        status = checkpoint_without_weights(checkpoint, hf_read_weights(checkpoint, path));
    return status;
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
        status = open_directory(checkpoint, directory);
    if (status != LCKV_OK)
        return status;
    for (size_t i = 0; i < checkpoint->n_files; i++) {
        const char *file = checkpoint->files[i].name;
        if (strcmp(strrchr(file, '/') + 1, name) == 0)
            return LCKV_OK;
    }
    return fail(LCKV_BAD_FORMAT, "%s: not a file of the model in its directory", path);
}

/* Opens `path`: a directory, a file of one, or a file by itself. */
static lckv_status open_path(struct checkpoint *checkpoint)
{
    const char *path = checkpoint->name;
    struct stat info;
    if (path[0] == '\0')
        return fail(LCKV_INVALID_ARGUMENT, "the path is empty; expected that of a model");
    if (stat(path, &info) != 0)
        return file_fail(path, "open", errno);
    if (S_ISDIR(info.st_mode)) {
        checkpoint->kind = CHECKPOINT_HF;
        return open_directory(checkpoint, path);
    }
    if (has_suffix(path, SAFETENSORS_SUFFIX)) {
        checkpoint->kind = CHECKPOINT_HF;
        return open_beside(checkpoint);
    }
    if (has_suffix(path, ".json"))
        return fail(LCKV_INVALID_ARGUMENT,
                    "%s: is a JSON file; expected a GGUF file, or the directory of a Hugging Face "
                    "model, which such a file is in",
                    path);
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

lckv_status checkpoint_open_description(struct checkpoint *checkpoint, const char *path,
                                        const lckv_allocator *allocator)
{
    lckv_status status = start(checkpoint, allocator, path);
    checkpoint->weights_optional = true;
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
