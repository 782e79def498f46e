/*
 * Puts the files of a GGUF model together. A large model may be split into parts, which are named
 * model-00001-of-00003.gguf and so on. The first part has the metadata; each has tensors of its
 * own, and says which part of how many it is.
 */
#include "format/gguf.h"

#include "base/status.h"
#include "format/tensor_table.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define SUFFIX_LENGTH (sizeof "-00001-of-00003.gguf" - 1)

/* What a file says about the split model that it is a part of. A whole model has one part. */
struct split {
    uint32_t number, count; /* numbers begin at 0 here and in files, at 1 in names and messages */
    uint32_t n_tensors;     /* of all parts together */
};

static lckv_status read_split(const struct metadata *metadata, const char *file,
                              struct split *split)
{
    *split = (struct split){.count = 1};
    lckv_status status = metadata_get_u32(metadata, "split.count", &split->count, NULL);
    if (status == LCKV_OK)
        status = metadata_get_u32(metadata, "split.no", &split->number, NULL);
    if (status == LCKV_OK)
        status = metadata_get_u32(metadata, "split.tensors.count", &split->n_tensors, NULL);
    if (status != LCKV_OK)
        return fail_in(status, "%s", file);
    if (split->count > GGUF_MAX_PARTS)
        return fail(LCKV_BAD_FORMAT, "%s: split.count is %" PRIu32 ", expected at most %d", file,
                    split->count, GGUF_MAX_PARTS);
    if (split->count > 1 && split->number >= split->count)
        return fail(LCKV_BAD_FORMAT,
                    "%s: split.no is %" PRIu32 ", expected less than the %" PRIu32
                    " of split.count",
                    file, split->number, split->count);
    return LCKV_OK;
}

static void make_suffix(uint32_t number, uint32_t count, char suffix[SUFFIX_LENGTH + 1])
{
    snprintf(suffix, SUFFIX_LENGTH + 1, "-%05u-of-%05u.gguf", (uint16_t)(number + 1),
             (uint16_t)count);
}

/* The path of part `number`, made from that of the part which was opened. */
static lckv_status part_path(struct checkpoint *checkpoint, const struct split *opened,
                             uint32_t number, const char **path)
{
    char suffix[SUFFIX_LENGTH + 1];
    const char *name = checkpoint->name;
    size_t length = strlen(name);
    char *made = NULL;
    make_suffix(opened->number, opened->count, suffix);
    if (length < SUFFIX_LENGTH || strcmp(name + length - SUFFIX_LENGTH, suffix) != 0)
        return fail(LCKV_BAD_FORMAT,
                    "%s: is part %" PRIu32 " of %" PRIu32
                    " of a split model, but its name does not end with %s, so the names of the "
                    "other parts are unknown: name the parts as they were",
                    name, opened->number + 1, opened->count, suffix);
    lckv_status status = arena_text(&checkpoint->arena, length, &made);
    if (status != LCKV_OK)
        return status;
    make_suffix(number, opened->count, suffix);
    memcpy(made, name, length - SUFFIX_LENGTH);
    memcpy(made + length - SUFFIX_LENGTH, suffix, SUFFIX_LENGTH);
    *path = made;
    return LCKV_OK;
}

/* Whether both name the same architecture; most parts behind the first name none. */
static bool same_architecture(const struct metadata *part, const struct metadata *first)
{
    const struct metadata_value *a = metadata_find(part, "general.architecture");
    const struct metadata_value *b = metadata_find(first, "general.architecture");
    return a == NULL || (b != NULL && a->type == METADATA_STRING && b->type == METADATA_STRING &&
                         text_compare(a->as.string, b->as.string) == 0);
}

static lckv_status check_part(const struct checkpoint *checkpoint, const struct split *first,
                              uint32_t number, const struct metadata *metadata)
{
    const char *file = checkpoint->files[number].name;
    struct split part;
    lckv_status status = read_split(metadata, file, &part);
    if (status != LCKV_OK)
        return status;
    if (part.number != number || part.count != first->count || part.n_tensors != first->n_tensors)
        return fail(LCKV_MISMATCH,
                    "%s: is part %" PRIu32 " of %" PRIu32 " of a model of %" PRIu32
                    " tensors; expected part %" PRIu32 " of %" PRIu32 " of a model of %" PRIu32
                    ", as %s says",
                    file, part.number + 1, part.count, part.n_tensors, number + 1, first->count,
                    first->n_tensors, checkpoint->name);
    if (!same_architecture(metadata, &checkpoint->metadata))
        return fail(LCKV_MISMATCH, "%s: general.architecture is not that of %s", file,
                    checkpoint->name);
    return LCKV_OK;
}

/* Reads a part other than the first, whose metadata are only looked at. */
static lckv_status read_part(struct checkpoint *checkpoint, const struct split *first,
                             uint32_t number, struct gguf_tensors *tensors)
{
    const char *path = NULL;
    struct arena arena;
    struct metadata metadata;
    lckv_status status = part_path(checkpoint, first, number, &path);
    if (status != LCKV_OK)
        return status;
    status = file_open(&checkpoint->files[number], path);
    if (status != LCKV_OK)
        return fail_in(status, "%s: part %" PRIu32 " of %" PRIu32 " is missing", checkpoint->name,
                       number + 1, first->count);
    checkpoint->n_files++;
    arena_init(&arena, &checkpoint->arena.allocator);
    metadata_init(&metadata, &arena);
    status = gguf_read_file(checkpoint, number, &metadata, tensors);
    if (status == LCKV_OK)
        status = check_part(checkpoint, first, number, &metadata);
    arena_release(&arena);
    return status;
}

/* Puts the tensors of all parts into one array. */
static lckv_status join(struct checkpoint *checkpoint, const struct split *split,
                        const struct gguf_tensors *parts)
{
    size_t n_tensors = 0;
    for (uint32_t i = 0; i < split->count; i++)
        n_tensors += parts[i].count;
    if (n_tensors != split->n_tensors || n_tensors > GGUF_MAX_TENSORS)
        return fail(LCKV_BAD_FORMAT,
                    "%s: its %" PRIu32 " parts have %zu tensors; expected %" PRIu32
                    ", as split.tensors.count says, and at most %d",
                    checkpoint->name, split->count, n_tensors, split->n_tensors, GGUF_MAX_TENSORS);
    if (n_tensors == 0)
        return LCKV_OK;
    lckv_status status = arena_alloc(&checkpoint->arena, n_tensors, sizeof *checkpoint->tensors,
                                     "tensor infos", &checkpoint->tensors);
    if (status != LCKV_OK)
        return status;
    for (uint32_t i = 0; i < split->count; i++) {
        for (size_t t = 0; t < parts[i].count; t++)
            checkpoint->tensors[checkpoint->n_tensors++] = parts[i].list[t];
    }
    return LCKV_OK;
}

static lckv_status read_parts(struct checkpoint *checkpoint, const struct split *split,
                              const struct gguf_tensors *first)
{
    const lckv_allocator *allocator = &checkpoint->arena.allocator;
    const struct file opened = checkpoint->files[0];
    struct gguf_tensors *parts = NULL;
    lckv_status status = arena_alloc(&checkpoint->arena, split->count, sizeof *checkpoint->files,
                                     "the parts' files", &checkpoint->files);
    checkpoint->files[0] = opened;
    if (status == LCKV_OK)
        status = memory_alloc(allocator, split->count, sizeof *parts, "the parts", &parts);
    if (status == LCKV_OK)
        parts[0] = *first;
    for (uint32_t i = 1; status == LCKV_OK && i < split->count; i++)
        status = read_part(checkpoint, split, i, &parts[i]);
    if (status == LCKV_OK)
        status = join(checkpoint, split, parts);
    memory_free(allocator, parts, split->count, sizeof *parts);
    return status;
}

/* A split model can be opened only by its first part, and by its path. */
static lckv_status check_opened(struct checkpoint *checkpoint, const struct split *split)
{
    const char *path = NULL;
    if (checkpoint->files[0].descriptor < 0)
        return fail(LCKV_UNSUPPORTED,
                    "%s: is part %" PRIu32 " of %" PRIu32
                    " of a split model; open the first part by its path",
                    checkpoint->name, split->number + 1, split->count);
    lckv_status status = part_path(checkpoint, split, 0, &path);
    if (status == LCKV_OK && split->number != 0)
        status =
            fail(LCKV_INVALID_ARGUMENT,
                 "%s: is part %" PRIu32 " of %" PRIu32 " of a split model; open the first part, %s",
                 checkpoint->name, split->number + 1, split->count, path);
    return status;
}

lckv_status gguf_read(struct checkpoint *checkpoint)
{
    struct gguf_tensors tensors = {NULL, 0};
    struct split split;
    lckv_status status = gguf_read_file(checkpoint, 0, &checkpoint->metadata, &tensors);
    if (status == LCKV_OK)
        status = read_split(&checkpoint->metadata, checkpoint->name, &split);
    if (status != LCKV_OK)
        return status;
    if (split.count <= 1) {
        checkpoint->tensors = tensors.list;
        checkpoint->n_tensors = tensors.count;
        return tensor_table_finish(checkpoint);
    }
    status = check_opened(checkpoint, &split);
    if (status != LCKV_OK)
        return status;
    status = read_parts(checkpoint, &split, &tensors);
    if (status == LCKV_OK)
        status = tensor_table_finish(checkpoint);
    return checkpoint_without_weights(checkpoint, status);
}
