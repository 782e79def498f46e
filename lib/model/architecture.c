/*
 * The table of architectures. See architecture.h.
 */
#include "model/architecture.h"

#include "base/text.h"

#include <stdio.h>
#include <string.h>

/*
 * In most Hugging Face files, "post_attention_layernorm" is the norm before the MLP. Where there is
 * a norm behind attention, that one has this name, and the norm before the MLP has another.
 */
static const struct weight_names between_norms[] = {
    {WEIGHT_FFN_NORM, "ffn_norm.weight", "pre_feedforward_layernorm.weight"},
};

/* How heads of Gemma 4 rotate, if a file does not tell. */
#define GEMMA4_ROPES                                                                             \
    "\"rope_parameters\":{\"sliding_attention\":{\"rope_type\":\"default\",\"rope_theta\":1e4}," \
    "\"full_attention\":{\"rope_type\":\"proportional\",\"partial_rotary_factor\":0.25,"         \
    "\"rope_theta\":1e6}}"

/* What the models of Gemma 4 have in common. */
#define GEMMA4_RECIPE                                                                              \
    .gguf_name = "gemma4", .lckv_name = "lckv-gemma4", .default_tied = true,                       \
    .weights = WEIGHT_BIT(WEIGHT_Q_NORM) | WEIGHT_BIT(WEIGHT_K_NORM) | WEIGHT_BIT(WEIGHT_O_NORM) | \
               WEIGHT_BIT(WEIGHT_DOWN_NORM) | WEIGHT_BIT(WEIGHT_LAYER_SCALE),                      \
    .names = between_norms, .n_names = sizeof between_norms / sizeof between_norms[0],             \
    .scales = SCALE_BIT(SCALE_SOFTCAP), .activation = ACTIVATION_GELU_TANH,                        \
    .embedding_by_width = true, .ropes_by_window = true, .values_normed = true,                    \
    .scores_unscaled = true, .heads_by_window = true, .plans_are_common = true

static const struct architecture architectures[] = {
    {
        .gguf_name = "llama",
        .hf_model_type = "llama",
        .lckv_name = "lckv-llama",
        .gguf_rope_adjacent = true,
    },
    {
        .gguf_name = "llama", /* with windows, "lckv-llama" */
        .hf_model_type = "mistral",
        .lckv_name = "lckv-llama",
        .gguf_rope_adjacent = true,
        .windows_all = true,
        .default_window = 4096,
    },
    {
        .gguf_name = "qwen2",
        .hf_model_type = "qwen2",
        .lckv_name = "lckv-qwen2",
        .weights =
            WEIGHT_BIT(WEIGHT_Q_BIAS) | WEIGHT_BIT(WEIGHT_K_BIAS) | WEIGHT_BIT(WEIGHT_V_BIAS),
    },
    {
        .gguf_name = "qwen3",
        .hf_model_type = "qwen3",
        .lckv_name = "lckv-qwen3",
        .weights = WEIGHT_BIT(WEIGHT_Q_NORM) | WEIGHT_BIT(WEIGHT_K_NORM),
    },
    {
        .gguf_name = "smollm3",
        .hf_model_type = "smollm3",
        .lckv_name = "lckv-smollm3",
        .gguf_rope_adjacent = true,
        .unrotated_interval = 4,
        .default_theta = 2e6,
        .default_tied = true,
    },
    {
        .gguf_name = "phi3", /* what lckv writes is not fused, so it is "lckv-phi3" */
        .hf_model_type = "phi3",
        .lckv_name = "lckv-phi3",
        .partial_rotation = true,
        .fused = true,
        .windows_all = true,
    },
    {
        .gguf_name = "granite",
        .hf_model_type = "granite",
        .lckv_name = "lckv-granite",
        .gguf_rope_adjacent = true,
        .scales = SCALE_BIT(SCALE_EMBEDDING) | SCALE_BIT(SCALE_ATTENTION) |
                  SCALE_BIT(SCALE_RESIDUAL) | SCALE_BIT(SCALE_LOGITS),
    },
    {
        .gguf_name = "gemma3",
        .hf_model_type = "gemma3_text",
        .hf_outer_type = "gemma3",
        .hf_defaults = "{\"vocab_size\":262208,\"num_attention_heads\":8,"
                       "\"num_key_value_heads\":4,\"head_dim\":256,"
                       "\"query_pre_attn_scalar\":256,\"max_position_embeddings\":131072,"
                       "\"sliding_window\":4096,\"sliding_window_pattern\":6}",
        .default_theta = 1e6,
        .default_tied = true,
        .lckv_name = "lckv-gemma3",
        .weights = WEIGHT_BIT(WEIGHT_Q_NORM) | WEIGHT_BIT(WEIGHT_K_NORM) |
                   WEIGHT_BIT(WEIGHT_O_NORM) | WEIGHT_BIT(WEIGHT_DOWN_NORM),
        .names = between_norms,
        .n_names = sizeof between_norms / sizeof between_norms[0],
        .scales = SCALE_BIT(SCALE_ATTENTION) | SCALE_BIT(SCALE_SOFTCAP),
        .activation = ACTIVATION_GELU_TANH,
        .embedding_by_width = true,
        .ropes_by_window = true,
        .norms_plus_one = true,
        .scores_by_query = true,
        .window_period = 6,
    },
    {
        GEMMA4_RECIPE,
        .hf_model_type = "gemma4_text",
        .hf_outer_type = "gemma4",
        .hf_defaults = "{\"sliding_window\":512,\"hidden_size_per_layer_input\":256,"
                       "\"vocab_size_per_layer_input\":262144," GEMMA4_ROPES "}",
        .inputs_by_layer = true,
    },
    {
        GEMMA4_RECIPE, /* without embeddings of the layers */
        .hf_model_type = "gemma4_unified_text",
        .hf_outer_type = "gemma4_unified",
        .hf_defaults = "{\"sliding_window\":1024," GEMMA4_ROPES "}",
    },
    {
        .gguf_name = "gemma3n",
        .hf_model_type = "gemma3n_text",
        .hf_outer_type = "gemma3n",
        .hf_defaults = "{\"vocab_size\":262400,\"num_attention_heads\":8,"
                       "\"num_key_value_heads\":2,\"head_dim\":256,"
                       "\"hidden_size_per_layer_input\":256,"
                       "\"max_position_embeddings\":32768,\"sliding_window\":512,"
                       "\"sliding_window_pattern\":5}",
        .lckv_name = "lckv-gemma3n",
        .weights = WEIGHT_BIT(WEIGHT_Q_NORM) | WEIGHT_BIT(WEIGHT_K_NORM) |
                   WEIGHT_BIT(WEIGHT_O_NORM) | WEIGHT_BIT(WEIGHT_DOWN_NORM),
        .names = between_norms,
        .n_names = sizeof between_norms / sizeof between_norms[0],
        .scales = SCALE_BIT(SCALE_SOFTCAP),
        .activation = ACTIVATION_GELU_TANH,
        .embedding_by_width = true,
        .ropes_by_window = true,
        .default_theta = 1e6,
        .default_tied = true,
        .values_normed = true,
        .scores_unscaled = true,
        .window_period = 5,
        .plans_are_common = true,
        .inputs_by_layer = true,
        .input_vocabulary = 262144,
        .altup = true,
        .sparse_layers = 10,
        .own_kv_layers = 20,
        .shared_kv_layers = 15,
        .default_softcap = 30,
    },
};
#define N_ARCHITECTURES (sizeof architectures / sizeof architectures[0])

const struct architecture *architecture_from_gguf(struct text name)
{
    for (size_t i = 0; i < N_ARCHITECTURES; i++) {
        if (text_equals(name, architectures[i].gguf_name) ||
            text_equals(name, architectures[i].lckv_name))
            return &architectures[i];
    }
    return NULL;
}

const struct architecture *architecture_from_hf(struct text model_type)
{
    for (size_t i = 0; i < N_ARCHITECTURES; i++) {
        if (text_equals(model_type, architectures[i].hf_model_type) ||
            text_equals(model_type, architectures[i].lckv_name))
            return &architectures[i];
    }
    return NULL;
}

const struct architecture *architecture_from_outer(struct text model_type)
{
    for (size_t i = 0; i < N_ARCHITECTURES; i++) {
        if (architectures[i].hf_outer_type != NULL &&
            text_equals(model_type, architectures[i].hf_outer_type))
            return &architectures[i];
    }
    return NULL;
}

const char *architecture_name(const struct architecture *architecture, struct text name)
{
    return text_equals(name, architecture->lckv_name) ? architecture->lckv_name
                                                      : architecture->gguf_name;
}

float architecture_norm_offset(const struct architecture *architecture, enum checkpoint_kind kind)
{
    return architecture->norms_plus_one && kind == CHECKPOINT_HF ? 1 : 0;
}

static void add_name(struct architecture_names *names, const char *name)
{
    const size_t used = strlen(names->text);
    snprintf(names->text + used, sizeof names->text - used, "%s%s", used > 0 ? ", " : "", name);
}

struct architecture_names architecture_names(bool gguf)
{
    struct architecture_names names = {""};
    for (size_t i = 0; i < N_ARCHITECTURES; i++) {
        const struct architecture *a = &architectures[i];
        const struct text own = {a->lckv_name, strlen(a->lckv_name)};
        const bool is_first = architecture_from_gguf(own) == a;
        if (is_first || !gguf)
            add_name(&names, gguf ? a->gguf_name : a->hf_model_type);
        if (!gguf && a->hf_outer_type != NULL)
            add_name(&names, a->hf_outer_type);
        if (is_first)
            add_name(&names, a->lckv_name);
    }
    return names;
}
