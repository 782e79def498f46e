/*
 * Which tensors become the model's matrices and vectors. filling.c does that for one matrix.
 */
#include "model/load_weights.h"

#include "base/pool.h"
#include "base/status.h"
#include "base/text.h"
#include "model/architecture.h"
#include "model/input_table.h"
#include "model/packer.h"
#include "model/roles.h"
#include "model/scales.h"
#include "model/streaming.h"

/*
 * Vectors are small, so they are read right away, as are small matrices, row behind row. `added` is
 * added to each number.
 */
static lckv_status pack_vector(struct packer *packer, const struct tensor *tensor, float added,
                               uint32_t paired_head_dim, const float **vector)
{
    struct lckv_model *model = packer->model;
    const lckv_allocator *allocator = &model->allocator;
    const size_t n_rows = tensor->n_dims > 1 ? (size_t)tensor->shape[0] : 1;
    const size_t n_columns = (size_t)tensor->shape[tensor->n_dims - 1], n = n_rows * n_columns;
    if (tensor->layout.lanes > 0)
        return fail(LCKV_UNSUPPORTED,
                    "%s: tensor %s is packed; expected plain rows, as lckv convert writes them",
                    model->checkpoint.name, quoted(tensor->name.bytes, tensor->name.length).text);
    model->weight_bytes += n * sizeof(float);
    model->vector_bytes += n * sizeof(float);
    if (model->without_weights)
        return LCKV_OK;
    const size_t n_bytes = (size_t)tensor->n_bytes;
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
        for (size_t row = 0; row < n_rows; row++)
            scales_dequantize(tensor, row, bytes + row * (n_bytes / n_rows), n_columns,
                              values + row * n_columns);
        for (size_t i = 0; i < n; i++)
            placed[i] = values[filling_source_row((uint32_t)i, paired_head_dim)];
        for (size_t i = 0; added != 0 && i < n; i++)
            placed[i] += added;
        *vector = placed;
        packer->done += tensor->n_bytes;
        packer->total += tensor->n_bytes;
    }
    memory_free(allocator, bytes, n_bytes, 1);
    memory_free(allocator, values, n, sizeof *values);
    return status;
}

static lckv_status pack_weight(struct packer *packer, enum weight weight, uint32_t layer)
{
    struct lckv_model *model = packer->model;
    const struct hparams *h = &model->hparams;
    const struct tensor *tensor = NULL;
    struct matrix *matrix = weight_matrix(model, weight, layer);
    const float **vector = weight_vector(model, weight, layer);
    if (matrix == NULL && vector == NULL)
        return LCKV_OK;
    lckv_status status =
        weight_find(&model->checkpoint, h, weight, layer, !weight_is_optional(h, weight), &tensor);
    if (status != LCKV_OK || tensor == NULL)
        return status;
    bool paired = weight_is_rotated(weight) && model->checkpoint.kind == CHECKPOINT_GGUF &&
                  h->architecture->gguf_rope_adjacent;
    uint32_t head_dim = paired ? h->layers[layer].head_dim : 0;
    const float added = weight_is_norm(weight)
                            ? architecture_norm_offset(h->architecture, model->checkpoint.kind)
                            : 0;
    if (vector != NULL)
        return pack_vector(packer, tensor, added, head_dim, vector);
    return packer->streaming != NULL
               ? streaming_add(packer->streaming, weight, layer, tensor, matrix)
               : packer_add(packer, tensor, head_dim, matrix);
}

/* Whether the model has this weight, in a layer if it is one of a layer. */
static bool has_weight(const struct lckv_model *model, enum weight weight, uint32_t layer)
{
    const struct hparams *h = &model->hparams;
    if (weight == WEIGHT_OUTPUT)
        return !h->tie_embeddings;
    return weight_belongs(h, weight, layer) &&
           (!weight_is_kv(weight) || model->plan->layers[layer].slot >= 0);
}

static lckv_status make_ones(struct lckv_model *model, uint32_t n, const float **vector)
{
    float *ones;
    lckv_status status = arena_alloc(&model->arena, n, sizeof *ones, "a vector of ones", &ones);
    for (uint32_t i = 0; status == LCKV_OK && i < n; i++)
        ones[i] = 1;
    *vector = ones;
    return status;
}

/* A norm without weight is one whose weights are 1. */
static lckv_status add_value_norms(struct lckv_model *model)
{
    const float *ones = NULL;
    lckv_status status = make_ones(model, model->hparams.widest.head_dim, &ones);
    for (uint32_t i = 0; status == LCKV_OK && i < model->hparams.n_layers; i++)
        model->layers[i].v.norm = ones;
    return status;
}

/*
 * Laurel reads what attention reads, after the same norm. What AltUp corrects may not be scaled,
 * which is to scale it by 1.
 */
static lckv_status complete_altup(struct lckv_model *model)
{
    const float *ones = NULL;
    lckv_status status = LCKV_OK;
    if (model->hparams.unscaled_correction)
        status = make_ones(model, model->hparams.hidden_size, &ones);
    for (uint32_t i = 0; status == LCKV_OK && i < model->hparams.n_layers; i++) {
        model->layers[i].laurel.input_norm = model->layers[i].attention_norm;
        if (ones != NULL)
            model->layers[i].altup.scale = ones;
    }
    return status;
}

/* Where there is no W_v, W_k computes values, too. */
static void use_keys_as_values(struct lckv_model *model)
{
    for (uint32_t i = 0; i < model->hparams.n_layers; i++) {
        if (model->hparams.layers[i].v_is_k)
            model->layers[i].v.matrix = model->layers[i].k.matrix;
    }
}

static lckv_status pack_input_table(struct packer *packer)
{
    struct lckv_model *model = packer->model;
    const struct tensor *tensor = NULL;
    if (model->hparams.layer_input_size == 0)
        return LCKV_OK;
    if (packer->streaming != NULL)
        return fail(LCKV_UNSUPPORTED,
                    "%s: layers have embeddings of their own, and such models cannot be streamed; "
                    "their largest tensor stays in the file anyway",
                    model->checkpoint.name);
    lckv_status status =
        weight_find(&model->checkpoint, &model->hparams, WEIGHT_INPUT_TABLE, 0, true, &tensor);
    if (status == LCKV_OK)
        status = input_table_open(&model->input_table, &model->checkpoint, tensor,
                                  model->hparams.n_input_tokens, packer->options->weights,
                                  &model->allocator);
    if (status == LCKV_OK)
        model->weight_bytes += tensor->n_bytes;
    return status;
}

static lckv_status pack_all(struct packer *packer)
{
    const struct lckv_model *model = packer->model;
    lckv_status status = pack_input_table(packer);
    for (int w = 0; status == LCKV_OK && w < WEIGHT_COUNT; w++) {
        if (!weight_is_per_layer((enum weight)w) && has_weight(model, (enum weight)w, 0))
            status = pack_weight(packer, (enum weight)w, 0);
    }
    for (uint32_t i = 0; i < model->hparams.n_layers; i++) {
        for (int w = 0; status == LCKV_OK && w < WEIGHT_COUNT; w++) {
            if (weight_is_per_layer((enum weight)w) && has_weight(model, (enum weight)w, i))
                status = pack_weight(packer, (enum weight)w, i);
        }
    }
    return status;
}

static lckv_status allocate(struct lckv_model *model)
{
    model->n_outputs = 1;
    return arena_alloc(&model->arena, 1, sizeof *model->outputs, "the output matrix",
                       &model->outputs);
}

lckv_status measure_weights(struct lckv_model *model, const lckv_model_options *options)
{
    struct packer packer = {.model = model, .options = options};
    lckv_status status = allocate(model);
    if (status == LCKV_OK)
        status = pack_all(&packer);
    if (status == LCKV_OK && model->hparams.tie_embeddings)
        model->outputs[0].matrix = model->token_embedding;
    if (status == LCKV_OK)
        use_keys_as_values(model);
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
    if (status == LCKV_OK && model->hparams.architecture->values_normed)
        status = add_value_norms(model);
    if (status == LCKV_OK && model->hparams.architecture->altup)
        status = complete_altup(model);
    if (status == LCKV_OK)
        status = packer_run(&packer, pool, meanwhile);
    if (status == LCKV_OK && streamed)
        status = streaming_end(&streaming, options->stream_bytes);
    else if (status == LCKV_OK && model->hparams.tie_embeddings)
        model->outputs[0].matrix = model->token_embedding;
    if (status == LCKV_OK)
        use_keys_as_values(model);
    packer_release(&packer);
    pool_release(pool);
    return status;
}

void release_weights(struct lckv_model *model)
{
    input_table_close(&model->input_table, &model->allocator);
    memory_free(&model->allocator, model->memory, model->memory_bytes, 1);
}
