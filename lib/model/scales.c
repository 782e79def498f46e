/*
 * The scales of F8_E4M3. See scales.h.
 *
 * A scale belongs to a whole matrix, to a row, or to a block of rows and columns, whose sides are
 * powers of two (mostly 128 x 128). The shape of the scales tells which. Weights are multiplied by
 * their scales under either name: "_scale_inv" means the inverse of what the program that made the
 * file multiplied by.
 */
#include "model/scales.h"

#include "base/status.h"
#include "kernels/blocks.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* The tensor whose name is that of `tensor`, with `suffix` in place of `role` at its end. */
static const struct tensor *find_beside(const struct checkpoint *checkpoint,
                                        const struct tensor *tensor, const char *role,
                                        const char *suffix)
{
    char name[256];
    size_t cut = strlen(role), more = strlen(suffix) + 1;
    if (tensor->name.length < cut || tensor->name.length - cut + more > sizeof name ||
        memcmp(tensor->name.bytes + tensor->name.length - cut, role, cut) != 0)
        return NULL;
    memcpy(name, tensor->name.bytes, tensor->name.length - cut);
    memcpy(name + tensor->name.length - cut, suffix, more);
    return checkpoint_find(checkpoint, name);
}

/* The power of two of which `n` parts cover `size`; 0 if there is none. A part may be all. */
static uint64_t part_size(uint64_t size, uint64_t n)
{
    if (n == 1)
        return size;
    for (uint64_t part = 1; part < size; part *= 2) {
        if ((size + part - 1) / part == n)
            return part;
    }
    return 0;
}

/* Finds what part of the matrix each scale belongs to; false if the shapes do not fit. */
static bool measure(const struct tensor *weight, const struct tensor *from,
                    struct tensor_scales *scales)
{
    scales->n_rows = from->n_dims > 0 ? from->shape[0] : 1;
    scales->n_columns = from->n_dims > 1 ? from->shape[1] : 1;
    scales->row_height = part_size(weight->shape[0], scales->n_rows);
    scales->column_width = part_size(weight->shape[1], scales->n_columns);
    return from->n_dims <= 2 && scales->row_height > 0 && scales->column_width > 0;
}

static lckv_status read_values(struct checkpoint *checkpoint, const struct tensor *from, size_t n,
                               const float **values)
{
    const lckv_allocator *allocator = &checkpoint->arena.allocator;
    size_t n_bytes = (size_t)from->n_bytes;
    uint8_t *bytes = NULL;
    float *floats = NULL;
    lckv_status status = memory_alloc(allocator, n_bytes, 1, "scales of weights", &bytes);
    if (status == LCKV_OK)
        status = arena_alloc(&checkpoint->arena, n, sizeof *floats, "scales of weights", &floats);
    if (status == LCKV_OK)
        status = checkpoint_read(checkpoint, from, 0, bytes, n_bytes);
    if (status == LCKV_OK) {
        blocks_dequantize(from->dtype, bytes, n, floats);
        *values = floats;
    }
    memory_free(allocator, bytes, n_bytes, 1);
    for (size_t i = 0; status == LCKV_OK && i < n; i++) {
        if (!isfinite(floats[i]))
            status = fail(LCKV_BAD_FORMAT, "%s: tensor %s: element %zu is %g, not a scale",
                          checkpoint->name, quoted(from->name.bytes, from->name.length).text, i,
                          (double)floats[i]);
    }
    return status;
}

static lckv_status attach(struct checkpoint *checkpoint, struct tensor *weight,
                          const struct tensor *found)
{
    struct arena *arena = &checkpoint->arena;
    struct tensor_scales *scales = NULL;
    struct tensor from = *found;
    if (from.n_dims == 0 && from.dtype != DTYPE_UNKNOWN) { /* one number, and no problem here */
        from.problem = NULL;
        from.n_bytes = dtype_info(from.dtype)->block_bytes;
    }
    lckv_status status = checkpoint_check(checkpoint, &from);
    if (status == LCKV_OK)
        status = arena_alloc(arena, 1, sizeof *scales, "scales of weights", &scales);
    if (status != LCKV_OK)
        return status;
    if (dtype_info(from.dtype)->block_bytes == 1 || !measure(weight, &from, scales))
        return tensor_set_problem(weight, arena,
                                  "scales of %" PRIu64 " x %" PRIu64 " for a matrix of %" PRIu64
                                  " x %" PRIu64 ", expected F32, F16 or BF16, one for all, for "
                                  "each row, or for blocks whose sides are powers of two",
                                  from.shape[0], from.shape[1], weight->shape[0], weight->shape[1]);
    weight->scales = scales;
    return read_values(checkpoint, &from, (size_t)(scales->n_rows * scales->n_columns),
                       &scales->values);
}

/* Finds the scales of one weight, and notes which tensors are nothing else. */
static lckv_status attach_beside(struct checkpoint *checkpoint, struct tensor *weight,
                                 bool *is_scale)
{
    static const struct {
        const char *role, *suffix; /* "weight" becomes "weight_scale" */
    } names[] = {{"", "_scale"}, {"", "_scale_inv"}, {"weight", "input_scale"}};
    const struct tensor *found = NULL;
    if (weight->n_dims != 2)
        return tensor_set_problem(weight, &checkpoint->arena,
                                  "F8_E4M3 of %" PRIu32 " dimensions, expected a matrix",
                                  weight->n_dims);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const struct tensor *beside =
            find_beside(checkpoint, weight, names[i].role, names[i].suffix);
        if (beside == NULL)
            continue;
        is_scale[beside - checkpoint->tensors] = true;
        if (names[i].role[0] != '\0')
            continue;
        if (found != NULL)
            return tensor_set_problem(weight, &checkpoint->arena,
                                      "F8_E4M3 with two tensors of scales, expected _scale or "
                                      "_scale_inv, not both");
        found = beside;
    }
    if (found != NULL)
        return attach(checkpoint, weight, found);
    return tensor_set_problem(weight, &checkpoint->arena,
                              "F8_E4M3 without scales, expected a tensor of the same name and "
                              "_scale or _scale_inv");
}

lckv_status scales_attach(struct checkpoint *checkpoint)
{
    const lckv_allocator *allocator = &checkpoint->arena.allocator;
    size_t n_tensors = checkpoint->n_tensors, n_kept = 0;
    bool *is_scale = NULL;
    lckv_status status =
        memory_alloc(allocator, n_tensors, sizeof *is_scale, "the list of scales", &is_scale);
    for (size_t i = 0; status == LCKV_OK && i < n_tensors; i++) {
        struct tensor *tensor = &checkpoint->tensors[i];
        if (tensor->dtype == LCKV_DTYPE_F8_E4M3 && tensor->problem == NULL)
            status = attach_beside(checkpoint, tensor, is_scale);
    }
    for (size_t i = 0; status == LCKV_OK && i < n_tensors; i++) {
        if (!is_scale[i])
            checkpoint->tensors[n_kept++] = checkpoint->tensors[i];
    }
    if (status == LCKV_OK)
        checkpoint->n_tensors = n_kept;
    memory_free(allocator, is_scale, n_tensors, sizeof *is_scale);
    return status;
}

void scales_dequantize(const struct tensor *tensor, uint64_t row, const uint8_t *bytes, size_t n,
                       float *values)
{
    const struct tensor_scales *scales = tensor->scales;
    blocks_dequantize(tensor->dtype, bytes, n, values);
    if (scales == NULL)
        return;
    const float *of_row = scales->values + row / scales->row_height * scales->n_columns;
    for (size_t i = 0; i < n; i++)
        values[i] *= of_row[i / scales->column_width];
}
