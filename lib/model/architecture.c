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
        .gguf_name = "gemma4",
        .hf_model_type = "gemma4_text",
        .lckv_name = "lckv-gemma4",
        .weights = WEIGHT_BIT(WEIGHT_Q_NORM) | WEIGHT_BIT(WEIGHT_K_NORM) |
                   WEIGHT_BIT(WEIGHT_O_NORM) | WEIGHT_BIT(WEIGHT_DOWN_NORM) |
                   WEIGHT_BIT(WEIGHT_LAYER_SCALE),
        .names = between_norms,
        .n_names = sizeof between_norms / sizeof between_norms[0],
        .scales = SCALE_BIT(SCALE_SOFTCAP),
        .activation = ACTIVATION_GELU_TANH,
        .embedding_by_width = true,
        .ropes_by_window = true,
        .values_normed = true,
        .scores_unscaled = true,
        .heads_by_window = true,
        .plans_are_common = true,
        .inputs_by_layer = true,
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
        if (is_first)
            add_name(&names, a->lckv_name);
    }
    return names;
}
