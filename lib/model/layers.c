/*
 * What is known of a model's layers without their weights. See layers.h.
 */
#include "model/layers.h"

static lckv_status make_ropes(struct lckv_model *model)
{
    const struct hparams *h = &model->hparams;
    lckv_status status = LCKV_OK;
    for (uint32_t r = 0; status == LCKV_OK && r < h->n_ropes; r++) {
        const uint32_t n_pairs = h->ropes[r].n_rotated / 2;
        double *frequencies;
        status = arena_alloc(&model->arena, n_pairs, sizeof *frequencies, "rope frequencies",
                             &frequencies);
        if (status != LCKV_OK)
            return status;
        hparams_frequencies(&h->ropes[r], frequencies);
        model->ropes[r] =
            (struct rope){n_pairs, model->n_pairs, frequencies, hparams_magnitude(&h->ropes[r])};
        model->n_pairs += n_pairs;
    }
    return status;
}

/* Makes the layers, which have no weights yet. */
static lckv_status make_layers(struct lckv_model *model)
{
    const uint32_t n_layers = model->hparams.n_layers;
    lckv_status status =
        arena_alloc(&model->arena, n_layers, sizeof *model->layers, "the layers", &model->layers);
    for (uint32_t i = 0; status == LCKV_OK && i < n_layers; i++) {
        const struct layer_hparams *shape = &model->hparams.layers[i];
        model->layers[i] = (struct model_layer){
            .plan = &model->plan->layers[i], .shape = shape, .rope = &model->ropes[shape->rope]};
        if (model->hparams.architecture->altup)
            model->layers[i].o.laurel = &model->layers[i].laurel;
    }
    return status;
}

lckv_status layers_create(struct lckv_model *model)
{
    lckv_status status = make_ropes(model);
    return status == LCKV_OK ? make_layers(model) : status;
}
