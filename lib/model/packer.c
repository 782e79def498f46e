/*
 * The memory of all weights, and the threads that fill it. See packer.h.
 */
#include "model/packer.h"

#include "base/pool.h"
#include "base/status.h"

#include <stdatomic.h>

/* Whether the tensor can be used where it lies: packed for the kernels, and aligned. */
static bool can_map(const struct packer *packer, const struct tensor *tensor)
{
    const struct lckv_model *model = packer->model;
    return tensor->layout.lanes > 0 && packer->options->weights != LCKV_WEIGHTS_COPIED &&
           packed_same(tensor->dtype, tensor->layout, model->kernels->layout) &&
           tensor->offset % PACKED_ALIGNMENT == 0 && checkpoint_can_map(&model->checkpoint, tensor);
}

/* Uses the tensor where it lies. */
static lckv_status map_matrix(struct packer *packer, const struct tensor *tensor,
                              struct matrix *matrix)
{
    struct lckv_model *model = packer->model;
    const uint8_t *data = NULL;
    lckv_status status = LCKV_OK;
    if (!model->without_weights)
        status = checkpoint_map(&model->checkpoint, tensor, &data);
    if (status == LCKV_OK)
        status = matrix_view(matrix, tensor->dtype, (uint32_t)tensor->shape[0],
                             (uint32_t)tensor->shape[1], model->kernels->layout, data);
    if (status != LCKV_OK)
        return status;
    packer->done += tensor->n_bytes;
    model->is_mapped = true;
    model->weight_bytes += matrix->size.n_bytes;
    return LCKV_OK;
}

/* Takes the next place in the memory of all weights. */
static lckv_status place(struct lckv_model *model, struct filling *filling)
{
    size_t offset = model->memory_bytes;
    if (!checked_add(offset, filling->matrix->size.n_bytes, &model->memory_bytes))
        return fail(LCKV_OUT_OF_MEMORY, "%s: the weights are too large", model->checkpoint.name);
    filling->offset = offset;
    return LCKV_OK;
}

lckv_status packer_add(struct packer *packer, const struct tensor *tensor, uint32_t paired_head_dim,
                       struct matrix *matrix)
{
    struct lckv_model *model = packer->model;
    bool packed = tensor->layout.lanes > 0;
    packer->total += tensor->n_bytes;
    if (can_map(packer, tensor))
        return map_matrix(packer, tensor, matrix);
    lckv_status status =
        memory_grow(&model->allocator, &packer->fillings, &packer->capacity, packer->n_fillings + 1,
                    sizeof packer->fillings[0], "the list of weights");
    if (status != LCKV_OK)
        return status;
    struct filling *filling = &packer->fillings[packer->n_fillings];
    status = filling_init(filling, tensor, paired_head_dim, model->kernels->layout, matrix);
    if (status == LCKV_OK)
        status = place(model, filling);
    if (status != LCKV_OK)
        return status;
    packer->n_fillings++;
    model->weight_bytes += matrix->size.n_bytes;
    if (packed && !packed_same(tensor->dtype, tensor->layout, matrix->layout))
        model->is_repacked = true;
    return LCKV_OK;
}

void packer_release(struct packer *packer)
{
    memory_free(&packer->model->allocator, packer->fillings, packer->capacity,
                sizeof packer->fillings[0]);
    packer->fillings = NULL;
    packer->n_fillings = packer->capacity = 0;
}

/* What the threads of one run share. They take the pieces of all matrices in one order. */
struct packing {
    struct packer *packer;
    packer_meanwhile meanwhile;
    lckv_status status; /* set by the calling thread: cancelled, or `meanwhile` failed */
    uint8_t *buffers;   /* one for each thread */
    size_t buffer_bytes;
    _Atomic size_t next;
    _Atomic uint64_t done; /* bytes of the files that are done */
    _Atomic bool stop;
    _Atomic size_t failed; /* a piece that failed; SIZE_MAX: none */
};

/* The place of a thread in the list of pieces; its pieces come in order. */
struct cursor {
    size_t filling, first_piece;
};

static lckv_status pack_piece(struct packing *packing, struct cursor *cursor, size_t piece,
                              uint8_t *buffer)
{
    const struct packer *packer = packing->packer;
    struct lckv_model *model = packer->model;
    while (piece - cursor->first_piece >= packer->fillings[cursor->filling].n_pieces)
        cursor->first_piece += packer->fillings[cursor->filling++].n_pieces;
    const struct filling *filling = &packer->fillings[cursor->filling];
    size_t of_filling = piece - cursor->first_piece;
    lckv_status status = filling_pack(filling, &model->checkpoint, of_filling, buffer,
                                      model->memory + filling->offset);
    /* A tensor counts as a whole, with its last piece. */
    if (of_filling + 1 == filling->n_pieces)
        atomic_fetch_add(&packing->done, filling->tensor->n_bytes);
    return status;
}

static lckv_status report(const struct packer *packer, uint64_t done)
{
    const lckv_model_options *options = packer->options;
    if (options->progress != NULL &&
        options->progress(options->progress_user, done, packer->total) != 0)
        return fail(LCKV_CANCELLED, "%s: opening was cancelled", packer->model->checkpoint.name);
    return LCKV_OK;
}

static size_t count_pieces(const struct packer *packer)
{
    size_t n = 0;
    for (size_t i = 0; i < packer->n_fillings; i++)
        n += packer->fillings[i].n_pieces;
    return n;
}

static void work(const struct worker *worker, void *context)
{
    struct packing *packing = context;
    uint8_t *buffer = packing->buffers + worker->index * packing->buffer_bytes;
    size_t n_pieces = count_pieces(packing->packer);
    struct cursor cursor = {0, 0};
    bool caller = worker->index == 0;
    if (caller)
        packing->status = packing->meanwhile(packing->packer->model, packing->packer->options);
    while (!atomic_load(&packing->stop)) {
        if (caller && packing->status != LCKV_OK) {
            atomic_store(&packing->stop, true);
            return;
        }
        size_t piece = atomic_fetch_add(&packing->next, 1);
        if (piece >= n_pieces)
            return;
        if (pack_piece(packing, &cursor, piece, buffer) != LCKV_OK) {
            atomic_store(&packing->failed, piece);
            atomic_store(&packing->stop, true);
        }
        if (caller)
            packing->status = report(packing->packer, atomic_load(&packing->done));
    }
}

static lckv_status allocate(struct packing *packing, uint32_t n_threads)
{
    const struct packer *packer = packing->packer;
    struct lckv_model *model = packer->model;
    lckv_status status = LCKV_OK;
    uint64_t most = 0;
    size_t all;
    for (size_t i = 0; i < packer->n_fillings; i++)
        most = packer->fillings[i].piece_bytes > most ? packer->fillings[i].piece_bytes : most;
    if (most > SIZE_MAX - MEMORY_ALIGN || !checked_multiply((size_t)most, n_threads, &all))
        return fail(LCKV_OUT_OF_MEMORY, "%s: rows of weights are too long", model->checkpoint.name);
    if (model->memory_bytes > 0)
        status =
            memory_alloc_raw(&model->allocator, model->memory_bytes, "weights", &model->memory);
    if (status == LCKV_OK)
        status = memory_alloc_raw(&model->allocator, all, "pieces of weights", &packing->buffers);
    packing->buffer_bytes = (size_t)most;
    return status;
}

lckv_status packer_run(struct packer *packer, struct lckv_pool *pool, packer_meanwhile meanwhile)
{
    struct lckv_model *model = packer->model;
    struct packing packing = {.packer = packer, .meanwhile = meanwhile};
    atomic_init(&packing.done, packer->done);
    atomic_init(&packing.failed, SIZE_MAX);
    uint32_t n_threads = pool_size(pool);
    lckv_status status = allocate(&packing, n_threads);
    if (status == LCKV_OK) {
        for (size_t i = 0; i < packer->n_fillings; i++)
            packer->fillings[i].matrix->data = model->memory + packer->fillings[i].offset;
        pool_run(pool, 0, work, &packing);
        status = packing.status;
    }
    if (status == LCKV_OK && packing.failed != SIZE_MAX) {
        /* Packs the piece once more on this thread, for the message. */
        struct cursor cursor = {0, 0};
        status = pack_piece(&packing, &cursor, packing.failed, packing.buffers);
        if (status == LCKV_OK)
            status = fail(LCKV_IO, "%s: a read failed once; try again", model->checkpoint.name);
    }
    memory_free(&model->allocator, packing.buffers, packing.buffer_bytes * n_threads, 1);
    return status == LCKV_OK ? report(packer, packer->total) : status;
}
