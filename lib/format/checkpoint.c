/*
 * Finds, reads and maps the tensors of an open checkpoint. See checkpoint.h.
 */
#include "format/checkpoint.h"

#include "base/status.h"
#include "base/text.h"

#include <inttypes.h>
#include <string.h>

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

lckv_status checkpoint_without_weights(struct checkpoint *checkpoint, lckv_status status)
{
    if (status == LCKV_OK || status == LCKV_OUT_OF_MEMORY || !checkpoint->weights_optional)
        return status;
    const char *reason = status_message();
    checkpoint->n_tensors = 0;
    return arena_copy(&checkpoint->arena, reason, strlen(reason), &checkpoint->no_weights);
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

lckv_status checkpoint_check_weights(const struct checkpoint *checkpoint)
{
    if (checkpoint->no_weights != NULL)
        return fail(LCKV_UNSUPPORTED, "%s", checkpoint->no_weights);
    if (checkpoint->n_tensors == 0)
        return fail(LCKV_UNSUPPORTED,
                    "%s: has no tensors, only metadata and perhaps a vocabulary, which can be "
                    "used without weights (lckv tokenize, LCKV_WEIGHTS_NONE)",
                    checkpoint->name);
    return LCKV_OK;
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

bool checkpoint_can_map(const struct checkpoint *checkpoint, const struct tensor *tensor)
{
    return checkpoint->files[tensor->file].descriptor >= 0;
}

lckv_status checkpoint_map(struct checkpoint *checkpoint, const struct tensor *tensor,
                           const uint8_t **data)
{
    struct file *file = &checkpoint->files[tensor->file];
    lckv_status status = file_map(file);
    if (status == LCKV_OK)
        *data = file->bytes + tensor->offset;
    return status;
}
