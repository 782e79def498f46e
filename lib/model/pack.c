/*
 * Packing. Files are read in pieces of a few megabytes, by all cores, and their rows interleaved
 * into place; q and k rows that GGUF pairs as (2d, 2d + 1) come back to the order (d, d + head_dim
 * / 2) on the way.
 */
#include "model/pack.h"

#include "base/pool.h"
#include "base/status.h"
#include "kernels/blocks.h"
#include "model/weights.h"

#include <stdatomic.h>
#include <string.h>

#define PIECE_BYTES (2u << 20)

struct packer {
    struct lckv_model *model;
    struct lckv_pool *pool;
    uint8_t *pieces; /* one for each thread */
    size_t piece_bytes, n_pieces;
    uint64_t done, total; /* bytes of weights */
    lckv_progress_callback progress;
    void *progress_user;
};

static lckv_status advance(struct packer *packer, uint64_t bytes)
{
    packer->done += bytes;
    if (packer->progress != NULL &&
        packer->progress(packer->progress_user, packer->done, packer->total) != 0)
        return fail(LCKV_CANCELLED, "%s: opening was cancelled", packer->model->checkpoint.name);
    return LCKV_OK;
}

/* Room for a piece of at least `wanted` bytes for each thread. */
static lckv_status size_pieces(struct packer *packer, uint64_t wanted)
{
    if (wanted <= packer->piece_bytes)
        return LCKV_OK;
    const lckv_allocator *allocator = &packer->model->allocator;
    size_t bytes = wanted > PIECE_BYTES ? (size_t)wanted : PIECE_BYTES, all;
    memory_free(allocator, packer->pieces, packer->n_pieces * packer->piece_bytes, 1);
    packer->pieces = NULL;
    packer->piece_bytes = 0;
    if (!checked_multiply(bytes, packer->n_pieces, &all))
        return fail(LCKV_OUT_OF_MEMORY, "rows of weights are too long");
    lckv_status status = memory_alloc_raw(allocator, all, "a piece of weights", &packer->pieces);
    if (status == LCKV_OK)
        packer->piece_bytes = bytes;
    return status;
}

/* A matrix on its way: groups are packed in pieces, by all threads. */
struct packing {
    struct packer *packer;
    const struct tensor *tensor;
    struct matrix *matrix;
    uint64_t row_bytes;
    uint32_t paired_head_dim; /* 0, or the head_dim of rows that the file pairs as neighbours */
    uint32_t groups_at_once;
    _Atomic uint32_t next;
    _Atomic uint32_t failed; /* the first group of a piece that failed */
};

/* The row of the file that belongs in row `row`. */
static uint32_t source_of_row(uint32_t row, uint32_t paired_head_dim)
{
    if (paired_head_dim == 0)
        return row;
    uint32_t half = paired_head_dim / 2, in_head = row % paired_head_dim;
    return row - in_head + in_head % half * 2 + in_head / half;
}

static lckv_status pack_piece(const struct packing *packing, uint32_t first, uint8_t *piece)
{
    struct matrix *matrix = packing->matrix;
    uint32_t group_rows = matrix->layout.group_rows, n_rows = matrix->n_rows;
    uint32_t end = matrix->n_groups - first < packing->groups_at_once
                       ? matrix->n_groups
                       : first + packing->groups_at_once;
    uint32_t begin_row = first * group_rows,
             end_row = end == matrix->n_groups ? n_rows : end * group_rows;
    uint32_t head = packing->paired_head_dim;
    if (head != 0) { /* whole heads hold all that is needed */
        begin_row = begin_row / head * head;
        end_row = (end_row + head - 1) / head * head;
    }
    lckv_status status = checkpoint_read(&packing->packer->model->checkpoint, packing->tensor,
                                         begin_row * packing->row_bytes, piece,
                                         (size_t)((end_row - begin_row) * packing->row_bytes));
    for (uint32_t g = first; status == LCKV_OK && g < end; g++) {
        const uint8_t *rows[MATRIX_MAX_GROUP];
        for (uint32_t lane = 0; lane < group_rows; lane++) {
            uint32_t row = g * group_rows + lane, source = source_of_row(row, head);
            rows[lane] = row < n_rows ? piece + (source - begin_row) * packing->row_bytes : NULL;
        }
        matrix_pack_group(matrix, g, rows);
    }
    return status;
}

static void pack_worker(const struct worker *worker, void *context)
{
    struct packing *packing = context;
    struct packer *packer = packing->packer;
    for (;;) {
        uint32_t first = atomic_fetch_add(&packing->next, packing->groups_at_once);
        if (first >= packing->matrix->n_groups || atomic_load(&packing->failed) != UINT32_MAX)
            return;
        if (pack_piece(packing, first, packer->pieces + worker->index * packer->piece_bytes) !=
            LCKV_OK)
            atomic_store(&packing->failed, first);
    }
}

static lckv_status pack_matrix(struct packer *packer, const struct tensor *tensor,
                               uint32_t paired_head_dim, struct matrix *matrix)
{
    struct lckv_model *model = packer->model;
    uint32_t n_rows = (uint32_t)tensor->shape[0], n_columns = (uint32_t)tensor->shape[1];
    struct matrix_layout layout = model->kernels->layout;
    struct packing packing = {.packer = packer,
                              .tensor = tensor,
                              .matrix = matrix,
                              .row_bytes = tensor->n_bytes / n_rows,
                              .paired_head_dim = paired_head_dim,
                              .groups_at_once = 1,
                              .failed = UINT32_MAX};
    uint64_t group_bytes = packing.row_bytes * layout.group_rows;
    if (group_bytes < PIECE_BYTES)
        packing.groups_at_once = (uint32_t)(PIECE_BYTES / (group_bytes > 0 ? group_bytes : 1));
    uint64_t most_rows = (uint64_t)packing.groups_at_once * layout.group_rows + 2 * paired_head_dim;
    most_rows = most_rows < n_rows ? most_rows : n_rows;
    lckv_status status = size_pieces(packer, most_rows * packing.row_bytes);
    if (status == LCKV_OK)
        status = matrix_create(matrix, tensor->dtype, n_rows, n_columns, layout, &model->allocator);
    if (status != LCKV_OK)
        return status;
    pool_run(packer->pool, pack_worker, &packing);
    if (packing.failed != UINT32_MAX) {
        /* Once more on this thread, for the message. */
        status = pack_piece(&packing, packing.failed, packer->pieces);
        if (status == LCKV_OK)
            status = fail(LCKV_IO, "%s: a read failed once; try again", model->checkpoint.name);
        return status;
    }
    model->weight_bytes += matrix->n_bytes;
    return advance(packer, tensor->n_bytes);
}

static lckv_status pack_vector(struct packer *packer, const struct tensor *tensor,
                               uint32_t paired_head_dim, const float **vector)
{
    struct lckv_model *model = packer->model;
    uint32_t n = (uint32_t)tensor->shape[0];
    float *values, *placed;
    lckv_status status = size_pieces(packer, tensor->n_bytes + (n + 1) * sizeof(float));
    if (status == LCKV_OK)
        status = arena_alloc(&model->arena, n, sizeof *placed, "a vector of weights", &placed);
    if (status == LCKV_OK)
        status =
            checkpoint_read(&model->checkpoint, tensor, 0, packer->pieces, (size_t)tensor->n_bytes);
    if (status != LCKV_OK)
        return status;
    uint64_t aligned = (tensor->n_bytes + 3) / 4 * 4;
    values = (float *)(void *)(packer->pieces + aligned);
    blocks_dequantize(tensor->dtype, packer->pieces, n, values);
    for (uint32_t i = 0; i < n; i++)
        placed[i] = values[source_of_row(i, paired_head_dim)];
    *vector = placed;
    model->weight_bytes += n * sizeof *placed;
    return advance(packer, tensor->n_bytes);
}

/* One weight of a layer: what it is, its shape, and where it goes (a matrix or a vector). */
struct entry {
    enum weight weight;
    uint32_t n_rows, n_columns; /* n_columns 0: a vector */
    bool required;
    bool rotated; /* rows of q and k */
    struct matrix *matrix;
    const float **vector;
};

static lckv_status pack_entry(struct packer *packer, const struct entry *entry, uint32_t layer)
{
    const struct lckv_model *model = packer->model;
    const struct tensor *tensor = NULL;
    bool is_matrix = entry->matrix != NULL;
    lckv_status status =
        weight_find(&model->checkpoint, entry->weight, layer, is_matrix ? 2 : 1, entry->n_rows,
                    is_matrix ? entry->n_columns : 1, entry->required, &tensor);
    if (status != LCKV_OK || tensor == NULL)
        return status;
    bool paired = entry->rotated && model->checkpoint.kind == CHECKPOINT_GGUF &&
                  model->hparams.architecture->gguf_rope_adjacent;
    uint32_t head_dim = paired ? model->hparams.head_dim : 0;
    return is_matrix ? pack_matrix(packer, tensor, head_dim, entry->matrix)
                     : pack_vector(packer, tensor, head_dim, entry->vector);
}

static lckv_status pack_layer(struct packer *packer, uint32_t i)
{
    struct lckv_model *model = packer->model;
    const struct hparams *h = &model->hparams;
    struct model_layer *to = &model->layers[i];
    bool kv = model->plan->layers[i].slot >= 0;
    uint32_t query = h->n_heads * h->head_dim, key = h->n_kv_heads * h->head_dim;
    uint32_t hidden = h->hidden_size, ffn = h->intermediate_size;
    const struct entry entries[] = {
        {WEIGHT_ATTENTION_NORM, hidden, 0, true, false, NULL, &to->attention_norm},
        {WEIGHT_Q, query, hidden, true, true, &to->q, NULL},
        {WEIGHT_Q_BIAS, query, 0, false, true, NULL, &to->q_bias},
        {WEIGHT_O, hidden, query, true, false, &to->o, NULL},
        {WEIGHT_O_BIAS, hidden, 0, false, false, NULL, &to->o_bias},
        {WEIGHT_FFN_NORM, hidden, 0, true, false, NULL, &to->ffn_norm},
        {WEIGHT_GATE, ffn, hidden, true, false, &to->gate, NULL},
        {WEIGHT_GATE_BIAS, ffn, 0, false, false, NULL, &to->gate_bias},
        {WEIGHT_UP, ffn, hidden, true, false, &to->up, NULL},
        {WEIGHT_UP_BIAS, ffn, 0, false, false, NULL, &to->up_bias},
        {WEIGHT_DOWN, hidden, ffn, true, false, &to->down, NULL},
        {WEIGHT_DOWN_BIAS, hidden, 0, false, false, NULL, &to->down_bias},
        /* only of layers that compute keys and values */
        {WEIGHT_K, key, hidden, true, true, &to->k, NULL},
        {WEIGHT_K_BIAS, key, 0, false, true, NULL, &to->k_bias},
        {WEIGHT_V, key, hidden, true, false, &to->v, NULL},
        {WEIGHT_V_BIAS, key, 0, false, false, NULL, &to->v_bias},
    };
    size_t n = sizeof entries / sizeof entries[0] - (kv ? 0 : 4);
    lckv_status status = LCKV_OK;
    for (size_t e = 0; status == LCKV_OK && e < n; e++)
        status = pack_entry(packer, &entries[e], i);
    return status;
}

static lckv_status pack_all(struct packer *packer)
{
    struct lckv_model *model = packer->model;
    const struct hparams *h = &model->hparams;
    const struct entry shared[] = {
        {WEIGHT_TOKEN_EMBEDDING, h->n_vocab, h->hidden_size, true, false, &model->token_embedding,
         NULL},
        {WEIGHT_OUTPUT_NORM, h->hidden_size, 0, true, false, NULL, &model->output_norm},
        {WEIGHT_OUTPUT, h->n_vocab, h->hidden_size, !h->tie_embeddings, false, &model->output,
         NULL},
    };
    size_t n = sizeof shared / sizeof shared[0] - (h->tie_embeddings ? 1 : 0);
    lckv_status status = LCKV_OK;
    for (size_t e = 0; status == LCKV_OK && e < n; e++)
        status = pack_entry(packer, &shared[e], 0);
    for (uint32_t i = 0; status == LCKV_OK && i < h->n_layers; i++)
        status = pack_layer(packer, i);
    if (status == LCKV_OK && h->tie_embeddings) {
        model->tied = true;
        model->output = model->token_embedding;
    }
    return status;
}

lckv_status pack_weights(struct lckv_model *model, lckv_progress_callback progress,
                         void *progress_user)
{
    struct packer packer = {.model = model, .progress = progress, .progress_user = progress_user};
    for (size_t i = 0; i < model->checkpoint.n_tensors; i++)
        packer.total += model->checkpoint.tensors[i].n_bytes;
    lckv_status status = memory_alloc(&model->allocator, model->hparams.n_layers,
                                      sizeof *model->layers, "the layers", &model->layers);
    if (status == LCKV_OK)
        status = pool_create(0, &model->allocator, &packer.pool);
    if (status == LCKV_OK) {
        packer.n_pieces = pool_size(packer.pool);
        status = pack_all(&packer);
    }
    memory_free(&model->allocator, packer.pieces, packer.n_pieces * packer.piece_bytes, 1);
    pool_release(packer.pool);
    return status;
}

void unpack_weights(struct lckv_model *model)
{
    const lckv_allocator *allocator = &model->allocator;
    if (!model->tied)
        matrix_release(&model->output, allocator);
    matrix_release(&model->token_embedding, allocator);
    for (uint32_t i = 0; model->layers != NULL && i < model->hparams.n_layers; i++) {
        struct model_layer *layer = &model->layers[i];
        struct matrix *const matrices[] = {&layer->q,  &layer->k,    &layer->v,   &layer->o,
                                           &layer->up, &layer->gate, &layer->down};
        for (size_t m = 0; m < sizeof matrices / sizeof matrices[0]; m++)
            matrix_release(matrices[m], allocator);
    }
    memory_free(allocator, model->layers, model->hparams.n_layers, sizeof *model->layers);
    model->layers = NULL;
}
