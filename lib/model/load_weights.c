/*
 * Which tensors become the model's matrices and vectors. filling.c does that for one matrix.
 */
#include "model/load_weights.h"

#include "base/pool.h"
#include "kernels/blocks.h"
#include "model/architecture.h"
#include "model/packer.h"
#include "model/roles.h"
#include "model/streaming.h"

/* Vectors are small, so they are read right away. */
static lckv_status pack_vector(struct packer *packer, const struct tensor *tensor,
                               uint32_t paired_head_dim, const float **vector)
{
    struct lckv_model *model = packer->model;
    const lckv_allocator *allocator = &model->allocator;
    uint32_t n = (uint32_t)tensor->shape[0];
    model->weight_bytes += n * sizeof(float);
    model->vector_bytes += n * sizeof(float);
    if (model->without_weights)
        return LCKV_OK;
    size_t n_bytes = (size_t)tensor->n_bytes;
    uint8_t *bytes = NULL;
    float *values = NULL, *placed = NULL;
    lckv_status status = memory_alloc_raw(allocator, n_bytes, "a vector of weights", &bytes);
    if (status == LCKV_OK)
        status = memory_alloc(allocator, n, sizeof *values, "a vector of weights", &values);
    if (status == LCKV_OK)
        status = arena_alloc(&model->arena, n, sizeof *placed, "a vector of weights", &placed);
    if (status == LCKV_OK)
        status = checkpoint_read(&model->checkpoint, tensor, 0, bytes, n_bytes);
    if (status == LCKV_OK) {
        blocks_dequantize(tensor->dtype, bytes, n, values);
        for (uint32_t i = 0; i < n; i++)
            placed[i] = values[filling_source_row(i, paired_head_dim)];
        *vector = placed;
        packer->done += tensor->n_bytes;
        packer->total += tensor->n_bytes;
    }
    memory_free(allocator, bytes, n_bytes, 1);
    memory_free(allocator, values, n, sizeof *values);
    return status;
}

/* One weight of a layer: what it is, its shape, and where it goes (a matrix or a vector). */
struct entry {
    enum weight weight;
    uint32_t n_rows, n_columns; /* n_columns is 0 for a vector */
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
    if (is_matrix && packer->streaming != NULL)
        return streaming_add(packer->streaming, entry->weight, layer, tensor, entry->matrix);
    return is_matrix ? packer_add(packer, tensor, head_dim, entry->matrix)
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
        {WEIGHT_Q, query, hidden, true, true, &to->q.matrix, NULL},
        {WEIGHT_Q_BIAS, query, 0, false, true, NULL, &to->q.bias},
        {WEIGHT_O, hidden, query, true, false, &to->o.matrix, NULL},
        {WEIGHT_O_BIAS, hidden, 0, false, false, NULL, &to->o.bias},
        {WEIGHT_FFN_NORM, hidden, 0, true, false, NULL, &to->mlp_norm},
        {WEIGHT_GATE, ffn, hidden, true, false, &to->gate.matrix, NULL},
        {WEIGHT_GATE_BIAS, ffn, 0, false, false, NULL, &to->gate.bias},
        {WEIGHT_UP, ffn, hidden, true, false, &to->up.matrix, NULL},
        {WEIGHT_UP_BIAS, ffn, 0, false, false, NULL, &to->up.bias},
        {WEIGHT_DOWN, hidden, ffn, true, false, &to->down.matrix, NULL},
        {WEIGHT_DOWN_BIAS, hidden, 0, false, false, NULL, &to->down.bias},
        /* only in layers that compute keys and values */
        {WEIGHT_K, key, hidden, true, true, &to->k.matrix, NULL},
        {WEIGHT_K_BIAS, key, 0, false, true, NULL, &to->k.bias},
        {WEIGHT_V, key, hidden, true, false, &to->v.matrix, NULL},
        {WEIGHT_V_BIAS, key, 0, false, false, NULL, &to->v.bias},
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
        {WEIGHT_OUTPUT, h->n_vocab, h->hidden_size, !h->tie_embeddings, false,
         &model->outputs[0].matrix, NULL},
    };
    size_t n = sizeof shared / sizeof shared[0] - (h->tie_embeddings ? 1 : 0);
    lckv_status status = LCKV_OK;
    for (size_t e = 0; status == LCKV_OK && e < n; e++)
        status = pack_entry(packer, &shared[e], 0);
    for (uint32_t i = 0; status == LCKV_OK && i < h->n_layers; i++)
        status = pack_layer(packer, i);
    return status;
}

static lckv_status allocate(struct lckv_model *model)
{
    lckv_status status = memory_alloc(&model->allocator, model->hparams.n_layers,
                                      sizeof *model->layers, "the layers", &model->layers);
    model->n_outputs = 1;
    if (status == LCKV_OK)
        status = arena_alloc(&model->arena, 1, sizeof *model->outputs, "the output matrix",
                             &model->outputs);
    return status;
}

lckv_status measure_weights(struct lckv_model *model, const lckv_model_options *options)
{
    struct packer packer = {.model = model, .options = options};
    lckv_status status = allocate(model);
    if (status == LCKV_OK)
        status = pack_all(&packer);
    if (status == LCKV_OK && model->hparams.tie_embeddings)
        model->outputs[0].matrix = model->token_embedding;
    packer_release(&packer);
    return status;
}

lckv_status load_weights(struct lckv_model *model, const lckv_model_options *options,
                         packer_meanwhile meanwhile)
{
    struct packer packer = {.model = model, .options = options};
    struct streaming streaming;
    struct lckv_pool *pool = options->pool;
    const bool streamed = options->weights == LCKV_WEIGHTS_STREAMED;
    lckv_status status = allocate(model);
    if (pool != NULL)
        pool_retain(pool);
    else if (status == LCKV_OK) /* what is streamed leaves nothing to pack */
        status = pool_create(streamed ? 1 : 0, &model->allocator, &pool);
    if (status == LCKV_OK && streamed) {
        packer.streaming = &streaming;
        status = streaming_begin(&streaming, model);
    }
    if (status == LCKV_OK)
        status = pack_all(&packer);
    if (status == LCKV_OK)
        status = packer_run(&packer, pool, meanwhile);
    if (status == LCKV_OK && streamed)
        status = streaming_end(&streaming, options->stream_bytes);
    else if (status == LCKV_OK && model->hparams.tie_embeddings)
        model->outputs[0].matrix = model->token_embedding;
    packer_release(&packer);
    pool_release(pool);
    return status;
}

void release_weights(struct lckv_model *model)
{
    const lckv_allocator *allocator = &model->allocator;
    memory_free(allocator, model->memory, model->memory_bytes, 1);
    memory_free(allocator, model->layers, model->hparams.n_layers, sizeof *model->layers);
    model->layers = NULL;
}
