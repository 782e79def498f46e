/*
 * Reads the texts of a Hugging Face model directory whole, without looking into them.
 */
#include "format/hf_directory.h"

#include "base/status.h"
#include "format/json.h"

#include <string.h>
#include <unistd.h>

lckv_status hf_directory_path(struct checkpoint *checkpoint, const char *directory,
                              const char *name, const char **path)
{
    size_t length = strlen(directory);
    while (length > 1 && directory[length - 1] == '/')
        length--;
    size_t name_length = strlen(name);
    char *joined = NULL;
    lckv_status status =
        arena_alloc(&checkpoint->arena, length + name_length + 2, 1, "a path", &joined);
    if (status != LCKV_OK)
        return status;
    memcpy(joined, directory, length);
    joined[length] = '/';
    memcpy(joined + length + 1, name, name_length + 1);
    *path = joined;
    return LCKV_OK;
}

bool hf_directory_has(const char *path)
{
    return access(path, F_OK) == 0;
}

/* Leaves `text` alone if there is no such file. */
static lckv_status read_text(struct checkpoint *checkpoint, const char *directory, const char *name,
                             struct text *text)
{
    const char *path;
    lckv_status status = hf_directory_path(checkpoint, directory, name, &path);
    if (status != LCKV_OK || !hf_directory_has(path))
        return status;
    char *bytes = NULL;
    size_t length = 0;
    status = file_read_all(path, JSON_MAX_BYTES, &checkpoint->arena.allocator, &bytes, &length);
    if (status != LCKV_OK)
        return status;
    status = arena_copy(&checkpoint->arena, bytes, length, &text->bytes);
    memory_free(&checkpoint->arena.allocator, bytes, length + 1, 1);
    if (status == LCKV_OK)
        text->length = length;
    return status;
}

lckv_status hf_directory_read_texts(struct checkpoint *checkpoint, const char *directory)
{
    lckv_status status = read_text(checkpoint, directory, "config.json", &checkpoint->config);
    if (status == LCKV_OK && checkpoint->config.bytes == NULL)
        status = fail(LCKV_IO, "no config.json in %s, expected a Hugging Face model directory",
                      directory);
    if (status == LCKV_OK)
        status = read_text(checkpoint, directory, "tokenizer.json", &checkpoint->tokenizer);
    if (status == LCKV_OK)
        status = read_text(checkpoint, directory, "tokenizer_config.json",
                           &checkpoint->tokenizer_config);
    return status;
}
