/*
 * The tables of keys. See config_keys.h.
 */
#include "model/config_keys.h"

/*
 * Members of config.json: those of transformers' Llama, Mistral and Qwen, those of lckv, and
 * related ones.
 */
static const struct config_key json_keys[] = {
    /* the shape, the plan and the rotation */
    {"model_type", KEY_READ},
    {"num_hidden_layers", KEY_READ},
    {"vocab_size", KEY_READ},
    {"hidden_size", KEY_READ},
    {"intermediate_size", KEY_READ},
    {"num_attention_heads", KEY_READ},
    {"num_key_value_heads", KEY_READ},
    {"head_dim", KEY_READ},
    {"max_position_embeddings", KEY_READ},
    {"rms_norm_eps", KEY_READ},
    {"rope_theta", KEY_READ},
    {"rope_scaling", KEY_READ},
    {"rope_parameters", KEY_READ},
    {"layer_types", KEY_READ},
    {"sliding_window", KEY_READ},
    {"forward_passes", KEY_READ},
    {"backward_passes", KEY_READ},
    {"force_nodiag", KEY_READ},
    {"use_sequential", KEY_READ},
    {"attention_bias", KEY_READ},
    {"mlp_bias", KEY_READ},
    {"tie_word_embeddings", KEY_READ},
    {"hidden_act", KEY_ACTIVATION},
    {"hidden_activation", KEY_ACTIVATION},
    {"bos_token_id", KEY_READ},
    {"eos_token_id", KEY_READ},
    {"pad_token_id", KEY_READ},
    /* other computations */
    {"partial_rotary_factor", KEY_ONE},
    {"rotary_pct", KEY_ONE},
    {"rotary_dim", KEY_HEAD_DIM},
    {"rope_interleaved", KEY_OFF},
    {"rope_local_base_freq", KEY_OFF},
    {"no_rope_layers", KEY_OFF},
    {"no_rope_layer_interval", KEY_OFF},
    {"alibi", KEY_OFF},
    {"use_mrope", KEY_OFF},
    {"attention_multiplier", KEY_SCALE},
    {"query_pre_attn_scalar", KEY_HEAD_DIM},
    {"attn_logit_softcapping", KEY_OFF},
    {"final_logit_softcapping", KEY_OFF},
    {"attention_chunk_size", KEY_OFF},
    {"use_sliding_window", KEY_OFF},
    {"sliding_window_pattern", KEY_OFF},
    {"is_causal", KEY_ON},
    {"use_bidirectional_attention", KEY_OFF},
    {"clip_qkv", KEY_OFF},
    {"qk_norm", KEY_OFF},
    {"use_qk_norm", KEY_OFF},
    {"qk_layernorm", KEY_OFF},
    {"embedding_multiplier", KEY_ONE},
    {"residual_multiplier", KEY_ONE},
    {"logit_scale", KEY_ONE},
    {"logits_scaling", KEY_ONE},
    {"lm_head_multiplier", KEY_ONE},
    {"key_multiplier", KEY_ONE},
    {"attention_in_multiplier", KEY_ONE},
    {"attention_out_multiplier", KEY_ONE},
    {"mlp_multipliers", KEY_OFF},
    {"scale_emb", KEY_ONE},
    {"scale_depth", KEY_OFF},
    {"dim_model_base", KEY_OFF},
    {"num_experts", KEY_OFF},
    {"num_local_experts", KEY_OFF},
    {"n_routed_experts", KEY_OFF},
    {"n_shared_experts", KEY_OFF},
    {"use_cla", KEY_READ},
    {"cla_share_factor", KEY_READ},
    {"num_kv_shared_layers", KEY_READ},
    {"num_kv_reuse_layers", KEY_READ},
    {"kv_source_layers", KEY_READ},
    {"parallel_attn", KEY_OFF},
    {"use_parallel_residual", KEY_OFF},
    {"quantization_config", KEY_F8},
    {"compression_config", KEY_OFF},
    {"add_cross_attention", KEY_OFF},
    {"is_encoder_decoder", KEY_OFF},
    {"pruned_heads", KEY_OFF},
    /* where the weights come from, and what other programs do with them */
    {"architectures", KEY_NOTHING},
    {"auto_map", KEY_NOTHING},
    {"_name_or_path", KEY_NOTHING},
    {"transformers_version", KEY_NOTHING},
    {"torch_dtype", KEY_NOTHING},
    {"dtype", KEY_NOTHING},
    {"use_bfloat16", KEY_NOTHING},
    {"use_cache", KEY_NOTHING},
    {"_attn_implementation", KEY_NOTHING},
    {"_sliding_window_pattern", KEY_NOTHING}, /* layer_types tells */
    {"_attn_implementation_autoset", KEY_NOTHING},
    {"attn_implementation", KEY_NOTHING},
    {"initializer_range", KEY_NOTHING},
    {"pretraining_tp", KEY_NOTHING},
    {"max_window_layers", KEY_NOTHING}, /* matters only with use_sliding_window */
    {"original_max_position_embeddings", KEY_NOTHING},
    {"num_experts_per_tok", KEY_NOTHING}, /* only with experts */
    {"attention_dropout", KEY_NOTHING},
    {"hidden_dropout", KEY_NOTHING},
    {"embd_pdrop", KEY_NOTHING},
    {"resid_pdrop", KEY_NOTHING},
    {"gradient_checkpointing", KEY_NOTHING},
    {"torchscript", KEY_NOTHING},
    {"tf_legacy_loss", KEY_NOTHING},
    {"tokenizer_class", KEY_NOTHING},
    {"is_decoder", KEY_NOTHING},
    {"decoder_start_token_id", KEY_NOTHING},
    {"sep_token_id", KEY_NOTHING},
    {"cls_token_id", KEY_NOTHING},
    {"unk_token_id", KEY_NOTHING},
    {"cross_attention_hidden_size", KEY_NOTHING},
    {"tie_encoder_decoder", KEY_NOTHING},
    {"chunk_size_feed_forward", KEY_NOTHING},
    {"id2label", KEY_NOTHING},
    {"label2id", KEY_NOTHING},
    {"num_labels", KEY_NOTHING},
    {"problem_type", KEY_NOTHING},
    {"finetuning_task", KEY_NOTHING},
    {"task_specific_params", KEY_NOTHING},
    {"prefix", KEY_NOTHING},
    {"output_attentions", KEY_NOTHING},
    {"output_hidden_states", KEY_NOTHING},
    {"output_scores", KEY_NOTHING},
    {"return_dict", KEY_NOTHING},
    {"return_dict_in_generate", KEY_NOTHING},
    {"unsloth_version", KEY_NOTHING},
    {"unsloth_fixed", KEY_NOTHING},
    /* sampling, which config.json held before generation_config.json */
    {"max_length", KEY_NOTHING},
    {"min_length", KEY_NOTHING},
    {"do_sample", KEY_NOTHING},
    {"early_stopping", KEY_NOTHING},
    {"num_beams", KEY_NOTHING},
    {"num_beam_groups", KEY_NOTHING},
    {"num_return_sequences", KEY_NOTHING},
    {"diversity_penalty", KEY_NOTHING},
    {"temperature", KEY_NOTHING},
    {"top_k", KEY_NOTHING},
    {"top_p", KEY_NOTHING},
    {"typical_p", KEY_NOTHING},
    {"repetition_penalty", KEY_NOTHING},
    {"length_penalty", KEY_NOTHING},
    {"no_repeat_ngram_size", KEY_NOTHING},
    {"encoder_no_repeat_ngram_size", KEY_NOTHING},
    {"bad_words_ids", KEY_NOTHING},
    {"forced_bos_token_id", KEY_NOTHING},
    {"forced_eos_token_id", KEY_NOTHING},
    {"remove_invalid_values", KEY_NOTHING},
    {"exponential_decay_length_penalty", KEY_NOTHING},
    {"suppress_tokens", KEY_NOTHING},
    {"begin_suppress_tokens", KEY_NOTHING},
};

/* Keys behind "<architecture>."; keys behind "lckv." are below. */
static const struct config_key gguf_keys[] = {
    {"block_count", KEY_READ},
    {"context_length", KEY_READ},
    {"embedding_length", KEY_READ},
    {"feed_forward_length", KEY_READ},
    {"vocab_size", KEY_READ},
    {"attention.head_count", KEY_READ},
    {"attention.head_count_kv", KEY_READ},
    {"attention.key_length", KEY_READ},
    {"attention.value_length", KEY_READ},
    {"attention.layer_norm_rms_epsilon", KEY_READ},
    {"rope.dimension_count", KEY_READ},
    {"rope.freq_base", KEY_READ},
    {"rope.scaling.type", KEY_READ},
    {"rope.scaling.factor", KEY_READ},
    {"rope.scale_linear", KEY_READ},
    {"attention.layer_norm_epsilon", KEY_NOTHING},         /* of a norm that no llama has */
    {"rope.scaling.original_context_length", KEY_NOTHING}, /* only with other types of scaling */
    {"rope.scaling.finetuned", KEY_NOTHING},
    {"tensor_data_layout", KEY_NOTHING},
    {"expert_used_count", KEY_NOTHING}, /* only with experts */
    {"rope.scaling.attn_factor", KEY_ONE},
    {"rope.freq_base_swa", KEY_OFF},
    {"rope.dimension_sections", KEY_OFF},
    {"attention.scale", KEY_SCALE},
    {"attention.causal", KEY_ON},
    {"attention.sliding_window", KEY_READ},
    {"attention.sliding_window_pattern", KEY_READ},
    {"attention.shared_kv_layers", KEY_READ},
    {"attention.kv_source_layers", KEY_READ},
    {"attention.clamp_kqv", KEY_OFF},
    {"attention.max_alibi_bias", KEY_OFF},
    {"attention.chunk_size", KEY_OFF},
    {"attn_logit_softcapping", KEY_OFF},
    {"final_logit_softcapping", KEY_OFF},
    {"logit_scale", KEY_ONE},
    {"residual_scale", KEY_ONE},
    {"embedding_scale", KEY_ONE},
    {"expert_count", KEY_OFF},
    {"expert_shared_count", KEY_OFF},
    {"leading_dense_block_count", KEY_OFF},
    {"use_parallel_residual", KEY_OFF},
};

static const struct config_key lckv_keys[] = {
    {"layer_types", KEY_READ},    {"forward_passes", KEY_READ},   {"backward_passes", KEY_READ},
    {"window_ropes", KEY_READ},   {"sliding_window", KEY_READ},   {"force_nodiag", KEY_READ},
    {"use_sequential", KEY_READ}, {"unrotated_layers", KEY_READ},
};

#define TABLE(keys)                          \
    {                                        \
        keys, sizeof(keys) / sizeof(keys)[0] \
    }

const struct config_key *config_key_find(enum key_place place, struct text name)
{
    static const struct {
        const struct config_key *keys;
        size_t n_keys;
    } tables[] = {
        [KEYS_OF_JSON] = TABLE(json_keys),
        [KEYS_OF_ARCHITECTURE] = TABLE(gguf_keys),
        [KEYS_OF_LCKV] = TABLE(lckv_keys),
    };
    for (size_t i = 0; i < tables[place].n_keys; i++) {
        if (text_equals(name, tables[place].keys[i].name))
            return &tables[place].keys[i];
    }
    return NULL;
}
