/*
 * Checks of tensor shapes, and of all tensors against each other.
 */
#include "format/tensor_table.h"

#include "base/status.h"
#include "format/order.h"

#include <inttypes.h>

static lckv_status measure_packed(struct tensor *tensor, const char *file)
{
    struct packed_size size;
    if (tensor->n_dims == 2 &&
        packed_measure(tensor->dtype, tensor->shape[0], tensor->shape[1], tensor->layout, &size)) {
        tensor->n_bytes = size.n_bytes;
        return LCKV_OK;
    }
    return fail(LCKV_BAD_FORMAT,
                "%s: tensor %s: %" PRIu32 " dimensions, %" PRIu64 " x %" PRIu64
                ", expected a packed matrix of at most 2^32 - 1 rows and columns",
                file, quoted(tensor->name.bytes, tensor->name.length).text, tensor->n_dims,
                tensor->shape[0], tensor->shape[1]);
}

lckv_status tensor_table_measure(struct tensor *tensor, const char *file)
{
    struct quoted name = quoted(tensor->name.bytes, tensor->name.length);
    if (tensor->n_dims < 1 || tensor->n_dims > TENSOR_MAX_DIMS)
        return fail(LCKV_UNSUPPORTED, "%s: tensor %s: %" PRIu32 " dimensions, expected 1 to %d",
                    file, name.text, tensor->n_dims, TENSOR_MAX_DIMS);
    for (uint32_t i = tensor->n_dims; i < TENSOR_MAX_DIMS; i++)
        tensor->shape[i] = 1;

    uint64_t n_elements = 1;
    for (uint32_t i = 0; i < tensor->n_dims; i++) {
        if (tensor->shape[i] == 0)
            return fail(LCKV_BAD_FORMAT, "%s: tensor %s: a dimension is 0", file, name.text);
        if (!checked_multiply64(n_elements, tensor->shape[i], &n_elements))
            return fail(LCKV_BAD_FORMAT, "%s: tensor %s: the product of its dimensions overflows",
                        file, name.text);
    }
    const struct dtype_info *info = dtype_info(tensor->dtype);
    uint64_t row = tensor->shape[tensor->n_dims - 1];
    if (row % info->block_elements != 0)
        return fail(LCKV_BAD_FORMAT,
                    "%s: tensor %s: rows of %" PRIu64
                    " elements, expected a multiple of the %" PRIu32 " in a block of %s",
                    file, name.text, row, info->block_elements, info->name);
    if (tensor->layout.lanes > 0)
        return measure_packed(tensor, file);
    if (!dtype_bytes(tensor->dtype, n_elements, &tensor->n_bytes))
        return fail(LCKV_BAD_FORMAT, "%s: tensor %s: its size in bytes overflows", file, name.text);
    return LCKV_OK;
}

static int by_place(const void *a, const void *b)
{
    const struct tensor *x = a;
    const struct tensor *y = b;
    if (x->file != y->file)
        return x->file < y->file ? -1 : 1;
    return (x->offset > y->offset) - (x->offset < y->offset);
}

static int by_name(const void *a, const void *b)
{
    const struct tensor *x = a;
    const struct tensor *y = b;
    return text_compare(x->name, y->name);
}

static lckv_status check_overlaps(struct checkpoint *checkpoint)
{
    struct tensor *tensors = checkpoint->tensors;
    order_sort(tensors, checkpoint->n_tensors, sizeof *tensors, by_place);
    for (size_t i = 1; i < checkpoint->n_tensors; i++) {
        const struct tensor *a = &tensors[i - 1];
        const struct tensor *b = &tensors[i];
        if (a->file == b->file && b->offset - a->offset < a->n_bytes)
            return fail(LCKV_BAD_FORMAT, "%s: tensors %s and %s overlap at byte %" PRIu64,
                        checkpoint->files[a->file].name, quoted(a->name.bytes, a->name.length).text,
                        quoted(b->name.bytes, b->name.length).text, b->offset);
    }
    return LCKV_OK;
}

static lckv_status check_duplicates(struct checkpoint *checkpoint)
{
    struct tensor *tensors = checkpoint->tensors;
    order_sort(tensors, checkpoint->n_tensors, sizeof *tensors, by_name);
    for (size_t i = 1; i < checkpoint->n_tensors; i++) {
        const struct tensor *a = &tensors[i - 1];
        const struct tensor *b = &tensors[i];
        if (text_compare(a->name, b->name) != 0)
            continue;
        struct quoted name = quoted(a->name.bytes, a->name.length);
        if (a->file == b->file)
            return fail(LCKV_BAD_FORMAT, "%s: duplicate tensor %s", checkpoint->files[a->file].name,
                        name.text);
        return fail(LCKV_BAD_FORMAT, "%s: duplicate tensor %s, also in %s",
                    checkpoint->files[a->file].name, name.text, checkpoint->files[b->file].name);
    }
    return LCKV_OK;
}

lckv_status tensor_table_finish(struct checkpoint *checkpoint)
{
    lckv_status status = check_overlaps(checkpoint);
    return status == LCKV_OK ? check_duplicates(checkpoint) : status;
}
