/*
 * The table of architectures and of tensor names. See architecture.h.
 */
#include "model/architecture.h"

#include <stdio.h>
#include <string.h>

static const struct architecture architectures[] = {
    {.gguf_name = "llama", .hf_model_type = "llama", .gguf_rope_adjacent = true, .condensed = true},
    {.gguf_name = "lckv-llama",
     .hf_model_type = "lckv-llama",
     .gguf_rope_adjacent = true,
     .condensed = true},
};
#define N_ARCHITECTURES (sizeof architectures / sizeof architectures[0])

static bool same(struct text text, const char *name)
{
    return text.length == strlen(name) && memcmp(text.bytes, name, text.length) == 0;
}

const struct architecture *architecture_from_gguf(struct text name)
{
    for (size_t i = 0; i < N_ARCHITECTURES; i++) {
        if (same(name, architectures[i].gguf_name))
            return &architectures[i];
    }
    return NULL;
}

const struct architecture *architecture_from_hf(struct text model_type)
{
    for (size_t i = 0; i < N_ARCHITECTURES; i++) {
        if (same(model_type, architectures[i].hf_model_type))
            return &architectures[i];
    }
    return NULL;
}

/* Names without their prefix: "blk.N." or "model.layers.N." for the weights of a layer. */
static const struct {
    const char *gguf, *hf;
} names[WEIGHT_COUNT] = {
    [WEIGHT_TOKEN_EMBEDDING] = {"token_embd.weight", "model.embed_tokens.weight"},
    [WEIGHT_OUTPUT_NORM] = {"output_norm.weight", "model.norm.weight"},
    [WEIGHT_OUTPUT] = {"output.weight", "lm_head.weight"},
    [WEIGHT_ROPE_FACTORS] = {"rope_freqs.weight", ""},
    [WEIGHT_ATTENTION_NORM] = {"attn_norm.weight", "input_layernorm.weight"},
    [WEIGHT_Q] = {"attn_q.weight", "self_attn.q_proj.weight"},
    [WEIGHT_K] = {"attn_k.weight", "self_attn.k_proj.weight"},
    [WEIGHT_V] = {"attn_v.weight", "self_attn.v_proj.weight"},
    [WEIGHT_O] = {"attn_output.weight", "self_attn.o_proj.weight"},
    [WEIGHT_Q_BIAS] = {"attn_q.bias", "self_attn.q_proj.bias"},
    [WEIGHT_K_BIAS] = {"attn_k.bias", "self_attn.k_proj.bias"},
    [WEIGHT_V_BIAS] = {"attn_v.bias", "self_attn.v_proj.bias"},
    [WEIGHT_O_BIAS] = {"attn_output.bias", "self_attn.o_proj.bias"},
    [WEIGHT_FFN_NORM] = {"ffn_norm.weight", "post_attention_layernorm.weight"},
    [WEIGHT_GATE] = {"ffn_gate.weight", "mlp.gate_proj.weight"},
    [WEIGHT_UP] = {"ffn_up.weight", "mlp.up_proj.weight"},
    [WEIGHT_DOWN] = {"ffn_down.weight", "mlp.down_proj.weight"},
    [WEIGHT_GATE_BIAS] = {"ffn_gate.bias", "mlp.gate_proj.bias"},
    [WEIGHT_UP_BIAS] = {"ffn_up.bias", "mlp.up_proj.bias"},
    [WEIGHT_DOWN_BIAS] = {"ffn_down.bias", "mlp.down_proj.bias"},
};

bool weight_is_per_layer(enum weight weight)
{
    return weight >= WEIGHT_ATTENTION_NORM;
}

void weight_name(enum checkpoint_kind kind, enum weight weight, uint32_t layer,
                 char name[WEIGHT_NAME_BYTES])
{
    const char *base = kind == CHECKPOINT_GGUF ? names[weight].gguf : names[weight].hf;
    const char *prefix = kind == CHECKPOINT_GGUF ? "blk" : "model.layers";
    if (weight_is_per_layer(weight))
        snprintf(name, WEIGHT_NAME_BYTES, "%s.%u.%s", prefix, layer, base);
    else
        snprintf(name, WEIGHT_NAME_BYTES, "%s", base);
}
