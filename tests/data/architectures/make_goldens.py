#!/usr/bin/env python3
"""Makes the models of this folder, with random weights, and the logits that transformers gives them.

make_goldens.py [NAME...] writes NAME/config.json and NAME/model.safetensors, as transformers would,
and NAME/golden.safetensors: `tokens`, int32 [n], and `logits`, float32 [n, n_vocab]. Weights are
bfloat16 numbers; transformers computes with them in float64. Where the rotation depends on the
length of the text, NAME/long.safetensors has the logits behind two tokens of a longer one. Needs
torch, transformers and safetensors (see README.md for the versions that made these files).
"""
import json
import os
import sys

import torch
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForCausalLM

N_TOKENS = 64
N_VOCAB = 97

SHARED = dict(vocab_size=N_VOCAB, hidden_size=32, intermediate_size=56, num_hidden_layers=3, num_attention_heads=4,
              num_key_value_heads=2, max_position_embeddings=256, bos_token_id=1, eos_token_id=2, pad_token_id=None)

# Name: model_type, and what its configuration has beside SHARED.
MODELS = {
    "qwen2": ("qwen2", dict(rope_theta=10000.0, rms_norm_eps=1e-6, tie_word_embeddings=True, use_sliding_window=False)),
    "qwen3": ("qwen3", dict(rope_theta=1000000.0, rms_norm_eps=1e-6, tie_word_embeddings=False, head_dim=16,
                            use_sliding_window=False)),
    "qwen3-biased": ("qwen3", dict(rope_theta=10000.0, rms_norm_eps=1e-6, tie_word_embeddings=True, head_dim=24,
                                   attention_bias=True, num_key_value_heads=1, use_sliding_window=False)),
    "granite": ("granite", dict(rope_theta=10000.0, rms_norm_eps=1e-5, tie_word_embeddings=True, embedding_multiplier=3.0,
                                attention_multiplier=0.5, residual_multiplier=0.7, logits_scaling=0.5)),
    "mistral": ("mistral", dict(rope_theta=10000.0, rms_norm_eps=1e-5, tie_word_embeddings=False, head_dim=16,
                                sliding_window=11)),
    "mistral-full": ("mistral", dict(rope_theta=1000000.0, rms_norm_eps=1e-5, tie_word_embeddings=False,
                                     sliding_window=None)),
    "smollm3": ("smollm3", dict(rope_theta=10000.0, rms_norm_eps=1e-6, num_hidden_layers=5)),
    "smollm3-listed": ("smollm3", dict(rope_theta=10000.0, rms_norm_eps=1e-6, tie_word_embeddings=False,
                                       no_rope_layers=[0, 1, 1])),
    "llama-linear": ("llama", dict(rms_norm_eps=1e-5, tie_word_embeddings=True, attention_bias=True, rope_parameters={
        "rope_type": "linear", "rope_theta": 1e4, "factor": 2.5})),
    "llama-llama3": ("llama", dict(rms_norm_eps=1e-5, tie_word_embeddings=True, head_dim=32, rope_parameters={
        "rope_type": "llama3", "rope_theta": 5e5, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 48})),
    "qwen2-yarn": ("qwen2", dict(rms_norm_eps=1e-6, tie_word_embeddings=True, num_attention_heads=2,
                                 num_key_value_heads=1, use_sliding_window=False, rope_parameters={
        "rope_type": "yarn", "rope_theta": 1e4, "factor": 4.0, "original_max_position_embeddings": 64,
        "beta_fast": 8.0, "beta_slow": 2.0})),
    "qwen3-yarn": ("qwen3", dict(rms_norm_eps=1e-6, tie_word_embeddings=True, head_dim=32, use_sliding_window=False,
                                 rope_parameters={
        "rope_type": "yarn", "rope_theta": 1e4, "factor": 8.0, "original_max_position_embeddings": 32,
        "attention_factor": 1.3})),
    "llama-longrope": ("llama", dict(rms_norm_eps=1e-5, tie_word_embeddings=True, head_dim=16, rope_parameters={
        "rope_type": "longrope", "rope_theta": 1e4, "original_max_position_embeddings": 64,
        "short_factor": [1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 3.5],
        "long_factor": [1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0]})),
    "phi3": ("phi3", dict(rms_norm_eps=1e-5, tie_word_embeddings=False, sliding_window=11, rope_theta=1e4)),
    "phi3-longrope": ("phi3", dict(rms_norm_eps=1e-5, tie_word_embeddings=True, num_attention_heads=2,
                                   num_key_value_heads=1, sliding_window=262144, original_max_position_embeddings=64,
                                   rope_parameters={
        "rope_type": "longrope", "rope_theta": 1e4, "partial_rotary_factor": 0.75,
        "short_factor": [1.0, 1.25, 1.5, 1.75, 2.0, 2.5], "long_factor": [1.5, 2.0, 3.0, 4.0, 6.0, 8.0]})),
    "gemma3": ("gemma3_text", dict(head_dim=16, query_pre_attn_scalar=16, num_key_value_heads=1, sliding_window=9,
                                   layer_types=["sliding_attention", "sliding_attention", "full_attention"],
                                   rope_parameters={"full_attention": {"rope_type": "default", "rope_theta": 1e6},
                                                    "sliding_attention": {"rope_type": "default", "rope_theta": 1e4}},
                                   final_logit_softcapping=6.0)),
    "gemma3n": ("gemma3n_text", dict(head_dim=8, num_key_value_heads=1, num_hidden_layers=6, intermediate_size=6 * [40],
                                     vocab_size_per_layer_input=90, hidden_size_per_layer_input=4, laurel_rank=5,
                                     num_kv_shared_layers=2, sliding_window=9, final_logit_softcapping=6.0,
                                     layer_types=3 * ["sliding_attention"] + ["full_attention", "sliding_attention",
                                                                              "full_attention"],
                                     activation_sparsity_pattern=[0.8, 0.6, 0.0, 0.0, 0.7, 0.0],
                                     rope_parameters={"full_attention": {"rope_type": "default", "rope_theta": 1e6},
                                                      "sliding_attention": {"rope_type": "default", "rope_theta": 1e4}})),
}


# Name: the tokens of a longer text, and what is changed in the configuration's rope_parameters.
LONG = {"llama-linear": (272, {"rope_type": "dynamic"}), "llama-longrope": (80, {}), "phi3-longrope": (80, {})}


def randomize(model, generator):
    """Weights for which every part of the computation shows in the logits."""
    for name, parameter in model.named_parameters():
        values = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        if name.endswith(("norm.weight", "correct_output_scale")):
            values = (0 if model.config.model_type == "gemma3_text" else 1) + 0.3 * values
        elif name.endswith("bias"):
            values = 0.5 * values
        elif "embed" in name:
            values = 0.3 * values
        else:
            values = 1.5 * values / parameter.shape[-1] ** 0.5
        parameter.data = values.to(torch.bfloat16).to(torch.float64)


def make(name):
    model_type, changes = MODELS[name]
    config = AutoConfig.for_model(model_type, **{**SHARED, **changes})
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").double().eval()
    generator = torch.Generator().manual_seed(sum(name.encode()))
    with torch.no_grad():
        randomize(model, generator)
        tokens = torch.randint(0, N_VOCAB, (N_TOKENS,), generator=generator)
        logits = model(tokens[None], use_cache=False).logits[0]
    os.makedirs(name, exist_ok=True)
    weights = {key: value.to(torch.bfloat16).contiguous() for key, value in model.state_dict().items()}
    if config.tie_word_embeddings:
        weights.pop("lm_head.weight", None)
    save_file(weights, f"{name}/model.safetensors")
    save_file({"tokens": tokens.to(torch.int32), "logits": logits.float()}, f"{name}/golden.safetensors")
    written = config.to_dict()
    written["architectures"] = [type(model).__name__]
    written["dtype"] = "bfloat16"
    with open(f"{name}/config.json", "w", encoding="utf-8") as file:
        json.dump(written, file, indent=2, sort_keys=True)
        file.write("\n")
    print(name, "logits from", float(logits.min()), "to", float(logits.max()))


def make_long(name):
    n_tokens, changes = LONG[name]
    config = AutoConfig.from_pretrained(name)
    config.rope_parameters.update(changes)
    model = AutoModelForCausalLM.from_pretrained(name, config=config, dtype=torch.float64,
                                                 attn_implementation="eager").eval()
    tokens = torch.tensor([(7 * i * i + 3 * i) % N_VOCAB for i in range(n_tokens)])
    with torch.no_grad():
        logits = model(tokens[None], use_cache=False).logits[0, [3, n_tokens - 1]]
    save_file({"logits": logits.float()}, f"{name}/long.safetensors")


if __name__ == "__main__":
    os.chdir(os.path.dirname(os.path.abspath(__file__)))
    for wanted in sys.argv[1:] or MODELS:
        make(wanted)
        if wanted in LONG:
            make_long(wanted)
