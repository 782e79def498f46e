/*
 * Filling one matrix. See filling.h.
 */
#include "model/filling.h"

#include "base/status.h"

#define PIECE_BYTES (1u << 20)

uint32_t filling_source_row(uint32_t row, uint32_t paired_head_dim)
{
    if (paired_head_dim == 0)
        return row;
    uint32_t half = paired_head_dim / 2, in_head = row % paired_head_dim;
    return row - in_head + in_head % half * 2 + in_head / half;
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* The bytes of the file that a piece needs, at most. */
static uint64_t piece_bytes(const struct filling *filling)
{
    uint64_t rows = (uint64_t)filling->groups_at_once * filling->matrix->size.group_rows;
    if (filling->row_bytes > 0) /* and the rest of heads at both ends */
        return smaller(rows + 2 * (uint64_t)filling->paired_head_dim, filling->matrix->n_rows) *
               filling->row_bytes;
    /* and the rest of a group at both ends */
    return smaller(rows / filling->from.group_rows + 2, filling->from.n_groups) *
           filling->from.group_bytes;
}

lckv_status filling_init(struct filling *filling, const struct tensor *tensor,
                         uint32_t paired_head_dim, struct matrix_layout layout,
                         struct matrix *matrix)
{
    uint32_t n_rows = (uint32_t)tensor->shape[0], n_columns = (uint32_t)tensor->shape[1];
    struct filling made = {.tensor = tensor, .matrix = matrix};
    lckv_status status = matrix_view(matrix, tensor->dtype, n_rows, n_columns, layout, NULL);
    if (status != LCKV_OK)
        return status;
    uint64_t group_bytes = matrix->size.group_bytes;
    if (tensor->layout.lanes == 0) {
        made.row_bytes = tensor->n_bytes / n_rows;
        made.paired_head_dim = paired_head_dim;
        group_bytes = made.row_bytes * matrix->size.group_rows;
    } else if (!packed_measure(tensor->dtype, n_rows, n_columns, tensor->layout, &made.from)) {
        return fail(LCKV_INTERNAL, "tensor %s is packed and has no size",
                    quoted_string(tensor->name.bytes).text);
    }
    made.groups_at_once = group_bytes < PIECE_BYTES ? (uint32_t)(PIECE_BYTES / group_bytes) : 1;
    made.n_pieces = (matrix->size.n_groups + made.groups_at_once - 1) / made.groups_at_once;
    made.piece_bytes = piece_bytes(&made);
    *filling = made;
    return LCKV_OK;
}

/* Groups [first, end) from rows. */
static lckv_status pack_rows(const struct filling *filling, const struct checkpoint *checkpoint,
                             uint32_t first, uint32_t end, uint8_t *buffer, uint8_t *data)
{
    const struct matrix *matrix = filling->matrix;
    uint32_t group_rows = matrix->size.group_rows, n_rows = matrix->n_rows;
    uint32_t begin_row = first * group_rows,
             end_row = end == matrix->size.n_groups ? n_rows : end * group_rows;
    uint32_t head = filling->paired_head_dim;
    if (head != 0) { /* whole heads hold all that is needed */
        begin_row = begin_row / head * head;
        end_row = (end_row + head - 1) / head * head;
    }
    lckv_status status =
        checkpoint_read(checkpoint, filling->tensor, begin_row * filling->row_bytes, buffer,
                        (size_t)((end_row - begin_row) * filling->row_bytes));
    for (uint32_t g = first; status == LCKV_OK && g < end; g++) {
        const uint8_t *rows[PACKED_MAX_GROUP];
        for (uint32_t lane = 0; lane < group_rows; lane++) {
            uint32_t row = g * group_rows + lane, source = filling_source_row(row, head);
            rows[lane] = row < n_rows ? buffer + (source - begin_row) * filling->row_bytes : NULL;
        }
        matrix_pack_group(matrix, rows, data + g * matrix->size.group_bytes);
    }
    return status;
}

/* Groups [first, end) from groups, of the same layout or another. */
static lckv_status pack_groups(const struct filling *filling, const struct checkpoint *checkpoint,
                               uint32_t first, uint32_t end, uint8_t *buffer, uint8_t *data)
{
    const struct matrix *matrix = filling->matrix;
    const struct tensor *tensor = filling->tensor;
    size_t group_bytes = matrix->size.group_bytes;
    if (packed_same(matrix->dtype, tensor->layout, matrix->layout))
        return checkpoint_read(checkpoint, tensor, first * group_bytes, data + first * group_bytes,
                               (end - first) * group_bytes);
    const struct packed_size *from = &filling->from;
    uint32_t from_rows = from->group_rows, rows = matrix->size.group_rows;
    uint32_t from_first = (uint32_t)((uint64_t)first * rows / from_rows);
    uint64_t from_end = smaller(((uint64_t)end * rows + from_rows - 1) / from_rows, from->n_groups);
    lckv_status status =
        checkpoint_read(checkpoint, tensor, (uint64_t)from_first * from->group_bytes, buffer,
                        (size_t)((from_end - from_first) * from->group_bytes));
    for (uint32_t g = first; status == LCKV_OK && g < end; g++)
        matrix_repack_group(matrix, g, tensor->layout, from, buffer, from_first,
                            data + g * group_bytes);
    return status;
}

lckv_status filling_pack(const struct filling *filling, const struct checkpoint *checkpoint,
                         size_t piece, uint8_t *buffer, uint8_t *data)
{
    uint32_t n_groups = (uint32_t)filling->matrix->size.n_groups;
    uint32_t first = (uint32_t)piece * filling->groups_at_once;
    uint32_t end =
        n_groups - first < filling->groups_at_once ? n_groups : first + filling->groups_at_once;
    return filling->row_bytes > 0 ? pack_rows(filling, checkpoint, first, end, buffer, data)
                                  : pack_groups(filling, checkpoint, first, end, buffer, data);
}
