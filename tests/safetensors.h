/*
 * A reader of golden files for tests, independent of the library's. It gives the arrays of one
 * safetensors file and, of its metadata, `split` and `same.NAME`: the array that NAME equals, so
 * that it is not stored again. It trusts its input.
 */
#ifndef LCKV_TESTS_SAFETENSORS_H
#define LCKV_TESTS_SAFETENSORS_H

#include <check.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "folder.h"
#include "json.h"

#define SAFETENSORS_MAX_ARRAYS 128

struct safetensors_array {
    char name[64];
    const void *data;
    size_t n_elements; /* of four bytes */
};

struct safetensors {
    char *bytes;
    struct safetensors_array arrays[SAFETENSORS_MAX_ARRAYS];
    size_t n_arrays;
    char *header;
    long split;
};

static inline void safetensors_open(struct safetensors *file, const char *path)
{
    memset(file, 0, sizeof *file);
    file->bytes = read_whole(path, NULL);
    uint64_t header;
    memcpy(&header, file->bytes, sizeof header);
    file->header = strndup(file->bytes + 8, header);
    ck_assert_ptr_nonnull(file->header);
    for (const char *name = json_first(file->header); name != NULL; name = json_next_name(name)) {
        if (json_is_text(name, "__metadata__")) {
            const char *split = json_get(json_value(name), "split");
            file->split = split != NULL ? strtol(split + 1, NULL, 10) : 0;
            continue;
        }
        struct safetensors_array *array = &file->arrays[file->n_arrays++];
        const char *offsets = json_first(json_get(json_value(name), "data_offsets"));
        size_t begin = (size_t)json_long(offsets), end = (size_t)json_long(json_next(offsets));
        char *text = json_string(name, NULL);
        snprintf(array->name, sizeof array->name, "%s", text);
        free(text);
        array->data = file->bytes + 8 + header + begin;
        array->n_elements = (end - begin) / 4;
    }
}

static inline const struct safetensors_array *safetensors_find(const struct safetensors *file,
                                                               const char *name)
{
    for (size_t i = 0; i < file->n_arrays; i++) {
        if (strcmp(file->arrays[i].name, name) == 0)
            return &file->arrays[i];
    }
    char key[80];
    snprintf(key, sizeof key, "same.%s", name);
    const char *same = json_get(json_get(file->header, "__metadata__"), key);
    ck_assert_msg(same != NULL, "no array %s", name);
    char *text = json_string(same, NULL);
    const struct safetensors_array *array = safetensors_find(file, text);
    free(text);
    return array;
}

static inline void safetensors_close(struct safetensors *file)
{
    free(file->header);
    free(file->bytes);
}

#endif
