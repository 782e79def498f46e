/*
 * Opens a model from a checkpoint, counts its references and closes it.
 *
 * description.c reads hyperparameters, plan and tokenizer. roles.c knows what tensors are called,
 * check_tensors.c checks that they are all there, and load_weights.c reads their bytes.
 * without_weights.c opens what shall not, or cannot, run.
 */
#include "model/model.h"

#include "base/status.h"
#include "format/checkpoint_open.h"
#include "kernels/blas.h"
#include "model/check_tensors.h"
#include "model/description.h"
#include "model/fused.h"
#include "model/load_weights.h"
#include "model/scales.h"
#include "model/text_tensors.h"
#include "model/without_weights.h"

#include <stdatomic.h>
#include <string.h>

static lckv_status choose_kernels(struct lckv_model *model, const lckv_model_options *options)
{
    lckv_status status = kernels_choose(options->kernel_set, &model->kernels);
    if (status != LCKV_OK)
        return status;
    if (options->gemm == LCKV_GEMM_OPENBLAS && !blas_available())
        return fail(LCKV_UNSUPPORTED, "gemm is openblas; this library was built without it");
    model->precision =
        options->precision == LCKV_PRECISION_FULL ? LCKV_PRECISION_FULL : LCKV_PRECISION_FAST;
    bool portable = strcmp(model->kernels->name, "portable") == 0;
    bool wanted = options->gemm == LCKV_GEMM_OPENBLAS ||
                  (options->gemm == LCKV_GEMM_DEFAULT && portable && blas_available());
    model->use_openblas = wanted && model->precision == LCKV_PRECISION_FAST;
    return LCKV_OK;
}

static lckv_status open_checkpoint(struct lckv_model *model, const char *path, const void *bytes,
                                   size_t length)
{
    struct checkpoint *checkpoint = &model->checkpoint;
    if (path == NULL)
        return checkpoint_open_memory(checkpoint, bytes, length, &model->allocator);
    return model->without_weights ? checkpoint_open_description(checkpoint, path, &model->allocator)
                                  : checkpoint_open(checkpoint, path, &model->allocator);
}

static lckv_status open_weights(struct lckv_model *model, const lckv_model_options *options)
{
    const struct remarks remarks = model_remarks(options);
    lckv_status status = checkpoint_check_weights(&model->checkpoint);
    if (status == LCKV_OK)
        status = scales_attach(&model->checkpoint);
    if (status == LCKV_OK)
        status = model_read_description(model, options);
    if (status == LCKV_OK)
        status = text_tensors_select(&model->checkpoint, &model->hparams, &remarks);
    if (status == LCKV_OK)
        status = fused_split(&model->checkpoint, &model->hparams);
    if (status == LCKV_OK)
        status = check_tensors(&model->checkpoint, &model->hparams, model->plan, &remarks);
    return status == LCKV_OK ? load_weights(model, options, model_read_tokenizer) : status;
}

lckv_status model_open(const char *path, const void *bytes, size_t length,
                       const lckv_model_options *options, struct lckv_model **result)
{
    lckv_allocator allocator;
    struct lckv_model *model;
    lckv_status status = memory_choose(options->allocator, &allocator);
    if (status == LCKV_OK)
        status = memory_alloc(&allocator, 1, sizeof *model, "a model", &model);
    if (status != LCKV_OK)
        return status;
    model->allocator = allocator;
    model->without_weights = options->weights == LCKV_WEIGHTS_NONE;
    atomic_init(&model->references, 1);
    arena_init(&model->arena, &allocator);
    status = memory_alloc(&allocator, 1, sizeof *model->failure, "a model", &model->failure);
    if (status == LCKV_OK) {
        failure_init(model->failure);
        status = choose_kernels(model, options);
    }
    if (status == LCKV_OK)
        status = open_checkpoint(model, path, bytes, length);
    model->opened = status == LCKV_OK;
    if (status == LCKV_OK)
        status = model->without_weights ? model_open_without_weights(model, options)
                                        : open_weights(model, options);
    if (status == LCKV_OK)
        status = model_summarize_tensors(model);
    if (status != LCKV_OK) {
        model_release(model);
        return status;
    }
    checkpoint_close_files(&model->checkpoint);
    *result = model;
    return LCKV_OK;
}

void model_retain(const struct lckv_model *model)
{
    /* Counting references does not change what a const model is to its users. */
    _Atomic uint32_t *references = (_Atomic uint32_t *)(uintptr_t)&model->references;
    atomic_fetch_add_explicit(references, 1, memory_order_relaxed);
}

static void destroy(struct lckv_model *model)
{
    lckv_allocator allocator = model->allocator;
    weight_ring_release(model->ring);
    release_weights(model);
    tokenizer_release(model->tokenizer);
    plan_release(model->plan);
    if (model->opened)
        checkpoint_close(&model->checkpoint);
    if (model->failure != NULL)
        failure_destroy(model->failure);
    memory_free(&allocator, model->failure, 1, sizeof *model->failure);
    arena_release(&model->arena);
    memory_free(&allocator, model, 1, sizeof *model);
}

void model_release(const struct lckv_model *model)
{
    if (model == NULL)
        return;
    struct lckv_model *mutable = (struct lckv_model *)(uintptr_t)model;
    if (atomic_fetch_sub_explicit(&mutable->references, 1, memory_order_acq_rel) == 1)
        destroy(mutable);
}

uint32_t model_sliding_window(const struct lckv_model *model)
{
    for (uint32_t i = 0; model->plan != NULL && i < model->plan->n_layers; i++) {
        if (model->plan->layers[i].windowed)
            return model->hparams.sliding_window;
    }
    return 0;
}

lckv_status model_check_weights(const struct lckv_model *model)
{
    if (model->without_weights)
        return fail(LCKV_UNSUPPORTED, "%s: was opened without weights (LCKV_WEIGHTS_NONE)%s%s",
                    model->checkpoint.name, model->problem != NULL ? "; " : "",
                    model->problem != NULL ? model->problem : "");
    return LCKV_OK;
}

lckv_status model_check_tokenizer(const struct lckv_model *model)
{
    if (model->tokenizer == NULL)
        return fail(LCKV_UNSUPPORTED, "text is unavailable: %s", model->no_tokenizer);
    return LCKV_OK;
}

bool model_is_end_token(const struct lckv_model *model, lckv_token token)
{
    return special_ids_is_end(&model->special_ids, token);
}
