/*
 * A reader of golden files for tests, independent of the library's: the arrays of one safetensors
 * file, and of its metadata `split` and `same.NAME` (the array that array NAME equals, so that it
 * is not stored again). Trusts its input.
 */
#ifndef LCKV_TESTS_SAFETENSORS_H
#define LCKV_TESTS_SAFETENSORS_H

#include <check.h>
#include <jansson.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "folder.h"

#define SAFETENSORS_MAX_ARRAYS 64

struct safetensors_array {
    char name[64];
    const void *data;
    size_t n_elements; /* of four bytes */
};

struct safetensors {
    char *bytes;
    struct safetensors_array arrays[SAFETENSORS_MAX_ARRAYS];
    size_t n_arrays;
    json_t *header;
    long split;
};

static inline void safetensors_open(struct safetensors *file, const char *path)
{
    memset(file, 0, sizeof *file);
    file->bytes = read_whole(path, NULL);
    uint64_t header;
    memcpy(&header, file->bytes, sizeof header);
    json_t *root = json_loadb(file->bytes + 8, header, 0, NULL), *value;
    ck_assert_ptr_nonnull(root);
    file->header = root;
    const char *name;
    json_object_foreach(root, name, value)
    {
        if (strcmp(name, "__metadata__") == 0) {
            const char *split = json_string_value(json_object_get(value, "split"));
            file->split = split != NULL ? strtol(split, NULL, 10) : 0;
            continue;
        }
        struct safetensors_array *array = &file->arrays[file->n_arrays++];
        json_t *offsets = json_object_get(value, "data_offsets");
        size_t begin = (size_t)json_integer_value(json_array_get(offsets, 0));
        size_t end = (size_t)json_integer_value(json_array_get(offsets, 1));
        snprintf(array->name, sizeof array->name, "%s", name);
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
    json_t *same = json_object_get(json_object_get(file->header, "__metadata__"), key);
    ck_assert_msg(same != NULL, "no array %s", name);
    return safetensors_find(file, json_string_value(same));
}

static inline void safetensors_close(struct safetensors *file)
{
    json_decref(file->header);
    free(file->bytes);
}

#endif
