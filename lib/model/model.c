/*
 * Opens a model: reads hyperparameters, plan, tokenizer and packed weights from a checkpoint.
 *
 * roles.c knows what tensors are called, check_tensors.c checks that they are all there, and
 * load_weights.c reads their bytes.
 */
#include "model/model.h"

#include "base/status.h"
#include "format/checkpoint_open.h"
#include "format/json.h"
#include "kernels/blas.h"
#include "model/cache_shape.h"
#include "model/check_tensors.h"
#include "model/fused.h"
#include "model/layers.h"
#include "model/load_weights.h"
#include "model/scales.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

/* A caller who wants no weights may want all that there is to say about them. */
static struct remarks remarks_of(const lckv_model_options *options)
{
    return (struct remarks){options->log, options->log_user, options->weights == LCKV_WEIGHTS_NONE};
}

static lckv_status choose_kernels(struct lckv_model *model, const lckv_model_options *options)
{
    lckv_status status = kernels_choose(options->kernel_set, &model->kernels);
    if (status != LCKV_OK)
        return status;
    if (options->precision < LCKV_PRECISION_DEFAULT || options->precision > LCKV_PRECISION_FAST)
        return fail(LCKV_INVALID_ARGUMENT, "precision is %d; expected full or fast",
                    (int)options->precision);
    if (options->gemm < LCKV_GEMM_DEFAULT || options->gemm > LCKV_GEMM_OPENBLAS)
        return fail(LCKV_INVALID_ARGUMENT, "gemm is %d; expected own or openblas",
                    (int)options->gemm);
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

/*
 * Turns the members of config.json into metadata, so that lckv_model_metadata serves both kinds of
 * checkpoint.
 */
static lckv_status config_to_metadata(struct lckv_model *model)
{
    const struct text *config = &model->checkpoint.config;
    struct json_document document;
    lckv_status status =
        json_parse(config->bytes, config->length, "config.json", &model->allocator, &document);
    if (status == LCKV_OK)
        status = json_to_metadata(document.root, &model->checkpoint.metadata);
    json_release(&document);
    return status;
}

static lckv_status read_description(struct lckv_model *model, const lckv_model_options *options)
{
    const struct remarks remarks = remarks_of(options);
    struct hparams *h = &model->hparams;
    if (model->checkpoint.kind == CHECKPOINT_HF && model->checkpoint.config.length == 0)
        return fail(LCKV_UNSUPPORTED, "no config.json in %s", model->checkpoint.name);
    lckv_status status = hparams_read(&model->checkpoint, h, &remarks);
    if (status != LCKV_OK)
        return status;
    if (options->sliding_window != 0)
        h->sliding_window = options->sliding_window;
    status = plan_parse(h->plan.length > 0 ? h->plan.bytes : NULL, h->plan.length, h->n_layers,
                        &model->allocator, &model->plan);
    if (status == LCKV_OK)
        status = hparams_check_plan(h, model->plan);
    if (status != LCKV_OK)
        return fail_in(status, model->checkpoint.kind == CHECKPOINT_GGUF ? "%s" : "%s: config.json",
                       model->checkpoint.name);
    status = layers_create(model);
    if (status == LCKV_OK && model->checkpoint.kind == CHECKPOINT_HF)
        status = config_to_metadata(model);
    return status;
}

/*
 * A model runs without a tokenizer; text calls then say why there is none. It also runs with a
 * tokenizer of more tokens, the last of which lckv_evaluate refuses, or of fewer, so that the other
 * ids have no text.
 */
static lckv_status read_tokenizer(struct lckv_model *model, const lckv_model_options *options)
{
    const struct remarks remarks = remarks_of(options);
    struct special_ids *ids = &model->special_ids;
    lckv_status status = special_ids_read(ids, &model->checkpoint, &model->allocator);
    if (status != LCKV_OK)
        return status;
    status = tokenizer_create(&model->checkpoint, &model->allocator, &model->tokenizer);
    if (status == LCKV_UNSUPPORTED || status == LCKV_BAD_FORMAT) {
        const char *reason = status_message();
        status = arena_copy(&model->arena, reason, strlen(reason), &model->no_tokenizer);
        if (status == LCKV_OK)
            remark(&remarks, "%s", model->no_tokenizer);
        return status;
    }
    if (status != LCKV_OK)
        return status;
    if (model->tokenizer == NULL) {
        model->no_tokenizer = "the model has no tokenizer";
        return LCKV_OK;
    }
    if (model->hparams.n_vocab == 0)
        model->hparams.n_vocab = tokenizer_n_tokens(model->tokenizer);
    uint32_t n_vocab = model->hparams.n_vocab;
    if (tokenizer_n_tokens(model->tokenizer) > n_vocab)
        remark(&remarks,
               "the tokenizer has %u tokens and the embedding %u rows; the model cannot read the "
               "tokens from %u on",
               tokenizer_n_tokens(model->tokenizer), n_vocab, n_vocab);
    status = tokenizer_extend(model->tokenizer, n_vocab, ids);
    *ids = *tokenizer_special_ids(model->tokenizer);
    return status;
}

/* What is not known of the model counts as used. */
static bool is_used(const struct lckv_model *model, const struct tensor *tensor)
{
    const char *why;
    return tensor->problem == NULL && (model->hparams.architecture == NULL ||
                                       tensor_use(&model->checkpoint, &model->hparams, model->plan,
                                                  tensor->name, &why) == TENSOR_USED);
}

/*
 * Sums up the tensors that the model uses: their element types, such as "q4_1, q8_0, f32", with the
 * most bytes first, and the number of their elements.
 */
static lckv_status summarize_tensors(struct lckv_model *model)
{
    const struct checkpoint *checkpoint = &model->checkpoint;
    uint64_t bytes[DTYPE_COUNT] = {0};
    char text[192] = "";
    for (size_t i = 0; i < checkpoint->n_tensors; i++) {
        const struct tensor *tensor = &checkpoint->tensors[i];
        if (!is_used(model, tensor))
            continue;
        bytes[tensor->dtype] += tensor->n_bytes;
        model->n_parameters +=
            tensor->shape[0] * tensor->shape[1] * tensor->shape[2] * tensor->shape[3];
    }
    for (;;) {
        lckv_dtype most = 0;
        for (lckv_dtype d = LCKV_DTYPE_F32; d < DTYPE_COUNT; d++)
            most = bytes[d] > bytes[most] ? d : most;
        if (bytes[most] == 0)
            break;
        size_t used = strlen(text);
        snprintf(text + used, sizeof text - used, "%s%s", used > 0 ? ", " : "",
                 dtype_info(most)->name);
        bytes[most] = 0;
    }
    return arena_copy(&model->arena, text, strlen(text), &model->weight_dtypes);
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
    const struct remarks remarks = remarks_of(options);
    lckv_status status = checkpoint_check_weights(&model->checkpoint);
    if (status == LCKV_OK)
        status = scales_attach(&model->checkpoint);
    if (status == LCKV_OK)
        status = read_description(model, options);
    if (status == LCKV_OK)
        status = fused_split(&model->checkpoint, &model->hparams);
    if (status == LCKV_OK)
        status = check_tensors(&model->checkpoint, &model->hparams, model->plan, &remarks);
    return status == LCKV_OK ? load_weights(model, options, read_tokenizer) : status;
}

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
        status = keep_problem(model, config_to_metadata(model));
    const struct metadata_value *name = metadata_find(&checkpoint->metadata, "general.name");
    if (name != NULL && name->type == METADATA_STRING)
        model->hparams.name = name->as.string;
    return status == LCKV_OK ? describe_cache(model, options) : status;
}

/* Takes over what can be known without weights, and why they could not be read. */
static lckv_status open_description(struct lckv_model *model, const lckv_model_options *options)
{
    const struct remarks remarks = remarks_of(options);
    lckv_status status = read_description(model, options);
    const bool is_known = status == LCKV_OK;
    status = keep_problem(model, status);
    if (status == LCKV_OK && !is_known)
        status = forget_description(model, options);
    if (status == LCKV_OK && is_known)
        status = keep_problem(model, checkpoint_check_weights(&model->checkpoint));
    if (status == LCKV_OK && model->problem == NULL)
        status = keep_problem(model, scales_attach(&model->checkpoint));
    if (status == LCKV_OK && model->problem == NULL)
        status = keep_problem(model, fused_split(&model->checkpoint, &model->hparams));
    if (status == LCKV_OK && model->problem == NULL)
        status = keep_problem(
            model, check_tensors(&model->checkpoint, &model->hparams, model->plan, &remarks));
    if (status == LCKV_OK && model->problem == NULL)
        status = keep_problem(model, measure_weights(model, options));
    return status == LCKV_OK ? read_tokenizer(model, options) : status;
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
        status = model->without_weights ? open_description(model, options)
                                        : open_weights(model, options);
    if (status == LCKV_OK)
        status = summarize_tensors(model);
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
