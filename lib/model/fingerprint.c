/*
 * How the fingerprint is computed. See fingerprint.h. A change here makes saved sessions foreign to
 * their models.
 */
#include "model/fingerprint.h"

#include "base/checksum.h"
#include "base/status.h"
#include "model/streaming.h"

#include <stdatomic.h>

static const _Atomic int never_cancelled;

/* The checksum so far, and room for the longest row. */
struct sum {
    const struct lckv_model *model;
    uint64_t value;
    float *row;
    bool failed; /* weights that are streamed could not be read */
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

/* Sampled row i of n_rows: the first one, the last one, and others between them. */
static uint32_t sampled_row(uint32_t n_rows, uint32_t i)
{
    const uint64_t last = n_rows > 0 ? n_rows - 1 : 0;
    return (uint32_t)(last * i / (FINGERPRINT_ROWS - 1));
}

static void add_facts(struct sum *sum, const struct matrix *matrix, uint32_t n_rows)
{
    const uint32_t facts[] = {(uint32_t)matrix->dtype, n_rows, matrix->n_columns};
    add(sum, facts, sizeof facts);
}

static void add_row(struct sum *sum, const struct matrix *matrix, uint32_t row)
{
    matrix_unpack_row(matrix, row, sum->row);
    add(sum, sum->row, matrix->n_columns * sizeof *sum->row);
}

/* The matrix's data lie `shift` bytes behind where it says. */
static void add_matrix(struct sum *sum, const struct matrix *matrix, size_t shift)
{
    struct matrix there = *matrix;
    add_facts(sum, matrix, matrix->n_rows);
    if (matrix->dtype == LCKV_DTYPE_DEFAULT) /* there is none */
        return;
    there.data += shift;
    for (uint32_t i = 0; i < FINGERPRINT_ROWS; i++)
        add_row(sum, &there, sampled_row(matrix->n_rows, i));
}

/* Its norm, if there is one, has `n_norm` weights. */
static void add_linear(struct sum *sum, const struct linear *linear, uint32_t n_norm, size_t shift)
{
    add_matrix(sum, &linear->matrix, shift);
    add_vector(sum, linear->bias, linear->matrix.n_rows);
    if (linear->norm != NULL)
        add_vector(sum, linear->norm, n_norm);
}

/* How far the data of a portion lie behind where its matrices say; 0 unless they are streamed. */
static size_t portion_shift(struct sum *sum, uint32_t portion)
{
    size_t shift = 0;
    struct weight_ring *ring = sum->model->ring;
    if (ring != NULL && !sum->failed)
        sum->failed = !weight_ring_await(ring, portion, portion, &never_cancelled, &shift);
    return shift;
}

/* How the streams are mixed around a layer, the map beside its attention, and which gates count. */
static void add_mixing(struct sum *sum, const struct model_layer *layer)
{
    const uint32_t hidden_size = sum->model->hparams.hidden_size;
    const uint32_t n = ALTUP_STREAMS;
    add_vector(sum, layer->altup.router, n * hidden_size);
    add_vector(sum, layer->altup.router_norm, hidden_size);
    add_vector(sum, layer->altup.predict, n * n * n);
    add_vector(sum, layer->altup.correct, n * n);
    add_vector(sum, layer->altup.scale, hidden_size);
    add_linear(sum, &layer->laurel.left, 0, 0);
    add_linear(sum, &layer->laurel.right, hidden_size, 0);
    add(sum, &layer->shape->sparsity, sizeof layer->shape->sparsity);
}

static void add_layer(struct sum *sum, uint32_t i)
{
    const struct model_layer *layer = &sum->model->layers[i];
    const uint32_t hidden_size = sum->model->hparams.hidden_size;
    const size_t shift = portion_shift(sum, i);
    if (sum->failed)
        return;
    add_vector(sum, layer->attention_norm, hidden_size);
    add_vector(sum, layer->mlp_norm, hidden_size);
    add_linear(sum, &layer->q, layer->shape->head_dim, shift);
    add_linear(sum, &layer->k, layer->shape->head_dim, shift);
    add_linear(sum, &layer->v, layer->shape->head_dim, shift);
    add_linear(sum, &layer->o, hidden_size, shift);
    add_linear(sum, &layer->gate, 0, shift);
    add_linear(sum, &layer->up, 0, shift);
    add_linear(sum, &layer->down, hidden_size, shift);
    if (layer->scale != NULL)
        add_vector(sum, layer->scale, 1);
    if (sum->model->hparams.layer_input_size > 0) {
        add_linear(sum, &layer->input_gate, 0, shift);
        add_linear(sum, &layer->input_out, hidden_size, shift);
    }
    if (sum->model->hparams.n_side_streams > 0)
        add_mixing(sum, layer);
}

static void add_layer_inputs(struct sum *sum)
{
    const struct lckv_model *model = sum->model;
    const struct input_table *table = &model->input_table;
    if (model->hparams.layer_input_size == 0)
        return;
    add_linear(sum, &model->input_mix, model->hparams.layer_input_size, 0);
    for (uint32_t i = 0; i < FINGERPRINT_ROWS; i++) {
        const uint32_t token = sampled_row(model->hparams.n_input_tokens, i);
        input_table_row(table, (lckv_token)token, sum->row);
        add(sum, sum->row, table->n_columns * sizeof *sum->row);
    }
}

/* What the side streams begin and end with. */
static void add_streams(struct sum *sum)
{
    const struct lckv_model *model = sum->model;
    for (uint32_t i = 0; i < model->hparams.n_side_streams; i++) {
        add_matrix(sum, &model->stream_in[i].matrix, 0);
        add_matrix(sum, &model->stream_out[i].matrix, 0);
    }
}

static void add_embedding(struct sum *sum)
{
    const struct matrix *embedding = &sum->model->token_embedding;
    add_facts(sum, embedding, embedding->n_rows);
    for (uint32_t i = 0; i < FINGERPRINT_ROWS && !sum->failed; i++) {
        const uint32_t row = sampled_row(embedding->n_rows, i);
        if (sum->model->ring == NULL) {
            add_row(sum, embedding, row);
            continue;
        }
        sum->failed = !streaming_embed(sum->model, (lckv_token)row, &never_cancelled, sum->row);
        add(sum, sum->row, embedding->n_columns * sizeof *sum->row);
    }
}

/* The output matrix is one matrix here, too, if it is streamed in parts. */
static void add_output(struct sum *sum)
{
    const struct lckv_model *model = sum->model;
    add_facts(sum, &model->outputs[0].matrix, model->hparams.n_vocab);
    uint32_t i = 0;
    for (uint32_t p = 0; p < model->n_outputs; p++) {
        struct output_part part = model->outputs[p];
        part.matrix.data += portion_shift(sum, model->hparams.n_layers + p);
        for (; i < FINGERPRINT_ROWS && !sum->failed; i++) {
            const uint32_t row = sampled_row(model->hparams.n_vocab, i);
            if (row >= part.first_row + part.matrix.n_rows)
                break;
            add_row(sum, &part.matrix, row - part.first_row);
        }
    }
}

static bool is_widest(const struct layer_hparams *widest, const struct layer_hparams *layer)
{
    return layer->head_dim == widest->head_dim && layer->n_kv_heads == widest->n_kv_heads &&
           layer->intermediate_size == widest->intermediate_size && layer->rope == 0;
}

static void add_description(struct sum *sum, const struct lckv_model *model)
{
    const struct hparams *h = &model->hparams;
    const uint32_t facts[] = {
        h->n_layers,      h->n_vocab,           h->hidden_size,     h->widest.intermediate_size,
        h->n_heads,       h->widest.n_kv_heads, h->widest.head_dim, h->force_nodiag,
        h->tie_embeddings};
    add(sum, facts, sizeof facts);
    add(sum, &h->rms_norm_eps, sizeof h->rms_norm_eps);
    const enum activation activation = h->architecture->activation;
    if (activation != ACTIVATION_SILU)
        add(sum, &activation, sizeof activation);
    for (uint32_t i = 0; i < SCALES; i++) {
        if (h->scales[i] != scale_default((enum scale)i)) {
            add(sum, &i, sizeof i); /* which one it is */
            add(sum, &h->scales[i], sizeof h->scales[i]);
        }
    }
    for (uint32_t r = 0; r < h->n_ropes; r++) {
        const struct rope *rope = &model->ropes[r];
        add(sum, rope->frequencies, rope->n_pairs * sizeof *rope->frequencies);
        if (rope->magnitude != 1)
            add(sum, &rope->magnitude, sizeof rope->magnitude);
    }
    for (uint32_t i = 0; i < h->n_layers; i++) {
        const struct model_layer *layer = &model->layers[i];
        const uint32_t plan[] = {layer->plan->source, layer->plan->windowed};
        add(sum, plan, sizeof plan);
        const uint32_t shape[] = {layer->shape->head_dim, layer->shape->n_kv_heads,
                                  layer->shape->intermediate_size, layer->shape->rope,
                                  layer->shape->kv_shape};
        if (!is_widest(&h->widest, layer->shape)) /* what all layers have has been added */
            add(sum, shape, sizeof shape);
    }
}

static void add_weights(struct sum *sum)
{
    const struct lckv_model *model = sum->model;
    add_embedding(sum);
    add_layer_inputs(sum);
    add_streams(sum);
    for (uint32_t i = 0; i < model->hparams.n_layers; i++)
        add_layer(sum, i);
    add_vector(sum, model->output_norm, model->hparams.hidden_size);
    add_output(sum);
}

/* Weights that are streamed come as in a pass. */
static lckv_status add_streamed_weights(struct sum *sum)
{
    const struct lckv_model *model = sum->model;
    const uint32_t n_layers = model->hparams.n_layers;
    const struct ring_pass pass = {.end_layer = n_layers,
                                   .end_output = n_layers + model->n_outputs};
    lckv_status status = weight_ring_begin(model->ring, &pass, &never_cancelled);
    if (status != LCKV_OK)
        return status;
    add_weights(sum);
    return weight_ring_end(model->ring);
}

static lckv_status compute(const struct lckv_model *model, uint64_t *fingerprint)
{
    const struct hparams *h = &model->hparams;
    const uint32_t query = h->n_heads * h->widest.head_dim, mlp = h->widest.intermediate_size;
    const uint32_t columns[] = {h->hidden_size, query, mlp, h->layer_input_size, h->laurel_rank};
    size_t most = model->input_table.n_columns;
    for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++)
        most = columns[i] > most ? columns[i] : most;
    struct sum sum = {.model = model};
    lckv_status status =
        memory_alloc(&model->allocator, most, sizeof *sum.row, "a row of weights", &sum.row);
    if (status != LCKV_OK)
        return status;
    add_description(&sum, model);
    if (model->ring == NULL)
        add_weights(&sum);
    else
        status = add_streamed_weights(&sum);
    memory_free(&model->allocator, sum.row, most, sizeof *sum.row);
    *fingerprint = sum.value != 0 ? sum.value : 1;
    return status;
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
