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
    uint64_t row_bytes;       /* of the file; 0 if it is packed */
    uint32_t paired_head_dim; /* as in packer_source_row */
    uint32_t groups_at_once;
    _Atomic uint32_t next;
    _Atomic uint32_t failed; /* the first group of a piece that failed */
};

static lckv_status read(const struct filling *filling, uint64_t begin, uint8_t *to, uint64_t bytes)
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
    lckv_status status = read(filling, begin_row * filling->row_bytes, piece,
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
        return read(filling, first * group_bytes, matrix->owned + first * group_bytes,
                    (end - first) * group_bytes);
    uint32_t from_rows = tensor->layout.group_rows;
    uint64_t from_groups = (matrix->n_rows + (uint64_t)from_rows - 1) / from_rows;
    uint64_t from_bytes = tensor->n_bytes / from_groups;
    uint32_t from_first = first * matrix->layout.group_rows / from_rows;
    uint64_t from_end = ((uint64_t)end * matrix->layout.group_rows + from_rows - 1) / from_rows;
    from_end = from_end < from_groups ? from_end : from_groups;
    lckv_status status =
        read(filling, from_first * from_bytes, piece, (from_end - from_first) * from_bytes);
    for (uint32_t g = first; status == LCKV_OK && g < end; g++)
        matrix_repack_group(matrix, g, tensor->layout, piece, from_first);
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
static lckv_status map(struct packer *packer, const struct tensor *tensor, struct matrix *matrix)
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

static lckv_status fill(struct packer *packer, const struct tensor *tensor,
                        uint32_t paired_head_dim, struct matrix *matrix)
{
    struct lckv_model *model = packer->model;
    uint32_t n_rows = (uint32_t)tensor->shape[0], n_columns = (uint32_t)tensor->shape[1];
    bool is_packed = tensor->layout.group_rows > 0;
    struct filling filling = {.packer = packer,
                              .tensor = tensor,
                              .matrix = matrix,
                              .row_bytes = is_packed ? 0 : tensor->n_bytes / n_rows,
                              .paired_head_dim = is_packed ? 0 : paired_head_dim,
                              .groups_at_once = 1,
                              .failed = UINT32_MAX};
    lckv_status status = matrix_create(matrix, tensor->dtype, n_rows, n_columns,
                                       model->kernels->layout, &model->allocator);
    if (status != LCKV_OK)
        return status;
    uint64_t rows = model->kernels->layout.group_rows, beside = 2 * paired_head_dim;
    uint64_t row_bytes = filling.row_bytes, group_bytes = row_bytes * rows;
    if (is_packed) { /* its groups may be larger, and begin or end beside those of the matrix */
        group_bytes = matrix->size.group_bytes;
        row_bytes = (group_bytes + rows - 1) / rows;
        beside = 2 * PACKED_MAX_GROUP;
    }
    if (group_bytes < PIECE_BYTES)
        filling.groups_at_once = (uint32_t)(PIECE_BYTES / (group_bytes > 0 ? group_bytes : 1));
    uint64_t most_rows = filling.groups_at_once * rows + beside;
    if (!is_packed && most_rows > n_rows)
        most_rows = n_rows;
    status = packer_size_pieces(packer, most_rows * row_bytes);
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
        status = map(packer, tensor, matrix);
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
