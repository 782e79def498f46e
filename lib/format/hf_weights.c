/*
 * Finds the files of weights in a Hugging Face directory. safetensors_file.c reads each of them.
 * See hf_weights.h.
 */
#include "format/hf_weights.h"

#include "base/status.h"
#include "format/hf_texts.h"
#include "format/json.h"
#include "format/safetensors_file.h"
#include "format/stand_in.h"
#include "format/tensor_table.h"

#include <string.h>

#define SINGLE_NAME "model.safetensors"
#define INDEX_NAME "model.safetensors.index.json"
#define SUFFIX ".safetensors"

/*
 * Opens the files at these paths and reads their headers, then puts the tensors of all files into
 * one array.
 */
static lckv_status read_files(struct checkpoint *checkpoint, const char *const *paths,
                              size_t n_paths)
{
    struct safetensors_header *headers = NULL;
    const lckv_allocator *allocator = &checkpoint->arena.allocator;
    lckv_status status = arena_alloc(&checkpoint->arena, n_paths, sizeof *checkpoint->files,
                                     "the checkpoint's files", &checkpoint->files);
    if (status == LCKV_OK)
        status = memory_alloc(allocator, n_paths, sizeof *headers, "safetensors headers", &headers);
    if (status != LCKV_OK)
        return status;

    size_t n_tensors = 0;
    for (size_t i = 0; i < n_paths && status == LCKV_OK; i++) {
        status = file_open(&checkpoint->files[i], paths[i]);
        if (status != LCKV_OK)
            break;
        checkpoint->n_files++;
        status = safetensors_header_read(&headers[i], &checkpoint->files[i], allocator);
        n_tensors += headers[i].n_tensors;
    }
    if (status == LCKV_OK && n_tensors > HF_MAX_TENSORS)
        status = fail(LCKV_BAD_FORMAT, "%s: %zu tensors, expected at most %d", checkpoint->name,
                      n_tensors, HF_MAX_TENSORS);
    if (status == LCKV_OK && n_tensors > 0)
        status = arena_alloc(&checkpoint->arena, n_tensors, sizeof *checkpoint->tensors,
                             "the checkpoint's tensors", &checkpoint->tensors);
    for (size_t i = 0; i < n_paths && status == LCKV_OK; i++)
        status = safetensors_header_add(&headers[i], checkpoint, (uint32_t)i);
    for (size_t i = 0; i < n_paths; i++)
        safetensors_header_release(&headers[i]);
    memory_free(allocator, headers, n_paths, sizeof *headers);
    return status == LCKV_OK ? tensor_table_finish(checkpoint) : status;
}

/* ---- The index ---- */

/*
 * The shards that an index names, each once, in the order of the index. The shards themselves say
 * which tensors they hold; what the index says about that is not used.
 */
struct shards {
    const char *index; /* the index file's path */
    struct table names;
    const char *paths[HF_MAX_SHARDS];
    size_t count;
};

static bool is_shard_name(struct text name)
{
    size_t suffix = sizeof SUFFIX - 1;
    return name.length > suffix && memchr(name.bytes, '/', name.length) == NULL &&
           memchr(name.bytes, '\0', name.length) == NULL &&
           memcmp(name.bytes + name.length - suffix, SUFFIX, suffix) == 0;
}

static lckv_status collect_shards(struct checkpoint *checkpoint, const char *directory,
                                  const struct json_value *weight_map, struct shards *shards)
{
    lckv_status status =
        table_init(&shards->names, &checkpoint->arena, HF_MAX_SHARDS, "the names of shards");
    for (const struct json_value *value = json_first(weight_map);
         status == LCKV_OK && value != NULL; value = json_next(weight_map, value)) {
        struct text name = json_text(value), tensor = json_name(value);
        struct quoted quoted_tensor = quoted(tensor.bytes, tensor.length);
        if (!json_is(value, JSON_STRING))
            return fail(LCKV_BAD_FORMAT, "%s: weight_map: %s: expected a string", shards->index,
                        quoted_tensor.text);
        if (!is_shard_name(name))
            return fail(LCKV_BAD_FORMAT,
                        "%s: weight_map: %s: %s, expected the plain name of a " SUFFIX " file",
                        shards->index, quoted_tensor.text, quoted(name.bytes, name.length).text);
        uint32_t known;
        if (table_find(&shards->names, name.bytes, name.length, &known))
            continue;
        if (shards->count == HF_MAX_SHARDS)
            return fail(LCKV_BAD_FORMAT, "%s: weight_map: more than %d files", shards->index,
                        HF_MAX_SHARDS);
        bool added;
        status = table_add(&shards->names, name.bytes, name.length, 0, &added);
        if (status == LCKV_OK)
            status = hf_path(checkpoint, directory, name.bytes, &shards->paths[shards->count]);
        shards->count++;
    }
    if (status != LCKV_OK)
        return fail_in(status, "%s", shards->index);
    if (shards->count == 0)
        return fail(LCKV_BAD_FORMAT, "%s: weight_map is empty", shards->index);
    return LCKV_OK;
}

static lckv_status read_shards(struct checkpoint *checkpoint, const char *directory,
                               const struct json_value *index, struct shards *shards)
{
    const struct json_value *weight_map = NULL;
    lckv_status status = json_get_object(index, shards->index, "weight_map", &weight_map);
    if (status == LCKV_OK && weight_map == NULL)
        status = fail(LCKV_BAD_FORMAT, "%s: no weight_map", shards->index);
    if (status == LCKV_OK && json_count(weight_map) > HF_MAX_TENSORS)
        status = fail(LCKV_BAD_FORMAT, "%s: weight_map: more than %d tensors", shards->index,
                      HF_MAX_TENSORS);
    if (status == LCKV_OK)
        status = collect_shards(checkpoint, directory, weight_map, shards);
    if (status == LCKV_OK)
        status = read_files(checkpoint, shards->paths, shards->count);
    return status;
}

static lckv_status read_index(struct checkpoint *checkpoint, const char *directory,
                              const char *index_path)
{
    const lckv_allocator *allocator = &checkpoint->arena.allocator;
    char *text = NULL;
    size_t length = 0;
    lckv_status status = file_read_all(index_path, JSON_MAX_BYTES, allocator, &text, &length);
    if (status != LCKV_OK)
        return status;
    struct json_document index = {.root = NULL};
    struct shards *shards = NULL;
    status = stand_in_refuse_text(index_path, text, length);
    if (status == LCKV_OK)
        status = json_parse(text, length, index_path, allocator, &index);
    memory_free(allocator, text, length + 1, 1);
    if (status == LCKV_OK)
        status = memory_alloc(allocator, 1, sizeof *shards, "the list of shards", &shards);
    if (status == LCKV_OK) {
        shards->index = index_path;
        status = read_shards(checkpoint, directory, index.root, shards);
    }
    memory_free(allocator, shards, 1, sizeof *shards);
    json_release(&index);
    return status;
}

/* ---- The directory ---- */

/* Fails, and names the weights of another kind that are there instead of safetensors. */
static lckv_status fail_without_weights(struct checkpoint *checkpoint, const char *directory)
{
    static const char *const pytorch[] = {"pytorch_model.bin", "pytorch_model.bin.index.json"};
    const char *path = NULL;
    for (size_t i = 0; i < sizeof pytorch / sizeof pytorch[0]; i++) {
        lckv_status status = hf_path(checkpoint, directory, pytorch[i], &path);
        if (status != LCKV_OK)
            return status;
        if (hf_has(path))
            return fail(LCKV_UNSUPPORTED,
                        "%s has its weights in %s only, which lckv does not read: save them as "
                        "safetensors (transformers: save_pretrained)",
                        directory, pytorch[i]);
    }
    return fail(LCKV_IO, "neither " SINGLE_NAME " nor " INDEX_NAME " in %s", directory);
}

lckv_status hf_read_weights(struct checkpoint *checkpoint, const char *path)
{
    const char *single = NULL;
    const char *index = NULL;
    lckv_status status = hf_path(checkpoint, path, SINGLE_NAME, &single);
    if (status == LCKV_OK)
        status = hf_path(checkpoint, path, INDEX_NAME, &index);
    if (status != LCKV_OK)
        return status;
    if (hf_has(single))
        return read_files(checkpoint, &single, 1);
    if (hf_has(index))
        return read_index(checkpoint, path, index);
    return fail_without_weights(checkpoint, path);
}
