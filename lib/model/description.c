/*
 * Reads what a checkpoint says about a model, apart from its weights. See description.h.
 */
#include "model/description.h"

#include "base/status.h"
#include "format/json.h"
#include "model/check_tensors.h"
#include "model/layers.h"

#include <stdio.h>
#include <string.h>

struct remarks model_remarks(const lckv_model_options *options)
{
    return (struct remarks){options->log, options->log_user, options->weights == LCKV_WEIGHTS_NONE};
}

lckv_status model_config_to_metadata(struct lckv_model *model)
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

lckv_status model_read_description(struct lckv_model *model, const lckv_model_options *options)
{
    const struct remarks remarks = model_remarks(options);
    struct hparams *h = &model->hparams;
    if (model->checkpoint.kind == CHECKPOINT_HF && model->checkpoint.config.length == 0)
        return fail(LCKV_UNSUPPORTED, "no config.json in %s", model->checkpoint.name);
    lckv_status status = hparams_read(&model->checkpoint, h, &remarks);
    if (status != LCKV_OK)
        return status;
    if (options->sliding_window != 0)
        h->sliding_window = options->sliding_window;
    hparams_choose_context(h, (uint32_t)options->rope_context, &remarks);
    status = plan_parse(h->plan.length > 0 ? h->plan.bytes : NULL, h->plan.length, h->n_layers,
                        &model->allocator, &model->plan);
    if (status == LCKV_OK)
        status = hparams_check_plan(h, model->plan);
    if (status != LCKV_OK)
        return fail_in(status, model->checkpoint.kind == CHECKPOINT_GGUF ? "%s" : "%s: config.json",
                       model->checkpoint.name);
    status = layers_create(model);
    if (status == LCKV_OK && model->checkpoint.kind == CHECKPOINT_HF)
        status = model_config_to_metadata(model);
    return status;
}

lckv_status model_read_tokenizer(struct lckv_model *model, const lckv_model_options *options)
{
    const struct remarks remarks = model_remarks(options);
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

lckv_status model_summarize_tensors(struct lckv_model *model)
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
