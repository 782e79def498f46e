/*
 * Filling one matrix. Files are read in pieces of a few megabytes, by all cores, and their rows
 * interleaved into place. See packer.h.
 */
#include "model/packer.h"

#include "base/pool.h"
#include "base/status.h"

#include <stdatomic.h>

#define PIECE_BYTES (2u << 20)

lckv_status packer_advance(struct packer *packer, uint64_t bytes)
{
    packer->done += bytes;
    if (packer->progress != NULL &&
        packer->progress(packer->progress_user, packer->done, packer->total) != 0)
        return fail(LCKV_CANCELLED, "%s: opening was cancelled", packer->model->checkpoint.name);
    return LCKV_OK;
}

void packer_release_pieces(struct packer *packer)
{
    memory_free(&packer->model->allocator, packer->pieces, packer->n_pieces * packer->piece_bytes,
                1);
    packer->pieces = NULL;
    packer->piece_bytes = 0;
}

lckv_status packer_size_pieces(struct packer *packer, uint64_t wanted)
{
    if (wanted <= packer->piece_bytes)
        return LCKV_OK;
    size_t bytes = wanted > PIECE_BYTES ? (size_t)wanted : PIECE_BYTES, all;
    packer_release_pieces(packer);
    if (!checked_multiply(bytes, packer->n_pieces, &all))
        return fail(LCKV_OUT_OF_MEMORY, "rows of weights are too long");
    lckv_status status =
        memory_alloc_raw(&packer->model->allocator, all, "a piece of weights", &packer->pieces);
    if (status == LCKV_OK)
        packer->piece_bytes = bytes;
    return status;
}

uint32_t packer_source_row(uint32_t row, uint32_t paired_head_dim)
{
    if (paired_head_dim == 0)
        return row;
    uint32_t half = paired_head_dim / 2, in_head = row % paired_head_dim;
    return row - in_head + in_head % half * 2 + in_head / half;
}

/* A matrix on its way: groups are packed in pieces, by all threads. */
struct filling {
    struct packer *packer;
    const struct tensor *tensor;
    struct matrix *matrix;
    uint64_t row_bytes;       /* of the file; 0 if it is packed: */
    struct packed_size from;  /* its groups */
    uint32_t paired_head_dim; /* as in packer_source_row */
    uint32_t groups_at_once;
    _Atomic uint32_t next;
    _Atomic uint32_t failed; /* the first group of a piece that failed */
};

static lckv_status read_tensor(const struct filling *filling, uint64_t begin, uint8_t *to,
                               uint64_t bytes)
{
    return checkpoint_read(&filling->packer->model->checkpoint, filling->tensor, begin, to,
                           (size_t)bytes);
}

/* Groups [first, end) from rows. */
static lckv_status pack_rows(const struct filling *filling, uint32_t first, uint32_t end,
                             uint8_t *piece)
{
    struct matrix *matrix = filling->matrix;
    uint32_t group_rows = matrix->layout.group_rows, n_rows = matrix->n_rows;
    uint32_t begin_row = first * group_rows,
             end_row = end == matrix->size.n_groups ? n_rows : end * group_rows;
    uint32_t head = filling->paired_head_dim;
    if (head != 0) { /* whole heads hold all that is needed */
        begin_row = begin_row / head * head;
        end_row = (end_row + head - 1) / head * head;
    }
    lckv_status status = read_tensor(filling, begin_row * filling->row_bytes, piece,
                                     (end_row - begin_row) * filling->row_bytes);
    for (uint32_t g = first; status == LCKV_OK && g < end; g++) {
        const uint8_t *rows[PACKED_MAX_GROUP];
        for (uint32_t lane = 0; lane < group_rows; lane++) {
            uint32_t row = g * group_rows + lane, source = packer_source_row(row, head);
            rows[lane] = row < n_rows ? piece + (source - begin_row) * filling->row_bytes : NULL;
        }
        matrix_pack_group(matrix, g, rows);
    }
    return status;
}

/* Groups [first, end) from groups, of the same layout or another. */
static lckv_status pack_groups(const struct filling *filling, uint32_t first, uint32_t end,
                               uint8_t *piece)
{
    struct matrix *matrix = filling->matrix;
    const struct tensor *tensor = filling->tensor;
    size_t group_bytes = matrix->size.group_bytes;
    if (packed_same(matrix->dtype, tensor->layout, matrix->layout))
        return read_tensor(filling, first * group_bytes, matrix->owned + first * group_bytes,
                           (end - first) * group_bytes);
    const struct packed_size *from = &filling->from;
    uint32_t from_rows = tensor->layout.group_rows, rows = matrix->layout.group_rows;
    uint32_t from_first = (uint32_t)((uint64_t)first * rows / from_rows);
    uint64_t from_end = ((uint64_t)end * rows + from_rows - 1) / from_rows;
    from_end = from_end < from->n_groups ? from_end : from->n_groups;
    lckv_status status = read_tensor(filling, (uint64_t)from_first * from->group_bytes, piece,
                                     (from_end - from_first) * from->group_bytes);
    for (uint32_t g = first; status == LCKV_OK && g < end; g++)
        matrix_repack_group(matrix, g, tensor->layout, from, piece, from_first);
    return status;
}

static lckv_status pack_piece(const struct filling *filling, uint32_t first, uint8_t *piece)
{
    uint32_t n_groups = filling->matrix->size.n_groups;
    uint32_t end =
        n_groups - first < filling->groups_at_once ? n_groups : first + filling->groups_at_once;
    return filling->row_bytes > 0 ? pack_rows(filling, first, end, piece)
                                  : pack_groups(filling, first, end, piece);
}

static void pack_worker(const struct worker *worker, void *context)
{
    struct filling *filling = context;
    struct packer *packer = filling->packer;
    for (;;) {
        uint32_t first = atomic_fetch_add(&filling->next, filling->groups_at_once);
        if (first >= filling->matrix->size.n_groups || atomic_load(&filling->failed) != UINT32_MAX)
            return;
        if (pack_piece(filling, first, packer->pieces + worker->index * packer->piece_bytes) !=
            LCKV_OK)
            atomic_store(&filling->failed, first);
    }
}

/* The tensor itself, if it is packed for the kernels and aligned; otherwise no matrix. */
static lckv_status map_matrix(struct packer *packer, const struct tensor *tensor,
                              struct matrix *matrix)
{
    struct lckv_model *model = packer->model;
    struct matrix_layout layout = model->kernels->layout;
    const uint8_t *data = NULL;
    if (!packer->may_map || !packed_same(tensor->dtype, tensor->layout, layout) ||
        tensor->offset % PACKED_ALIGNMENT != 0)
        return LCKV_OK;
    lckv_status status = checkpoint_map(&model->checkpoint, tensor, &data);
    if (status != LCKV_OK || data == NULL)
        return status;
    return matrix_view(matrix, tensor->dtype, (uint32_t)tensor->shape[0],
                       (uint32_t)tensor->shape[1], layout, data);
}

/* The groups of a piece, and the bytes of the file that it holds. */
static uint64_t size_piece(struct filling *filling)
{
    const struct matrix *matrix = filling->matrix;
    uint64_t rows = matrix->layout.group_rows;
    uint64_t group_bytes =
        filling->row_bytes > 0 ? filling->row_bytes * rows : matrix->size.group_bytes;
    filling->groups_at_once = 1;
    if (group_bytes < PIECE_BYTES)
        filling->groups_at_once = (uint32_t)(PIECE_BYTES / (group_bytes > 0 ? group_bytes : 1));
    if (filling->row_bytes > 0) { /* and the rest of heads at both ends */
        uint64_t most = filling->groups_at_once * rows + 2 * (uint64_t)filling->paired_head_dim;
        return (most < matrix->n_rows ? most : matrix->n_rows) * filling->row_bytes;
    }
    /* and the rest of a group at both ends */
    uint64_t most = filling->groups_at_once * rows / filling->tensor->layout.group_rows + 2;
    return (most < filling->from.n_groups ? most : filling->from.n_groups) *
           filling->from.group_bytes;
}

static lckv_status fill(struct packer *packer, const struct tensor *tensor,
                        uint32_t paired_head_dim, struct matrix *matrix)
{
    struct lckv_model *model = packer->model;
    uint32_t n_rows = (uint32_t)tensor->shape[0], n_columns = (uint32_t)tensor->shape[1];
    struct filling filling = {
        .packer = packer, .tensor = tensor, .matrix = matrix, .failed = UINT32_MAX};
    if (tensor->layout.group_rows == 0) {
        filling.row_bytes = tensor->n_bytes / n_rows;
        filling.paired_head_dim = paired_head_dim;
    } else if (!packed_measure(tensor->dtype, n_rows, n_columns, tensor->layout, &filling.from)) {
        return fail(LCKV_INTERNAL, "%s: a packed tensor has no size", model->checkpoint.name);
    }
    lckv_status status = matrix_create(matrix, tensor->dtype, n_rows, n_columns,
                                       model->kernels->layout, &model->allocator);
    if (status == LCKV_OK)
        status = packer_size_pieces(packer, size_piece(&filling));
    if (status != LCKV_OK)
        return status;
    pool_run(packer->pool, pack_worker, &filling);
    if (filling.failed != UINT32_MAX) {
        /* Once more on this thread, for the message. */
        status = pack_piece(&filling, filling.failed, packer->pieces);
        if (status == LCKV_OK)
            status = fail(LCKV_IO, "%s: a read failed once; try again", model->checkpoint.name);
    }
    return status;
}

lckv_status packer_fill(struct packer *packer, const struct tensor *tensor,
                        uint32_t paired_head_dim, struct matrix *matrix)
{
    struct lckv_model *model = packer->model;
    lckv_status status = LCKV_OK;
    if (tensor->layout.group_rows > 0)
        status = map_matrix(packer, tensor, matrix);
    if (status == LCKV_OK && matrix->data == NULL)
        status = fill(packer, tensor, paired_head_dim, matrix);
    if (status != LCKV_OK)
        return status;
    if (matrix->owned == NULL)
        model->is_mapped = true;
    else if (tensor->layout.group_rows > 0 &&
             !packed_same(tensor->dtype, tensor->layout, matrix->layout))
        model->is_repacked = true;
    model->weight_bytes += matrix->size.n_bytes;
    return packer_advance(packer, tensor->n_bytes);
}
