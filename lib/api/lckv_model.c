/*
 * lckv_model_*: opening, lifetime and facts of a model. text.c has its texts and tokens.
 */
#include "api/options.h"
#include "base/status.h"
#include "model/architecture.h"
#include "model/fingerprint.h"
#include "model/model.h"

#include <inttypes.h>

lckv_status lckv_model_options_init(lckv_model_options *options, size_t size)
{
    return options_init(options, size, "lckv_model_options");
}

static lckv_status read_options(const lckv_model_options *given, lckv_model_options *options)
{
    lckv_status status = options_read(options, sizeof *options, given, "lckv_model_options");
    if (status != LCKV_OK)
        return status;
    if (options->precision < LCKV_PRECISION_DEFAULT || options->precision > LCKV_PRECISION_FAST)
        return argument_range("lckv_model_options.precision", options->precision,
                              "an LCKV_PRECISION_... value");
    if (options->gemm < LCKV_GEMM_DEFAULT || options->gemm > LCKV_GEMM_OPENBLAS)
        return argument_range("lckv_model_options.gemm", options->gemm, "an LCKV_GEMM_... value");
    if (options->weights < LCKV_WEIGHTS_DEFAULT || options->weights > LCKV_WEIGHTS_NONE)
        return argument_range("lckv_model_options.weights", options->weights,
                              "an LCKV_WEIGHTS_... value");
    if (options->rope_context > UINT32_MAX)
        return fail(LCKV_INVALID_ARGUMENT,
                    "lckv_model_options.rope_context is %" PRIu64 "; expected less than 2^32",
                    options->rope_context);
    if (options->stream_bytes != 0 && options->weights != LCKV_WEIGHTS_STREAMED)
        return fail(LCKV_INVALID_ARGUMENT,
                    "lckv_model_options.stream_bytes is set; expected weights "
                    "LCKV_WEIGHTS_STREAMED with it");
    return LCKV_OK;
}

lckv_status lckv_model_open(const char *path, const lckv_model_options *options, lckv_model **model)
{
    if (path == NULL)
        return argument_null(__func__, "path");
    if (model == NULL)
        return argument_null(__func__, "model");
    lckv_model_options full;
    lckv_status status = read_options(options, &full);
    return status == LCKV_OK ? model_open(path, NULL, 0, &full, model) : status;
}

lckv_status lckv_model_open_memory(const void *bytes, size_t length,
                                   const lckv_model_options *options, lckv_model **model)
{
    if (bytes == NULL)
        return argument_null(__func__, "bytes");
    if (model == NULL)
        return argument_null(__func__, "model");
    lckv_model_options full;
    lckv_status status = read_options(options, &full);
    if (status == LCKV_OK && full.weights == LCKV_WEIGHTS_STREAMED)
        return fail(LCKV_INVALID_ARGUMENT,
                    "bytes in memory cannot be streamed; expected weights COPIED, or the path of a "
                    "packed file and lckv_model_open");
    return status == LCKV_OK ? model_open(NULL, bytes, length, &full, model) : status;
}

void lckv_model_retain(const lckv_model *model)
{
    if (model != NULL)
        model_retain(model);
}

void lckv_model_release(const lckv_model *model)
{
    if (model != NULL)
        model_release(model);
}

/* The name of the architecture; in the words of the file, if lckv does not know it. */
static const char *shown_architecture(const struct lckv_model *model)
{
    const char *key =
        model->checkpoint.kind == CHECKPOINT_GGUF ? "general.architecture" : "model_type";
    if (model->hparams.architecture != NULL)
        return model->hparams.architecture_name;
    const struct metadata_value *value = metadata_find(&model->checkpoint.metadata, key);
    return value != NULL && value->type == METADATA_STRING ? value->as.string.bytes : "";
}

static lckv_model_info model_info(const struct lckv_model *model)
{
    const struct hparams *hparams = &model->hparams;
    return (lckv_model_info){
        .n_layers = hparams->n_layers,
        .n_vocab = hparams->n_vocab,
        .hidden_size = hparams->hidden_size,
        .intermediate_size = hparams->widest.intermediate_size,
        .n_heads = hparams->n_heads,
        .n_kv_heads = hparams->widest.n_kv_heads,
        .head_dim = hparams->widest.head_dim,
        .context_length = hparams->context_length,
        .sliding_window = model_sliding_window(model),
        .forward_passes = hparams->forward_passes,
        .backward_passes = hparams->backward_passes,
        .use_sequential = hparams->use_sequential,
        .force_nodiag = hparams->force_nodiag,
        .has_tokenizer = model->tokenizer != NULL,
        .is_tied = model->hparams.tie_embeddings,
        .precision = model->precision,
        .rope_theta = (float)hparams->ropes[0].theta,
        .rms_norm_eps = hparams->rms_norm_eps,
        .n_parameters = model->n_parameters,
        .weight_bytes = model->weight_bytes,
        .decode_bytes = model->weight_bytes - input_table_bytes(&model->input_table) -
                        (hparams->tie_embeddings ? 0 : model->token_embedding.size.n_bytes),
        .architecture = shown_architecture(model),
        .name = hparams->name.length > 0 ? hparams->name.bytes : "",
        .kernel_set = model->kernels->name,
        .weight_dtypes = model->weight_dtypes,
        .is_mapped = model->is_mapped,
        .is_repacked = model->is_repacked,
        .resident_bytes = model->ring != NULL ? model->vector_bytes : model->weight_bytes,
        .ring_bytes = model->ring != NULL ? weight_ring_bytes(model->ring) : 0,
        .problem = model->problem,
        .has_weights = !model->without_weights,
        .is_table_mapped = model->input_table.is_mapped,
        .table_bytes = input_table_bytes(&model->input_table),
    };
}

lckv_status lckv_model_get_info(const lckv_model *model, lckv_model_info *info)
{
    if (model == NULL)
        return argument_null(__func__, "model");
    const lckv_model_info full = model_info(model);
    return failure_keep(model->failure, result_write(info, &full, sizeof full, "lckv_model_info"));
}

lckv_status lckv_model_get_layer(const lckv_model *model, uint32_t layer, lckv_model_layer *info)
{
    if (model == NULL)
        return argument_null(__func__, "model");
    const struct hparams *hparams = &model->hparams;
    if (layer >= hparams->n_layers)
        return failure_keep(model->failure,
                            fail(LCKV_INVALID_ARGUMENT, "layer is %u; the model has %u layers",
                                 layer, hparams->n_layers));
    const struct layer_hparams *shape = &hparams->layers[layer];
    const lckv_model_layer full = {.kv_shape = {shape->n_kv_heads, shape->head_dim},
                                   .intermediate_size = shape->intermediate_size};
    return failure_keep(model->failure, result_write(info, &full, sizeof full, "lckv_model_layer"));
}

lckv_status lckv_model_fingerprint(const lckv_model *model, uint64_t *fingerprint)
{
    if (model == NULL)
        return argument_null(__func__, "model");
    if (fingerprint == NULL)
        return failure_keep(model->failure, argument_null(__func__, "fingerprint"));
    uint64_t computed;
    lckv_status status = model_check_weights(model);
    if (status == LCKV_OK)
        status = model_fingerprint(model, &computed);
    if (status == LCKV_OK)
        *fingerprint = computed;
    return failure_keep(model->failure, status);
}

const lckv_plan *lckv_model_plan(const lckv_model *model)
{
    return model != NULL ? model->plan : NULL;
}

size_t lckv_model_last_error(const lckv_model *model, char *buffer, size_t capacity)
{
    if (buffer == NULL)
        capacity = 0;
    else if (capacity > 0)
        buffer[0] = '\0';
    return model != NULL ? failure_copy(model->failure, buffer, capacity) : 0;
}

static lckv_status metadata(const struct lckv_model *model, const char *key, char *buffer,
                            size_t capacity, size_t *length)
{
    if (key == NULL)
        return argument_null("lckv_model_metadata", "key");
    lckv_status status = argument_buffer("lckv_model_metadata", buffer, capacity, length);
    if (status != LCKV_OK)
        return status;
    const struct metadata_value *value = metadata_find(&model->checkpoint.metadata, key);
    if (value == NULL)
        return fail(LCKV_INVALID_ARGUMENT, "the model has no metadata key %s",
                    quoted_string(key).text);
    return metadata_text(value, buffer, capacity, length);
}

lckv_status lckv_model_metadata(const lckv_model *model, const char *key, char *buffer,
                                size_t capacity, size_t *length)
{
    if (model == NULL)
        return argument_null(__func__, "model");
    return failure_keep(model->failure, metadata(model, key, buffer, capacity, length));
}

const char *lckv_model_metadata_key(const lckv_model *model, size_t index)
{
    if (model == NULL || index >= model->checkpoint.metadata.n_values)
        return NULL;
    return model->checkpoint.metadata.values[index].key.bytes;
}
