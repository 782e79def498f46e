#!/usr/bin/env python3
"""Writes phi3-longrope/fused.gguf with the weights of phi3-longrope/model.safetensors, under the keys and
names that llama.cpp gives to Phi-3: q, k and v are one tensor, and so are gate and up. Needs gguf, numpy, safetensors and torch."""
import json
import math
import os

import gguf
import numpy
import torch
from safetensors import safe_open

NAMES = {"input_layernorm": "attn_norm", "self_attn.qkv_proj": "attn_qkv", "self_attn.o_proj": "attn_output",
         "post_attention_layernorm": "ffn_norm", "mlp.gate_up_proj": "ffn_up", "mlp.down_proj": "ffn_down"}

os.chdir(os.path.dirname(os.path.abspath(__file__)))
with open("phi3-longrope/config.json", encoding="utf-8") as file:
    config = json.load(file)
rope = config["rope_parameters"]
head_dim = config["hidden_size"] // config["num_attention_heads"]
original = config["original_max_position_embeddings"]
times = config["max_position_embeddings"] / original

writer = gguf.GGUFWriter("phi3-longrope/fused.gguf", "phi3")
writer.add_context_length(config["max_position_embeddings"])
writer.add_rope_scaling_orig_ctx_len(original)
writer.add_embedding_length(config["hidden_size"])
writer.add_feed_forward_length(config["intermediate_size"])
writer.add_block_count(config["num_hidden_layers"])
writer.add_head_count(config["num_attention_heads"])
writer.add_head_count_kv(config["num_key_value_heads"])
writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
writer.add_rope_dimension_count(int(rope["partial_rotary_factor"] * head_dim))
writer.add_rope_freq_base(rope["rope_theta"])
writer.add_sliding_window(config["sliding_window"])
writer.add_rope_scaling_attn_factors(math.sqrt(1 + math.log(times) / math.log(original)))
writer.add_tensor("rope_factors_long.weight", numpy.array(rope["long_factor"], numpy.float32))
writer.add_tensor("rope_factors_short.weight", numpy.array(rope["short_factor"], numpy.float32))

with safe_open("phi3-longrope/model.safetensors", "pt") as tensors:
    for name in tensors.keys():
        values = tensors.get_tensor(name)
        part = name.removesuffix(".weight")
        if part == "model.embed_tokens":
            written = "token_embd"
        elif part == "model.norm":
            written = "output_norm"
        else:
            _, _, layer, part = part.split(".", 3)
            written = f"blk.{layer}.{NAMES[part]}"
        if values.dim() == 1:
            writer.add_tensor(written + ".weight", values.float().numpy())
        else:
            bits = values.view(torch.uint16).numpy()
            writer.add_tensor(written + ".weight", bits, raw_dtype=gguf.GGMLQuantizationType.BF16)

writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()
