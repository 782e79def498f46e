/*
 * Lists the keys that only some architectures know. See architecture_keys.h.
 */
#include "model/architecture_keys.h"

#include "model/hparams.h"

/* The keys of layers with a window that rotate in another way. */
static const char *const window_ropes[] = {
    "rope_local_base_freq",
    "rope.freq_base_swa",
    "attention.sliding_window_pattern",
    "sliding_window_pattern",
};

/* The keys of layers whose heads differ, with a window and without. */
static const char *const window_heads[] = {
    "global_head_dim",
    "num_global_key_value_heads",
    "attention_k_eq_v",
    "per_layer_config",
    "use_double_wide_mlp",
    "attention.key_length_swa",
    "attention.value_length_swa",
    "rope.dimension_count_swa",
};

/* The keys of layers with embeddings of their own. */
static const char *const layer_inputs[] = {
    "hidden_size_per_layer_input",
    "vocab_size_per_layer_input",
    "embedding_length_per_layer_input",
};

/* The keys of models with side streams. */
static const char *const altup[] = {
    "altup_active_idx",
    "altup_num_inputs",
    "altup_correct_scale",
    "laurel_rank",
    "activation_sparsity_pattern",
    "altup.active_idx",
    "altup.num_inputs",
    "activation_sparsity_scale",
};

/* The keys of layers that do not rotate. */
static const char *const unrotated[] = {"no_rope_layers", "no_rope_layer_interval"};

static bool is_among(struct text key, const char *const *keys, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (text_equals(key, keys[i]))
            return true;
    }
    return false;
}
#define IS_AMONG(key, keys) is_among(key, keys, sizeof(keys) / sizeof(keys)[0])

bool architecture_reads(const struct architecture *architecture, enum checkpoint_kind kind,
                        struct text key)
{
    if ((architecture->ropes_by_window && IS_AMONG(key, window_ropes)) ||
        (architecture->scores_by_query && text_equals(key, "query_pre_attn_scalar")) ||
        (architecture->heads_by_window && IS_AMONG(key, window_heads)) ||
        (architecture->inputs_by_layer && IS_AMONG(key, layer_inputs)) ||
        (architecture->altup && IS_AMONG(key, altup)) ||
        (architecture->unrotated_interval != 0 && IS_AMONG(key, unrotated)) ||
        (architecture->partial_rotation && text_equals(key, "partial_rotary_factor")))
        return true;
    for (int i = 0; i < SCALES; i++) {
        if ((architecture->scales & SCALE_BIT(i)) != 0 &&
            text_equals(key, scale_key((enum scale)i, kind)))
            return true;
    }
    return false;
}
