/*
 * Fills one matrix. See filling.h.
 */
#include "model/filling.h"

#include "base/status.h"
#include "kernels/blocks.h"
#include "model/scales.h"

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

/* The most bytes of the file that a piece needs. */
static uint64_t piece_bytes(const struct filling *filling)
{
    uint64_t rows = (uint64_t)filling->strips_at_once * filling->matrix->size.strip_rows;
    if (filling->row_bytes > 0) /* and the rest of a head at either end */
        return smaller(rows + 2 * (uint64_t)filling->paired_head_dim, filling->matrix->n_rows) *
               filling->row_bytes;
    /* and the rest of a strip at either end */
    return smaller(rows / filling->from.strip_rows + 2, filling->from.n_strips) *
           filling->from.strip_bytes;
}

/* Of the rows of a strip in the type of the matrix, and of a row of floats, which is aligned. */
static uint64_t converted_bytes(const struct matrix *matrix)
{
    uint64_t row = (uint64_t)matrix->n_columns * dtype_info(matrix->dtype)->block_bytes;
    return row * matrix->size.strip_rows + matrix->n_columns * sizeof(float) + sizeof(float);
}

/* Turns rows of another type into rows of that of the matrix, behind the piece in the buffer. */
static void convert_rows(const struct filling *filling, uint32_t first, const uint8_t **rows,
                         uint8_t *buffer)
{
    const struct matrix *matrix = filling->matrix;
    size_t n = matrix->n_columns, row_bytes = n * dtype_info(matrix->dtype)->block_bytes;
    uint8_t *end = buffer + filling->converted;
    float *values = (float *)(void *)(end + -(uintptr_t)end % sizeof(float));
    uint8_t *to = (uint8_t *)(values + n);
    for (uint32_t lane = 0; lane < matrix->size.strip_rows && rows[lane] != NULL; lane++) {
        scales_dequantize(filling->tensor, first + lane, rows[lane], n, values);
        blocks_quantize(matrix->dtype, values, n, to + lane * row_bytes);
        rows[lane] = to + lane * row_bytes;
    }
}

lckv_status filling_init(struct filling *filling, const struct tensor *tensor,
                         uint32_t paired_head_dim, struct matrix_layout layout,
                         struct matrix *matrix)
{
    uint32_t n_rows = (uint32_t)tensor->shape[0], n_columns = (uint32_t)tensor->shape[1];
    struct filling made = {.tensor = tensor, .matrix = matrix};
    lckv_status status =
        matrix_view(matrix, tensor_matrix_dtype(tensor), n_rows, n_columns, layout, NULL);
    if (status != LCKV_OK)
        return status;
    uint64_t strip_bytes = matrix->size.strip_bytes;
    if (tensor->layout.lanes == 0) {
        made.row_bytes = tensor->n_bytes / n_rows;
        made.paired_head_dim = paired_head_dim;
        strip_bytes = made.row_bytes * matrix->size.strip_rows;
    } else if (!packed_measure(tensor->dtype, n_rows, n_columns, tensor->layout, &made.from)) {
        return fail(LCKV_INTERNAL, "tensor %s is packed and has no size",
                    quoted_string(tensor->name.bytes).text);
    }
    made.strips_at_once = strip_bytes < PIECE_BYTES ? (uint32_t)(PIECE_BYTES / strip_bytes) : 1;
    made.n_pieces = (matrix->size.n_strips + made.strips_at_once - 1) / made.strips_at_once;
    made.piece_bytes = piece_bytes(&made);
    if (matrix->dtype != tensor->dtype) {
        made.converted = made.piece_bytes;
        made.piece_bytes += converted_bytes(matrix);
    }
    *filling = made;
    return LCKV_OK;
}

/* Packs strips [first, end) from rows of the file. */
static lckv_status pack_rows(const struct filling *filling, const struct checkpoint *checkpoint,
                             uint32_t first, uint32_t end, uint8_t *buffer, uint8_t *data)
{
    const struct matrix *matrix = filling->matrix;
    uint32_t strip_rows = matrix->size.strip_rows, n_rows = matrix->n_rows;
    uint32_t begin_row = first * strip_rows,
             end_row = end == matrix->size.n_strips ? n_rows : end * strip_rows;
    uint32_t head = filling->paired_head_dim;
    if (head != 0) { /* whole heads hold all that is needed */
        begin_row = begin_row / head * head;
        end_row = (end_row + head - 1) / head * head;
    }
    lckv_status status =
        checkpoint_read(checkpoint, filling->tensor, begin_row * filling->row_bytes, buffer,
                        (size_t)((end_row - begin_row) * filling->row_bytes));
    for (uint32_t g = first; status == LCKV_OK && g < end; g++) {
        const uint8_t *rows[PACKED_MAX_STRIP];
        for (uint32_t lane = 0; lane < strip_rows; lane++) {
            uint32_t row = g * strip_rows + lane, source = filling_source_row(row, head);
            rows[lane] = row < n_rows ? buffer + (source - begin_row) * filling->row_bytes : NULL;
        }
        if (filling->converted > 0)
            convert_rows(filling, g * strip_rows, rows, buffer);
        matrix_pack_strip(matrix, rows, data + g * matrix->size.strip_bytes);
    }
    return status;
}

/* Packs strips [first, end) from strips of the file, in the same layout or another. */
static lckv_status pack_strips(const struct filling *filling, const struct checkpoint *checkpoint,
                               uint32_t first, uint32_t end, uint8_t *buffer, uint8_t *data)
{
    const struct matrix *matrix = filling->matrix;
    const struct tensor *tensor = filling->tensor;
    size_t strip_bytes = matrix->size.strip_bytes;
    if (packed_same(matrix->dtype, tensor->layout, matrix->layout))
        return checkpoint_read(checkpoint, tensor, first * strip_bytes, data + first * strip_bytes,
                               (end - first) * strip_bytes);
    const struct packed_size *from = &filling->from;
    uint32_t from_rows = from->strip_rows, rows = matrix->size.strip_rows;
    uint32_t from_first = (uint32_t)((uint64_t)first * rows / from_rows);
    uint64_t from_end = smaller(((uint64_t)end * rows + from_rows - 1) / from_rows, from->n_strips);
    lckv_status status =
        checkpoint_read(checkpoint, tensor, (uint64_t)from_first * from->strip_bytes, buffer,
                        (size_t)((from_end - from_first) * from->strip_bytes));
    for (uint32_t g = first; status == LCKV_OK && g < end; g++)
        matrix_repack_strip(matrix, g, tensor->layout, from, buffer, from_first,
                            data + g * strip_bytes);
    return status;
}

lckv_status filling_pack(const struct filling *filling, const struct checkpoint *checkpoint,
                         size_t piece, uint8_t *buffer, uint8_t *data)
{
    uint32_t n_strips = (uint32_t)filling->matrix->size.n_strips;
    uint32_t first = (uint32_t)piece * filling->strips_at_once;
    uint32_t end =
        n_strips - first < filling->strips_at_once ? n_strips : first + filling->strips_at_once;
    return filling->row_bytes > 0 ? pack_rows(filling, checkpoint, first, end, buffer, data)
                                  : pack_strips(filling, checkpoint, first, end, buffer, data);
}
