/*
 * How the fingerprint is computed. See fingerprint.h. A change here makes saved sessions foreign to
 * their models.
 */
#include "model/fingerprint.h"

#include "base/checksum.h"
#include "base/status.h"

#include <stdatomic.h>

/* The checksum so far, and room for the longest row. */
struct sum {
    uint64_t value;
    float *row;
};

static void add(struct sum *sum, const void *bytes, size_t length)
{
    sum->value = checksum(bytes, length, sum->value);
}

/* Where there is no vector, adds nothing but that. */
static void add_vector(struct sum *sum, const float *vector, uint32_t n)
{
    const uint32_t length = vector != NULL ? n : 0;
    add(sum, &length, sizeof length);
    add(sum, vector != NULL ? vector : sum->row, length * sizeof *vector);
}

static void add_matrix(struct sum *sum, const struct matrix *matrix)
{
    const uint32_t facts[] = {(uint32_t)matrix->dtype, matrix->n_rows, matrix->n_columns};
    const uint64_t last = matrix->n_rows > 0 ? matrix->n_rows - 1 : 0;
    add(sum, facts, sizeof facts);
    for (uint64_t i = 0; matrix->dtype != 0 && i < FINGERPRINT_ROWS; i++) {
        matrix_unpack_row(matrix, (uint32_t)(last * i / (FINGERPRINT_ROWS - 1)), sum->row);
        add(sum, sum->row, matrix->n_columns * sizeof *sum->row);
    }
}

static void add_linear(struct sum *sum, const struct linear *linear)
{
    add_matrix(sum, &linear->matrix);
    add_vector(sum, linear->bias, linear->matrix.n_rows);
}

static void add_layer(struct sum *sum, const struct model_layer *layer, uint32_t hidden_size)
{
    add_vector(sum, layer->attention_norm, hidden_size);
    add_vector(sum, layer->mlp_norm, hidden_size);
    add_linear(sum, &layer->q);
    add_linear(sum, &layer->k);
    add_linear(sum, &layer->v);
    add_linear(sum, &layer->o);
    add_linear(sum, &layer->gate);
    add_linear(sum, &layer->up);
    add_linear(sum, &layer->down);
}

static void add_description(struct sum *sum, const struct lckv_model *model)
{
    const struct hparams *h = &model->hparams;
    const uint32_t facts[] = {h->n_layers,          h->n_vocab,      h->hidden_size,
                              h->intermediate_size, h->n_heads,      h->n_kv_heads,
                              h->head_dim,          h->force_nodiag, h->tie_embeddings};
    add(sum, facts, sizeof facts);
    add(sum, &h->rms_norm_eps, sizeof h->rms_norm_eps);
    add(sum, model->frequencies, h->head_dim / 2 * sizeof *model->frequencies);
    for (uint32_t i = 0; i < h->n_layers; i++) {
        const struct plan_layer *layer = &model->plan->layers[i];
        const uint32_t plan[] = {layer->source, layer->windowed};
        add(sum, plan, sizeof plan);
    }
}

static lckv_status compute(const struct lckv_model *model, uint64_t *fingerprint)
{
    const struct hparams *h = &model->hparams;
    const uint32_t query = h->n_heads * h->head_dim;
    size_t most = h->hidden_size > h->intermediate_size ? h->hidden_size : h->intermediate_size;
    most = query > most ? query : most;
    struct sum sum = {0};
    lckv_status status =
        memory_alloc(&model->allocator, most, sizeof *sum.row, "a row of weights", &sum.row);
    if (status != LCKV_OK)
        return status;
    add_description(&sum, model);
    add_matrix(&sum, &model->token_embedding);
    add_vector(&sum, model->output_norm, h->hidden_size);
    add_linear(&sum, &model->output);
    for (uint32_t i = 0; i < h->n_layers; i++)
        add_layer(&sum, &model->layers[i], h->hidden_size);
    memory_free(&model->allocator, sum.row, most, sizeof *sum.row);
    *fingerprint = sum.value != 0 ? sum.value : 1;
    return LCKV_OK;
}

lckv_status model_fingerprint(const struct lckv_model *model, uint64_t *fingerprint)
{
    /* Remembering it does not change what a const model is. Two threads would store the same. */
    _Atomic uint64_t *known = (_Atomic uint64_t *)(uintptr_t)&model->fingerprint;
    *fingerprint = atomic_load(known);
    if (*fingerprint != 0)
        return LCKV_OK;
    lckv_status status = compute(model, fingerprint);
    if (status == LCKV_OK)
        atomic_store(known, *fingerprint);
    return status;
}
