/*
 * Embeddings that belong to single layers. See layer_inputs.h.
 */
#include "engine/layer_inputs.h"

#include "engine/altup.h"
#include "engine/linear.h"
#include "kernels/vectors.h"

#include <math.h>

/*
 * `inputs` holds the products of the mix. They become, layer by layer, (table row * sqrt(size) +
 * rmsnorm(products / sqrt(hidden_size))) / sqrt(2).
 */
static void make_inputs(const struct lckv_model *model, lckv_token token, float *row, float *inputs)
{
    const struct hparams *h = &model->hparams;
    const size_t size = h->layer_input_size, n = size * h->n_layers;
    const float before = 1.0f / sqrtf((float)h->hidden_size), of_row = sqrtf((float)size);
    const float after = 1.0f / sqrtf(2.0f);
    input_table_row(&model->input_table, token, row);
    vector_scale(inputs, before, n);
    for (size_t k = 0; k < n; k += size)
        model->kernels->rms_norm(inputs + k, model->input_mix.norm, h->rms_norm_eps, size,
                                 inputs + k);
    for (size_t k = 0; k < n; k++)
        inputs[k] = (row[k] * of_row + inputs[k]) * after;
}

void layer_inputs(struct task *task)
{
    const struct lckv_model *model = task->pass->model;
    const struct workspace *w = task->pass->workspace;
    const struct product mix = {&model->input_mix, &w->inputs};
    if (model->hparams.layer_input_size == 0)
        return;
    linear(task, (struct source){.buffer = &w->hidden}, &mix, 1);
    float *row = w->input_row + task->worker->index * w->inputs.stride;
    struct step step = step_begin(task, task->batch->n_rows, 1, SIZE_MAX);
    struct range rows;
    while (step_claim(&step, &rows)) {
        for (size_t m = rows.begin; m < rows.end; m++)
            make_inputs(model, task->batch->rows[m].token, row,
                        w->inputs.values + m * w->inputs.stride);
    }
    step_end(&step);
    if (model->hparams.n_side_streams > 0)
        altup_begin(task);
}

static void scale_hidden(struct task *task, float scale)
{
    const struct buffer *hidden = &task->pass->workspace->hidden;
    const size_t n = task->pass->model->hparams.hidden_size;
    struct step step = step_begin(task, task->batch->n_rows, 1, SIZE_MAX);
    struct range rows;
    while (step_claim(&step, &rows)) {
        for (size_t m = rows.begin; m < rows.end; m++)
            vector_scale(hidden->values + m * hidden->stride, scale, n);
    }
    step_end(&step);
}

void finish_layer(struct task *task, const struct model_layer *layer, uint32_t i)
{
    const struct workspace *w = task->pass->workspace;
    const size_t size = task->pass->model->hparams.layer_input_size;
    const struct product gate = {&layer->input_gate, &w->input_gate};
    if (task->pass->model->hparams.n_side_streams > 0) {
        altup_finish_layer(task, layer, i);
    } else if (size > 0) {
        const struct buffer of_layer = {w->inputs.values + i * size, w->inputs.stride};
        linear_gate(task, (struct source){.buffer = &w->hidden}, &gate, &of_layer);
        add_back(task, (struct source){.buffer = &w->input_gate}, &layer->input_out);
    }
    if (layer->scale != NULL)
        scale_hidden(task, *layer->scale);
}
