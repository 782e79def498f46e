/*
 * Hyperparameters from GGUF metadata.
 */
#include "model/hparams_sources.h"

#include "base/status.h"
#include "base/text.h"
#include "model/architecture.h"
#include "model/config_check.h"
#include "model/hparams_key.h"
#include "model/hparams_kinds.h"
#include "model/hparams_plan.h"
#include "model/roles.h"

static lckv_status read_u32(const struct checkpoint *checkpoint, const struct hparams *h,
                            const char *suffix, bool required, uint32_t *value)
{
    char key[HPARAMS_KEY_BYTES];
    bool found;
    hparams_key(h->architecture_name, suffix, key);
    lckv_status status = metadata_get_u32(&checkpoint->metadata, key, value, &found);
    if (status == LCKV_OK && required && !found)
        status = fail(LCKV_BAD_FORMAT, "no key %s", key);
    return status;
}

static lckv_status read_list(const struct checkpoint *checkpoint, const struct hparams *h,
                             const char *suffix, bool required, uint32_t *values)
{
    char key[HPARAMS_KEY_BYTES];
    bool found;
    hparams_key(h->architecture_name, suffix, key);
    lckv_status status = metadata_get_u32s(&checkpoint->metadata, key, values, h->n_layers, &found);
    if (status == LCKV_OK && required && !found)
        status = fail(LCKV_BAD_FORMAT, "no key %s", key);
    return status;
}

/* Which layers rotate as layers with a window do: those that have one, if no other key tells. */
static lckv_status read_ropes(const struct checkpoint *checkpoint, const struct hparams *h,
                              uint32_t *ropes)
{
    bool found, sliding[PLAN_MAX_LAYERS] = {false};
    lckv_status status =
        metadata_get_u32s(&checkpoint->metadata, "lckv.window_ropes", ropes, h->n_layers, &found);
    for (uint32_t i = 0; status == LCKV_OK && found && i < h->n_layers; i++)
        ropes[i] = ropes[i] != 0;
    if (status != LCKV_OK || found)
        return status;
    status = hparams_kinds_from_gguf(&checkpoint->metadata, h, sliding, &found);
    if (status == LCKV_OK && !found)
        status = fail(LCKV_BAD_FORMAT, "no key %s.attention.sliding_window_pattern",
                      h->architecture_name);
    for (uint32_t i = 0; i < h->n_layers; i++)
        ropes[i] = sliding[i];
    return status;
}

/* Which layers do not rotate: one in each interval, if no key of lckv's own tells. */
static lckv_status read_unrotated(const struct checkpoint *checkpoint, const struct hparams *h,
                                  uint32_t *ropes)
{
    bool found;
    lckv_status status = metadata_get_u32s(&checkpoint->metadata, "lckv.unrotated_layers", ropes,
                                           h->n_layers, &found);
    for (uint32_t i = 0; status == LCKV_OK && i < h->n_layers; i++)
        ropes[i] = found ? ropes[i] != 0 : (i + 1) % h->architecture->unrotated_interval == 0;
    return status;
}

/* Layers with a window have heads of another size. Where there is no W_v, values are keys. */
static lckv_status read_window_heads(const struct checkpoint *checkpoint, const struct hparams *h,
                                     struct layer_lists *lists)
{
    uint32_t keys = 0, values = 0, rotated = 0;
    lckv_status status = read_u32(checkpoint, h, "attention.key_length_swa", false, &keys);
    if (status == LCKV_OK)
        status = read_u32(checkpoint, h, "attention.value_length_swa", false, &values);
    if (status == LCKV_OK)
        status = read_u32(checkpoint, h, "rope.dimension_count_swa", false, &rotated);
    if (status == LCKV_OK && ((values != 0 && values != keys) || (rotated != 0 && rotated != keys)))
        status = fail(LCKV_UNSUPPORTED,
                      "layers with a window: keys of %u elements a head, values of %u, %u of them "
                      "rotated; expected the same",
                      keys, values, rotated);
    for (uint32_t i = 0; status == LCKV_OK && i < h->n_layers; i++) {
        char name[WEIGHT_NAME_BYTES];
        if (lists->rope[i] == 1 && keys != 0)
            lists->head_dim[i] = keys;
        weight_name(h->architecture, CHECKPOINT_GGUF, WEIGHT_K, i, name);
        const bool has_k = checkpoint_find(checkpoint, name) != NULL;
        weight_name(h->architecture, CHECKPOINT_GGUF, WEIGHT_V, i, name);
        lists->v_is_k[i] =
            lists->rope[i] == 0 && has_k && checkpoint_find(checkpoint, name) == NULL;
    }
    return status;
}

/* What layers may have in common, or each for itself. */
static lckv_status read_layers(struct checkpoint *checkpoint, uint32_t head_dim, struct hparams *h)
{
    struct layer_lists lists;
    lckv_status status = layer_lists_begin(&lists, h, head_dim);
    if (status == LCKV_OK)
        status = read_list(checkpoint, h, "feed_forward_length", true, lists.intermediate_size);
    if (status == LCKV_OK)
        status = read_list(checkpoint, h, "attention.head_count_kv", false, lists.n_kv_heads);
    if (status == LCKV_OK && h->architecture->ropes_by_window)
        status = read_ropes(checkpoint, h, lists.rope);
    if (status == LCKV_OK && h->architecture->unrotated_interval != 0)
        status = read_unrotated(checkpoint, h, lists.rope);
    if (status == LCKV_OK && h->architecture->heads_by_window)
        status = read_window_heads(checkpoint, h, &lists);
    if (status == LCKV_OK && h->architecture->inputs_by_layer)
        status = read_u32(checkpoint, h, "embedding_length_per_layer_input", false,
                          &h->layer_input_size);
    if (status == LCKV_OK && h->architecture->altup)
        status = hparams_altup_from_gguf(checkpoint, h, &lists);
    return status == LCKV_OK ? layer_lists_end(&lists, checkpoint, h) : status;
}

static lckv_status read_shape(struct checkpoint *checkpoint, struct hparams *h)
{
    uint32_t head_dim = 0, value_length = 0, rope_dimensions = 0;
    const struct {
        const char *suffix;
        uint32_t *value;
        bool required;
    } keys[] = {
        {"block_count", &h->n_layers, true},
        {"embedding_length", &h->hidden_size, true},
        {"attention.head_count", &h->n_heads, true},
        {"attention.key_length", &head_dim, false},
        {"attention.value_length", &value_length, false},
        {"rope.dimension_count", &rope_dimensions, false},
        {"context_length", &h->context_length, false},
        {"vocab_size", &h->n_vocab, false},
    };
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        lckv_status status =
            read_u32(checkpoint, h, keys[i].suffix, keys[i].required, keys[i].value);
        if (status != LCKV_OK)
            return status;
    }
    if (head_dim == 0 && h->n_heads != 0)
        head_dim = h->hidden_size / h->n_heads;
    if (value_length != 0 && value_length != head_dim)
        return fail(LCKV_UNSUPPORTED,
                    "values of %u elements a head and keys of %u; expected the same", value_length,
                    head_dim);
    const bool partial =
        h->architecture->partial_rotation && rope_dimensions < head_dim && rope_dimensions % 2 == 0;
    if (rope_dimensions != 0 && rope_dimensions != head_dim && !partial)
        return fail(LCKV_UNSUPPORTED,
                    "rope.dimension_count is %u and a head has %u elements; expected the same%s",
                    rope_dimensions, head_dim,
                    h->architecture->partial_rotation ? ", or a smaller even number" : "");
    h->ropes[0].n_rotated = rope_dimensions != 0 ? rope_dimensions : head_dim;
    return read_layers(checkpoint, head_dim, h);
}

lckv_status hparams_count_rows(const struct checkpoint *checkpoint, const struct hparams *h,
                               enum weight weight, uint32_t *n_rows)
{
    char name[WEIGHT_NAME_BYTES];
    weight_name(h->architecture, CHECKPOINT_GGUF, weight, 0, name);
    const struct tensor *tensor = checkpoint_find(checkpoint, name);
    if (tensor == NULL)
        return fail(LCKV_BAD_FORMAT, "tensor %s is missing", name);
    if (tensor->problem != NULL)
        return fail(LCKV_UNSUPPORTED, "tensor %s: %s", name, tensor->problem);
    *n_rows = tensor->shape[0] <= UINT32_MAX ? (uint32_t)tensor->shape[0] : 0;
    return LCKV_OK;
}

/*
 * If no key gives the size of the vocabulary, it is that of the embedding, or in a file without
 * tensors, that of the tokenizer.
 */
static lckv_status read_vocabulary(const struct checkpoint *checkpoint, struct hparams *h)
{
    char name[WEIGHT_NAME_BYTES];
    const struct metadata_value *tokens =
        metadata_find(&checkpoint->metadata, "tokenizer.ggml.tokens");
    if (checkpoint->n_tensors == 0 && h->n_vocab == 0 && tokens != NULL &&
        tokens->count <= UINT32_MAX)
        h->n_vocab = (uint32_t)tokens->count;
    if (checkpoint->n_tensors == 0)
        return LCKV_OK;
    uint32_t n_rows = 0;
    lckv_status status = hparams_count_rows(checkpoint, h, WEIGHT_TOKEN_EMBEDDING, &n_rows);
    if (status != LCKV_OK)
        return status;
    if (h->n_vocab == 0)
        h->n_vocab = n_rows;
    weight_name(h->architecture, CHECKPOINT_GGUF, WEIGHT_OUTPUT, 0, name);
    h->tie_embeddings = checkpoint_find(checkpoint, name) == NULL;
    return LCKV_OK;
}

/*
 * The table of the layers' embeddings has rows for all tokens, but some rows need not be theirs: a
 * key of lckv's own tells, or the architecture.
 */
static lckv_status count_input_tokens(const struct checkpoint *checkpoint, struct hparams *h)
{
    h->n_input_rows = h->n_vocab;
    h->n_input_tokens = hparams_usual_input_tokens(h);
    lckv_status status =
        metadata_get_u32(&checkpoint->metadata, "lckv.input_tokens", &h->n_input_tokens, NULL);
    if (status == LCKV_OK &&
        (h->n_input_tokens > h->n_vocab || (h->n_input_tokens == 0 && h->n_vocab > 0)))
        status = fail(LCKV_BAD_FORMAT, "lckv.input_tokens is %u; expected 1 to %u",
                      h->n_input_tokens, h->n_vocab);
    return status;
}

/* What some types of scaling compute with, and the factor for rotated elements. */
static lckv_status read_rope_numbers(const struct checkpoint *checkpoint, struct hparams *h)
{
    struct rope_hparams *rope = &h->ropes[0];
    uint32_t original_context = h->context_length;
    const struct {
        const char *suffix;
        double *value;
    } keys[] = {
        {"rope.scaling.attn_factor", &rope->attention_factor},
        {"rope.scaling.yarn_beta_fast", &rope->beta_fast},
        {"rope.scaling.yarn_beta_slow", &rope->beta_slow},
    };
    lckv_status status =
        read_u32(checkpoint, h, "rope.scaling.original_context_length", false, &original_context);
    rope->original_context = original_context;
    for (size_t i = 0; status == LCKV_OK && i < sizeof keys / sizeof keys[0]; i++) {
        char key[HPARAMS_KEY_BYTES];
        float value = (float)*keys[i].value;
        hparams_key(h->architecture_name, keys[i].suffix, key);
        status = metadata_get_f32(&checkpoint->metadata, key, &value, NULL);
        *keys[i].value = (double)value;
    }
    return status;
}

static lckv_status read_dynamic(const struct checkpoint *checkpoint, struct rope_hparams *rope)
{
    float factor = 1;
    bool found = false;
    lckv_status status = metadata_get_f32(&checkpoint->metadata, KEY_DYNAMIC, &factor, &found);
    if (status != LCKV_OK || !found)
        return status;
    if (rope->scaling != ROPE_SCALING_NONE)
        return fail(LCKV_UNSUPPORTED, KEY_DYNAMIC ": expected no other scaling of frequencies");
    rope->scaling = ROPE_SCALING_DYNAMIC;
    rope->factor = (double)factor;
    return LCKV_OK;
}

/* Scaling without a type is linear, as in other readers of GGUF. */
static lckv_status read_rope(const struct checkpoint *checkpoint, struct hparams *h)
{
    char key[HPARAMS_KEY_BYTES];
    struct rope_hparams *rope = &h->ropes[0];
    float theta = (float)rope->theta, factor = 1;
    struct text kind = {"linear", 6};
    bool found = false;
    hparams_key(h->architecture_name, "rope.freq_base", key);
    lckv_status status = metadata_get_f32(&checkpoint->metadata, key, &theta, NULL);
    rope->theta = (double)theta;
    hparams_key(h->architecture_name, "rope.scaling.type", key);
    if (status == LCKV_OK)
        status = metadata_get_text(&checkpoint->metadata, key, &kind, NULL);
    hparams_key(h->architecture_name, "rope.scaling.factor", key);
    if (status == LCKV_OK)
        status = metadata_get_f32(&checkpoint->metadata, key, &factor, &found);
    hparams_key(h->architecture_name, "rope.scale_linear", key); /* the key's old name */
    if (status == LCKV_OK && !found)
        status = metadata_get_f32(&checkpoint->metadata, key, &factor, NULL);
    if (status != LCKV_OK)
        return status;
    const bool linear = text_equals(kind, "linear"), yarn = text_equals(kind, "yarn");
    const bool longrope = text_equals(kind, "longrope");
    if (!linear && !yarn && !longrope && !text_equals(kind, "none"))
        return fail(LCKV_UNSUPPORTED,
                    "rope.scaling.type is %s; expected none, linear, yarn or longrope",
                    quoted(kind.bytes, kind.length).text);
    if (longrope && factor != 1)
        return fail(LCKV_UNSUPPORTED, "rope.scaling.factor is %g; expected 1 with longrope",
                    (double)factor);
    status = read_rope_numbers(checkpoint, h);
    if (status != LCKV_OK)
        return status;
    hparams_add_rope(h); /* which is not scaled */
    rope->factor = (double)factor;
    if (yarn)
        rope->scaling = ROPE_SCALING_YARN;
    else if (longrope)
        rope->scaling = ROPE_SCALING_LONGROPE;
    else if (linear && factor != 1)
        rope->scaling = ROPE_SCALING_LINEAR;
    status = read_dynamic(checkpoint, rope);
    if (status != LCKV_OK || !h->architecture->ropes_by_window)
        return status;
    theta = HPARAMS_THETA;
    hparams_key(h->architecture_name, "rope.freq_base_swa", key);
    status = metadata_get_f32(&checkpoint->metadata, key, &theta, NULL);
    h->ropes[1].theta = (double)theta;
    return status;
}

static lckv_status read_condensed(const struct checkpoint *checkpoint, struct hparams *h)
{
    const struct metadata *metadata = &checkpoint->metadata;
    lckv_status status = metadata_get_text(metadata, "lckv.layer_types", &h->plan, NULL);
    if (status == LCKV_OK)
        status = metadata_get_u32(metadata, "lckv.forward_passes", &h->forward_passes, NULL);
    if (status == LCKV_OK)
        status = metadata_get_u32(metadata, "lckv.backward_passes", &h->backward_passes, NULL);
    if (status == LCKV_OK)
        status = metadata_get_u32(metadata, "lckv.sliding_window", &h->sliding_window, NULL);
    if (status == LCKV_OK)
        status = metadata_get_bool(metadata, "lckv.force_nodiag", &h->force_nodiag, NULL);
    if (status == LCKV_OK)
        status = metadata_get_bool(metadata, "lckv.use_sequential", &h->use_sequential, NULL);
    return status;
}

static lckv_status read_all(struct checkpoint *checkpoint, struct hparams *h)
{
    char key[HPARAMS_KEY_BYTES];
    struct text name = {"", 0};
    bool found;
    lckv_status status =
        metadata_get_text(&checkpoint->metadata, "general.architecture", &name, &found);
    if (status != LCKV_OK)
        return status;
    h->architecture = architecture_from_gguf(name);
    if (h->architecture == NULL)
        return fail(LCKV_UNSUPPORTED, "general.architecture is %s; expected %s",
                    found ? quoted(name.bytes, name.length).text : "missing",
                    architecture_names(true).text);
    h->architecture_name = architecture_name(h->architecture, name);
    status = metadata_get_text(&checkpoint->metadata, "general.name", &h->name, NULL);
    if (status == LCKV_OK)
        status = read_shape(checkpoint, h);
    if (status == LCKV_OK)
        status = read_vocabulary(checkpoint, h);
    if (status == LCKV_OK)
        status = count_input_tokens(checkpoint, h);
    hparams_key(h->architecture_name, "attention.layer_norm_rms_epsilon", key);
    if (status == LCKV_OK)
        status = metadata_get_f32(&checkpoint->metadata, key, &h->rms_norm_eps, &found);
    if (status == LCKV_OK && !found)
        status = fail(LCKV_BAD_FORMAT, "no key %s", key);
    if (status == LCKV_OK)
        status = read_rope(checkpoint, h);
    if (status == LCKV_OK)
        status = hparams_read_scales(NULL, &checkpoint->metadata, h);
    if (status == LCKV_OK)
        status = read_condensed(checkpoint, h);
    if (status == LCKV_OK)
        status = hparams_plan_from_gguf(checkpoint, h);
    return status;
}

lckv_status hparams_from_gguf(struct checkpoint *checkpoint, struct hparams *h,
                              const struct remarks *remarks)
{
    lckv_status status = read_all(checkpoint, h);
    if (status == LCKV_OK)
        status = config_check_gguf(&checkpoint->metadata, h, remarks);
    return status == LCKV_OK ? status : fail_in(status, "%s", checkpoint->name);
}
