/*
 * The weights that a pass comes to. See layer_weights.h.
 */
#include "engine/layer_weights.h"

#include "model/streaming.h"

/*
 * What the pass visits, as forward.c goes through the layers. A cyclic stage is likely to be
 * repeated.
 */
static struct ring_pass visits(const struct pass *pass)
{
    const struct lckv_model *model = pass->model;
    const struct stage *stage = &pass->stage;
    const bool stops = stage->ends && pass->wanted.n_rows == 0;
    return (struct ring_pass){
        .first_layer = stage->first,
        .end_layer = stops ? model->plan->last_kv_layer + 1 : stage->end,
        .end_output = model->hparams.n_layers + (pass->logits_wanted ? model->n_outputs : 0),
        .next_layer = stage->cyclic ? stage->first
                      : stage->ends ? 0
                                    : stage->end,
    };
}

lckv_status weights_begin(struct pass *pass)
{
    const struct lckv_model *model = pass->model;
    const struct buffer *hidden = &pass->workspace->hidden;
    const struct ring_pass ring_pass = visits(pass);
    if (model->ring == NULL)
        return LCKV_OK;
    lckv_status status = weight_ring_begin(model->ring, &ring_pass, &pass->cache->cancelled);
    if (status != LCKV_OK)
        return status;
    for (size_t m = 0; pass->stage.begins && m < pass->n_rows; m++) {
        if (!streaming_embed(model, pass->all.rows[m].token, &pass->cache->cancelled,
                             hidden->values + m * hidden->stride)) {
            status = weight_ring_end(model->ring);
            return status == LCKV_OK ? cache_check_cancel(pass->cache) : status;
        }
    }
    return LCKV_OK;
}

lckv_status weights_end(struct pass *pass)
{
    return pass->model->ring != NULL ? weight_ring_end(pass->model->ring) : LCKV_OK;
}

/*
 * Waits for a portion, and returns the distance of its place from the first one. It is 0 for a
 * worker that has left, or that comes to steps that are over, and reads nothing.
 */
static size_t await(struct task *task, uint32_t portion)
{
    const struct pass *pass = task->pass;
    size_t shift = 0;
    if (!task->left)
        task->left = !weight_ring_await(pass->model->ring, task->n_portions, portion,
                                        &pass->cache->cancelled, &shift);
    task->n_portions++;
    return shift;
}

const struct model_layer *layer_weights(struct task *task, uint32_t i)
{
    const struct lckv_model *model = task->pass->model;
    struct model_layer *layer = &task->layer;
    if (model->ring == NULL)
        return &model->layers[i];
    const size_t shift = await(task, i);
    *layer = model->layers[i];
    struct linear *const matrices[] = {&layer->q,    &layer->k,  &layer->v,   &layer->o,
                                       &layer->gate, &layer->up, &layer->down};
    for (size_t k = 0; k < sizeof matrices / sizeof matrices[0]; k++) {
        if (matrices[k]->matrix.dtype != LCKV_DTYPE_DEFAULT) /* else there is none */
            matrices[k]->matrix.data += shift;
    }
    return layer;
}

const struct output_part *output_weights(struct task *task, uint32_t i)
{
    const struct lckv_model *model = task->pass->model;
    if (model->ring == NULL)
        return &model->outputs[i];
    const size_t shift = await(task, model->hparams.n_layers + i);
    task->output = model->outputs[i];
    task->output.matrix.data += shift;
    return &task->output;
}
