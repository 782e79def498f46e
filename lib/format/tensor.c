/*
 * Finds the size of a tensor in bytes, or why it cannot be read. See tensor.h.
 */
#include "format/tensor.h"

#include "base/status.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

lckv_status tensor_set_problem(struct tensor *tensor, struct arena *arena, const char *format, ...)
{
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    tensor->n_bytes = 0;
    return arena_copy(arena, text, strlen(text), &tensor->problem);
}

lckv_status tensor_check(const struct tensor *tensor, const char *file)
{
    if (tensor->problem == NULL)
        return LCKV_OK;
    return fail(LCKV_UNSUPPORTED, "%s: tensor %s: %s", file,
                quoted(tensor->name.bytes, tensor->name.length).text, tensor->problem);
}

lckv_dtype tensor_matrix_dtype(const struct tensor *tensor)
{
    return tensor->dtype == LCKV_DTYPE_F8_E4M3 ? LCKV_DTYPE_BF16 : tensor->dtype;
}

static lckv_status measure_packed(struct tensor *tensor, struct arena *arena)
{
    struct packed_size size;
    if (tensor->n_dims == 2 &&
        packed_measure(tensor->dtype, tensor->shape[0], tensor->shape[1], tensor->layout, &size)) {
        tensor->n_bytes = size.n_bytes;
        return LCKV_OK;
    }
    return tensor_set_problem(tensor, arena,
                              "%" PRIu32 " dimensions, %" PRIu64 " x %" PRIu64
                              ", expected a packed matrix of at most 2^32 - 1 rows and columns",
                              tensor->n_dims, tensor->shape[0], tensor->shape[1]);
}

lckv_status tensor_measure(struct tensor *tensor, struct arena *arena, const char *file)
{
    if (tensor->n_dims < 1 || tensor->n_dims > TENSOR_MAX_DIMS)
        return tensor_set_problem(tensor, arena, "%" PRIu32 " dimensions, expected 1 to %d",
                                  tensor->n_dims, TENSOR_MAX_DIMS);
    for (uint32_t i = 0; i < tensor->n_dims; i++) {
        if (tensor->shape[i] == 0)
            return tensor_set_problem(tensor, arena, "a dimension is 0");
    }
    struct quoted name = quoted(tensor->name.bytes, tensor->name.length);
    uint64_t n_elements = 1;
    for (uint32_t i = 0; i < tensor->n_dims; i++) {
        if (!checked_multiply64(n_elements, tensor->shape[i], &n_elements))
            return fail(LCKV_BAD_FORMAT, "%s: tensor %s: the product of its dimensions overflows",
                        file, name.text);
    }
    const struct dtype_info *info = dtype_info(tensor->dtype);
    uint64_t row = tensor->shape[tensor->n_dims - 1];
    if (row % info->block_elements != 0)
        return tensor_set_problem(
            tensor, arena,
            "rows of %" PRIu64 " elements, expected a multiple of the %" PRIu32 " in a block of %s",
            row, info->block_elements, info->name);
    if (tensor->layout.lanes > 0)
        return measure_packed(tensor, arena);
    if (!dtype_bytes(tensor->dtype, n_elements, &tensor->n_bytes))
        return fail(LCKV_BAD_FORMAT, "%s: tensor %s: its size in bytes overflows", file, name.text);
    return LCKV_OK;
}
