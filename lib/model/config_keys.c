/*
 * The tables of keys. See config_keys.h.
 */
#include "model/config_keys.h"

#include "base/status.h"
#include "format/order.h"
#include "model/architecture.h"

#include <math.h>
#include <string.h>

#define MOST_NAMED 16 /* unknown keys that get a remark of their own */

enum rule {
    READ,     /* read elsewhere in lib/ */
    NOTHING,  /* no effect on the logits of a text */
    ONE,      /* refused unless it is 1, */
    OFF,      /* 0, false, null or empty, */
    ON,       /* true, */
    HEAD_DIM, /* the head dimension, */
    SCALE,    /* the inverse of its square root, */
    SILU      /* or "silu" */
};

struct config_key {
    const char *name;
    enum rule rule;
};

/* Members of config.json: transformers' Llama, Mistral and Qwen, lckv's, and what is near them. */
static const struct config_key json_keys[] = {
    /* the shape, the plan and the rotation */
    {"model_type", READ},
    {"num_hidden_layers", READ},
    {"vocab_size", READ},
    {"hidden_size", READ},
    {"intermediate_size", READ},
    {"num_attention_heads", READ},
    {"num_key_value_heads", READ},
    {"head_dim", READ},
    {"max_position_embeddings", READ},
    {"rms_norm_eps", READ},
    {"rope_theta", READ},
    {"rope_scaling", READ},
    {"rope_parameters", READ},
    {"layer_types", READ},
    {"sliding_window", READ},
    {"forward_passes", READ},
    {"backward_passes", READ},
    {"force_nodiag", READ},
    {"use_sequential", READ},
    {"attention_bias", READ},
    {"mlp_bias", READ},
    {"tie_word_embeddings", READ},
    {"hidden_act", SILU},
    {"hidden_activation", SILU},
    {"bos_token_id", READ},
    {"eos_token_id", READ},
    {"pad_token_id", READ},
    /* other computations */
    {"partial_rotary_factor", ONE},
    {"rotary_pct", ONE},
    {"rotary_dim", HEAD_DIM},
    {"rope_interleaved", OFF},
    {"rope_local_base_freq", OFF},
    {"no_rope_layers", OFF},
    {"no_rope_layer_interval", OFF},
    {"alibi", OFF},
    {"use_mrope", OFF},
    {"attention_multiplier", SCALE},
    {"query_pre_attn_scalar", HEAD_DIM},
    {"attn_logit_softcapping", OFF},
    {"final_logit_softcapping", OFF},
    {"attention_chunk_size", OFF},
    {"use_sliding_window", OFF},
    {"sliding_window_pattern", OFF},
    {"is_causal", ON},
    {"use_bidirectional_attention", OFF},
    {"clip_qkv", OFF},
    {"qk_norm", OFF},
    {"use_qk_norm", OFF},
    {"qk_layernorm", OFF},
    {"embedding_multiplier", ONE},
    {"residual_multiplier", ONE},
    {"logit_scale", ONE},
    {"logits_scaling", ONE},
    {"lm_head_multiplier", ONE},
    {"key_multiplier", ONE},
    {"attention_in_multiplier", ONE},
    {"attention_out_multiplier", ONE},
    {"mlp_multipliers", OFF},
    {"scale_emb", ONE},
    {"scale_depth", OFF},
    {"dim_model_base", OFF},
    {"num_experts", OFF},
    {"num_local_experts", OFF},
    {"n_routed_experts", OFF},
    {"n_shared_experts", OFF},
    {"use_cla", OFF},
    {"cla_share_factor", ONE},
    {"num_kv_shared_layers", OFF},
    {"num_kv_reuse_layers", OFF},
    {"kv_source_layers", OFF},
    {"parallel_attn", OFF},
    {"use_parallel_residual", OFF},
    {"quantization_config", OFF},
    {"compression_config", OFF},
    {"add_cross_attention", OFF},
    {"is_encoder_decoder", OFF},
    {"pruned_heads", OFF},
    /* where the weights are from and what others do with them */
    {"architectures", NOTHING},
    {"auto_map", NOTHING},
    {"_name_or_path", NOTHING},
    {"transformers_version", NOTHING},
    {"torch_dtype", NOTHING},
    {"dtype", NOTHING},
    {"use_bfloat16", NOTHING},
    {"use_cache", NOTHING},
    {"_attn_implementation", NOTHING},
    {"_attn_implementation_autoset", NOTHING},
    {"attn_implementation", NOTHING},
    {"initializer_range", NOTHING},
    {"pretraining_tp", NOTHING},
    {"max_window_layers", NOTHING}, /* only with use_sliding_window */
    {"original_max_position_embeddings", NOTHING},
    {"num_experts_per_tok", NOTHING}, /* only with experts */
    {"attention_dropout", NOTHING},
    {"hidden_dropout", NOTHING},
    {"embd_pdrop", NOTHING},
    {"resid_pdrop", NOTHING},
    {"gradient_checkpointing", NOTHING},
    {"torchscript", NOTHING},
    {"tf_legacy_loss", NOTHING},
    {"tokenizer_class", NOTHING},
    {"is_decoder", NOTHING},
    {"decoder_start_token_id", NOTHING},
    {"sep_token_id", NOTHING},
    {"cls_token_id", NOTHING},
    {"unk_token_id", NOTHING},
    {"cross_attention_hidden_size", NOTHING},
    {"tie_encoder_decoder", NOTHING},
    {"chunk_size_feed_forward", NOTHING},
    {"id2label", NOTHING},
    {"label2id", NOTHING},
    {"num_labels", NOTHING},
    {"problem_type", NOTHING},
    {"finetuning_task", NOTHING},
    {"task_specific_params", NOTHING},
    {"prefix", NOTHING},
    {"output_attentions", NOTHING},
    {"output_hidden_states", NOTHING},
    {"output_scores", NOTHING},
    {"return_dict", NOTHING},
    {"return_dict_in_generate", NOTHING},
    {"unsloth_version", NOTHING},
    {"unsloth_fixed", NOTHING},
    /* sampling, which config.json held before generation_config.json */
    {"max_length", NOTHING},
    {"min_length", NOTHING},
    {"do_sample", NOTHING},
    {"early_stopping", NOTHING},
    {"num_beams", NOTHING},
    {"num_beam_groups", NOTHING},
    {"num_return_sequences", NOTHING},
    {"diversity_penalty", NOTHING},
    {"temperature", NOTHING},
    {"top_k", NOTHING},
    {"top_p", NOTHING},
    {"typical_p", NOTHING},
    {"repetition_penalty", NOTHING},
    {"length_penalty", NOTHING},
    {"no_repeat_ngram_size", NOTHING},
    {"encoder_no_repeat_ngram_size", NOTHING},
    {"bad_words_ids", NOTHING},
    {"forced_bos_token_id", NOTHING},
    {"forced_eos_token_id", NOTHING},
    {"remove_invalid_values", NOTHING},
    {"exponential_decay_length_penalty", NOTHING},
    {"suppress_tokens", NOTHING},
    {"begin_suppress_tokens", NOTHING},
};

/* Behind "<architecture>."; keys behind "lckv." are below. */
static const struct config_key gguf_keys[] = {
    {"block_count", READ},
    {"context_length", READ},
    {"embedding_length", READ},
    {"feed_forward_length", READ},
    {"vocab_size", READ},
    {"attention.head_count", READ},
    {"attention.head_count_kv", READ},
    {"attention.key_length", READ},
    {"attention.value_length", READ},
    {"attention.layer_norm_rms_epsilon", READ},
    {"rope.dimension_count", READ},
    {"rope.freq_base", READ},
    {"rope.scaling.type", READ},
    {"rope.scaling.factor", READ},
    {"rope.scale_linear", READ},
    {"attention.layer_norm_epsilon", NOTHING},         /* of a norm that no llama has */
    {"rope.scaling.original_context_length", NOTHING}, /* only with other types of scaling */
    {"rope.scaling.finetuned", NOTHING},
    {"tensor_data_layout", NOTHING},
    {"expert_used_count", NOTHING}, /* only with experts */
    {"rope.scaling.attn_factor", ONE},
    {"rope.freq_base_swa", OFF},
    {"rope.dimension_sections", OFF},
    {"attention.scale", SCALE},
    {"attention.causal", ON},
    {"attention.sliding_window", OFF},
    {"attention.sliding_window_pattern", OFF},
    {"attention.shared_kv_layers", OFF},
    {"attention.kv_source_layers", OFF},
    {"attention.clamp_kqv", OFF},
    {"attention.max_alibi_bias", OFF},
    {"attention.chunk_size", OFF},
    {"attn_logit_softcapping", OFF},
    {"final_logit_softcapping", OFF},
    {"logit_scale", ONE},
    {"residual_scale", ONE},
    {"embedding_scale", ONE},
    {"expert_count", OFF},
    {"expert_shared_count", OFF},
    {"leading_dense_block_count", OFF},
    {"use_parallel_residual", OFF},
};

static const struct config_key lckv_keys[] = {
    {"layer_types", READ},    {"forward_passes", READ}, {"backward_passes", READ},
    {"sliding_window", READ}, {"force_nodiag", READ},   {"use_sequential", READ},
};

static const struct config_key *find_key(const struct config_key *keys, size_t n_keys,
                                         struct text name)
{
    for (size_t i = 0; i < n_keys; i++) {
        if (text_equals(name, keys[i].name))
            return &keys[i];
    }
    return NULL;
}

/* What a rule looks at. Null, and an empty text or list, are no value. */
struct value {
    enum { ABSENT, NUMBER, TEXT, OTHER } kind;
    double number; /* true is 1 */
    struct text text;
};

static lckv_status expect_number(const char *name, struct value value, double neutral)
{
    if (value.kind != NUMBER)
        return fail(LCKV_BAD_FORMAT, "%s: expected a number", name);
    if (fabs(value.number - neutral) <= 1e-6 * fabs(neutral))
        return LCKV_OK;
    return fail(LCKV_UNSUPPORTED, "%s is %g; expected %g, as without it", name, value.number,
                neutral);
}

static lckv_status check_value(const struct config_key *key, struct value value,
                               const struct hparams *h)
{
    if (value.kind == ABSENT)
        return LCKV_OK;
    switch (key->rule) {
    case ONE:
    case ON:
        return expect_number(key->name, value, 1);
    case HEAD_DIM:
        return expect_number(key->name, value, (double)h->head_dim);
    case SCALE:
        return expect_number(key->name, value, 1 / sqrt((double)h->head_dim));
    case OFF:
        if (value.kind == NUMBER && value.number == 0)
            return LCKV_OK;
        return fail(LCKV_UNSUPPORTED, "%s is given, which lckv does not know", key->name);
    case SILU:
        if (value.kind != TEXT)
            return fail(LCKV_BAD_FORMAT, "%s: expected a string", key->name);
        if (text_equals(value.text, "silu"))
            return LCKV_OK;
        return fail(LCKV_UNSUPPORTED, "%s is %s; expected silu", key->name,
                    quoted(value.text.bytes, value.text.length).text);
    case READ:
    case NOTHING:
    default:
        return LCKV_OK;
    }
}

static void name_unknown(const struct remarks *remarks, struct text name, size_t *n_unknown)
{
    if ((*n_unknown)++ < MOST_NAMED)
        remark(remarks, "%s of the configuration is not known and not used",
               quoted(name.bytes, name.length).text);
}

static void count_unknown(const struct remarks *remarks, size_t n_unknown)
{
    if (n_unknown > MOST_NAMED)
        remark(remarks, "%zu more keys of the configuration are not known and not used",
               n_unknown - MOST_NAMED);
}

/* ---- config.json ---- */

static struct value value_of_json(const struct json_value *from)
{
    struct value value = {.kind = OTHER};
    if (json_is(from, JSON_NUMBER)) {
        value.kind = json_number(from, &value.number) ? NUMBER : OTHER;
    } else if (json_is(from, JSON_TRUE) || json_is(from, JSON_FALSE)) {
        value.kind = NUMBER;
        value.number = json_is(from, JSON_TRUE);
    } else if (json_is(from, JSON_STRING)) {
        value.text = json_text(from);
        value.kind = value.text.length > 0 ? TEXT : ABSENT;
    } else if (json_is(from, JSON_NULL) || json_first(from) == NULL) {
        value.kind = ABSENT;
    }
    return value;
}

lckv_status config_keys_check_json(const struct json_value *config, const struct hparams *hparams,
                                   const struct remarks *remarks)
{
    size_t n_unknown = 0, n_keys = sizeof json_keys / sizeof json_keys[0];
    for (const struct json_value *member = json_first(config); member != NULL;
         member = json_next(config, member)) {
        struct text name = json_name(member);
        const struct config_key *key = find_key(json_keys, n_keys, name);
        lckv_status status = LCKV_OK;
        if (key != NULL)
            status = check_value(key, value_of_json(member), hparams);
        else
            name_unknown(remarks, name, &n_unknown);
        if (status != LCKV_OK)
            return fail_in(status, "config.json");
    }
    count_unknown(remarks, n_unknown);
    return LCKV_OK;
}

/* ---- GGUF ---- */

static struct value value_of_metadata(const struct metadata_value *from)
{
    switch (from->type) {
    case METADATA_F32:
    case METADATA_F64:
        return (struct value){.kind = NUMBER, .number = from->as.f};
    case METADATA_I8:
    case METADATA_I16:
    case METADATA_I32:
    case METADATA_I64:
        return (struct value){.kind = NUMBER, .number = (double)from->as.i};
    case METADATA_STRING:
        return (struct value){.kind = from->as.string.length > 0 ? TEXT : ABSENT,
                              .text = from->as.string};
    case METADATA_ARRAY:
        return (struct value){.kind = from->count > 0 ? OTHER : ABSENT};
    default:
        return (struct value){.kind = NUMBER, .number = (double)from->as.u};
    }
}

/* The key behind "<prefix>."; false if it does not begin so. */
static bool strip(struct text *key, const char *prefix)
{
    size_t length = strlen(prefix);
    if (key->length <= length || memcmp(key->bytes, prefix, length) != 0 ||
        key->bytes[length] != '.')
        return false;
    *key = (struct text){key->bytes + length + 1, key->length - length - 1};
    return true;
}

lckv_status config_keys_check_gguf(const struct metadata *metadata, const struct hparams *hparams,
                                   const struct remarks *remarks)
{
    size_t n_unknown = 0;
    for (size_t i = 0; i < metadata->n_values; i++) {
        const struct metadata_value *value = &metadata->values[i];
        const struct config_key *key;
        struct text name = value->key;
        if (strip(&name, hparams->architecture->gguf_name))
            key = find_key(gguf_keys, sizeof gguf_keys / sizeof gguf_keys[0], name);
        else if (strip(&name, "lckv"))
            key = find_key(lckv_keys, sizeof lckv_keys / sizeof lckv_keys[0], name);
        else
            continue; /* of the file or the tokenizer */
        lckv_status status = LCKV_OK;
        if (key != NULL)
            status = check_value(key, value_of_metadata(value), hparams);
        else
            name_unknown(remarks, value->key, &n_unknown);
        if (status != LCKV_OK)
            return status;
    }
    count_unknown(remarks, n_unknown);
    return LCKV_OK;
}
