/*
 * Opens a model without its weights: it takes over what can be known, and keeps why the rest
 * cannot.
 */
#include "model/without_weights.h"

#include "base/status.h"
#include "model/cache_shape.h"
#include "model/check_tensors.h"
#include "model/description.h"
#include "model/fused.h"
#include "model/load_weights.h"
#include "model/scales.h"
#include "model/text_tensors.h"

#include <string.h>

/* Keeps a failure as the model's problem, unless it says nothing about the model. */
static lckv_status keep_problem(struct lckv_model *model, lckv_status status)
{
    if (status == LCKV_OK || status == LCKV_OUT_OF_MEMORY || status == LCKV_INTERNAL)
        return status;
    const char *reason = status_message();
    return model->problem == NULL
               ? arena_copy(&model->arena, reason, strlen(reason), &model->problem)
               : LCKV_OK;
}

/* Of a model that cannot run, the plan and the shape of its keys and values may be known. */
static lckv_status describe_cache(struct lckv_model *model, const lckv_model_options *options)
{
    struct hparams known = {.name = model->hparams.name};
    struct lckv_plan *plan = NULL;
    lckv_status status = cache_shape_read(&model->checkpoint, &known, &plan);
    if (status != LCKV_OK) {
        plan_release(plan);
        return status == LCKV_OUT_OF_MEMORY ? status : LCKV_OK;
    }
    if (options->sliding_window != 0)
        known.sliding_window = options->sliding_window;
    model->hparams = known;
    model->plan = plan;
    return LCKV_OK;
}

/* Forgets hyperparameters that could not be read to their end. */
static lckv_status forget_description(struct lckv_model *model, const lckv_model_options *options)
{
    const struct checkpoint *checkpoint = &model->checkpoint;
    plan_release(model->plan);
    model->plan = NULL;
    model->hparams = (struct hparams){.n_layers = 0};
    lckv_status status = LCKV_OK;
    if (checkpoint->config.length > 0 && checkpoint->metadata.n_values == 0)
        status = keep_problem(model, model_config_to_metadata(model));
    const struct metadata_value *name = metadata_find(&checkpoint->metadata, "general.name");
    if (name != NULL && name->type == METADATA_STRING)
        model->hparams.name = name->as.string;
    return status == LCKV_OK ? describe_cache(model, options) : status;
}

lckv_status model_open_without_weights(struct lckv_model *model, const lckv_model_options *options)
{
    const struct remarks remarks = model_remarks(options);
    lckv_status status = model_read_description(model, options);
    const bool is_known = status == LCKV_OK;
    status = keep_problem(model, status);
    if (status == LCKV_OK && !is_known)
        status = forget_description(model, options);
    if (status == LCKV_OK && is_known)
        status = keep_problem(model, checkpoint_check_weights(&model->checkpoint));
    if (status == LCKV_OK && model->problem == NULL)
        status = keep_problem(model, scales_attach(&model->checkpoint));
    if (status == LCKV_OK && model->problem == NULL)
        status =
            keep_problem(model, text_tensors_select(&model->checkpoint, &model->hparams, &remarks));
    if (status == LCKV_OK && model->problem == NULL)
        status = keep_problem(model, fused_split(&model->checkpoint, &model->hparams));
    if (status == LCKV_OK && model->problem == NULL)
        status = keep_problem(
            model, check_tensors(&model->checkpoint, &model->hparams, model->plan, &remarks));
    if (status == LCKV_OK && model->problem == NULL)
        status = keep_problem(model, measure_weights(model, options));
    return status == LCKV_OK ? model_read_tokenizer(model, options) : status;
}
