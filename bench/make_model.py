#!/usr/bin/env python3
"""Writes a GGUF file with random weights, of any shape, layer plan and element type.

    bench/make_model.py --preset tinyllama --type q4_0 tinyllama-q4_0.gguf
    bench/make_model.py --layers 12 --hidden 768 --heads 12 --kv-heads 12 --ffn 2048 --vocab 32000 \\
        --plan 0_10_10_10_10_10_10_10_10_10_10_11 --type q8_0 small.gguf
    bench/make_model.py --preset gemma4-e2b --type q4_0 e2b-q4_0.gguf

It needs only Python's standard library. The weights make no sense, but their size and layout do, so
the files serve to measure speed and memory. The same arguments give the same file.
"""

import argparse
import math
import random
import struct

PRESETS = {  # layers, hidden, heads, kv heads, ffn, vocabulary
    "tinyllama": (22, 2048, 32, 4, 5632, 32000),
    "110m": (12, 768, 12, 12, 2048, 32000),
    "smollm2": (30, 576, 9, 3, 1536, 49152),
    "gemma4-e2b": (35, 1536, 8, 1, 6144, 262144),
    "gemma4-e4b": (42, 2560, 8, 2, 10240, 262144),
    "gemma3n-e2b": (30, 2048, 8, 2, 8192, 262400),
}
GEMMA4 = {  # of --preset: own layers, layers of a period, of which the last has no window, and what more the MLP has
    "gemma4-e2b": (15, 5, 2),
    "gemma4-e4b": (24, 6, 1),
}
GEMMA3N = {"gemma3n-e2b": (20, 10)}  # of --preset: own layers, and those whose gates are sparse
TYPES = {  # name: GGUF number, elements and bytes of a block
    "f32": (0, 1, 4),
    "f16": (1, 1, 2),
    "bf16": (30, 1, 2),
    "q4_0": (2, 32, 18),
    "q4_1": (3, 32, 20),
    "q5_0": (6, 32, 22),
    "q5_1": (7, 32, 24),
    "q8_0": (8, 32, 34),
    "q2_k": (10, 256, 84),
    "q3_k": (11, 256, 110),
    "q4_k": (12, 256, 144),
    "q5_k": (13, 256, 176),
    "q6_k": (14, 256, 210),
    "iq4_nl": (20, 32, 18),
    "iq4_xs": (23, 256, 136),
    "mxfp4": (39, 32, 17),
}
MIXES = {"q4_k_m": "q4_k", "q5_k_m": "q5_k"}  # the type of most tensors
ALIGNMENT = 32
LAUREL_RANK = 64
POOL_BLOCKS = 4096  # random blocks of which the weights are made


def random_block(rng, kind):
    """One block of weights of about 0.02, as files store it."""
    parts = {"q8_0": 64, "q6_k": 2000, "q3_k": 32, "q5_0": 8, "iq4_nl": 64, "iq4_xs": 1000}
    scale = struct.pack("<e", rng.uniform(0.5, 1.5) * 0.02 / parts.get(kind, 4))
    if kind == "f32":
        return struct.pack("<f", rng.gauss(0, 0.02))
    if kind == "f16":
        return struct.pack("<e", rng.gauss(0, 0.02))
    if kind == "bf16":
        return struct.pack("<f", rng.gauss(0, 0.02))[2:]
    if kind == "q4_1":
        return scale + struct.pack("<e", -0.04) + rng.randbytes(16)
    if kind == "q5_1":
        return scale + struct.pack("<e", -0.08) + rng.randbytes(20)
    if kind == "mxfp4":
        return bytes([rng.randint(118, 120)]) + rng.randbytes(16)
    if kind == "q2_k":
        return rng.randbytes(80) + struct.pack("<2e", rng.uniform(0.5, 1.5) * 0.002, rng.uniform(0.5, 1.5) * 0.003)
    if kind in ("q3_k", "q6_k"):
        return rng.randbytes(TYPES[kind][2] - 2) + scale
    if kind in ("q4_k", "q5_k"):
        scales = struct.pack("<2e", rng.uniform(0.5, 1.5) * 0.0001, rng.uniform(0.5, 1.5) * 0.0008)
        return scales + rng.randbytes(TYPES[kind][2] - 4)
    return scale + rng.randbytes(TYPES[kind][2] - 2)


def type_of(name, n_dims, layer, layers, kind):
    """The element type of a tensor. A mix has some of attn_v and ffn_down, and the output, in q6_K."""
    if n_dims == 1 or (name.startswith("blk.") and ".altup_" in name):
        return "f32"
    eighth = layers // 8
    more = layer < eighth or layer >= 7 * layers // 8 or (layer - eighth) % 3 == 2
    larger = name == "output.weight" or (("attn_v" in name or "ffn_down" in name) and more)
    if name == "per_layer_token_embd.weight" and kind not in ("f32", "f16", "bf16"):
        return "q8_0"
    if "laurel_r" in name and TYPES[MIXES.get(kind, kind)][1] > LAUREL_RANK:
        return "q8_0"
    return "q6_k" if larger and kind in MIXES else MIXES.get(kind, kind)


def text(value):
    value = value.encode()
    return struct.pack("<Q", len(value)) + value


def entry(key, value):
    """A key of the metadata with its value: a text, a float, a whole number, or a list of numbers or of yes and no."""

    def number(value):
        return (7, "<B") if isinstance(value, bool) else (6, "<f") if isinstance(value, float) else (4, "<I")

    if isinstance(value, str):
        return text(key) + struct.pack("<I", 8) + text(value)
    if isinstance(value, list):
        kind, form = number(value[0])
        return text(key) + struct.pack("<IIQ", 9, kind, len(value)) + b"".join(struct.pack(form, v) for v in value)
    kind, form = number(value)
    return text(key) + struct.pack("<I", kind) + struct.pack(form, value)


def llama(shape, plan):
    """The name of the architecture, its keys and its tensors (names and dimensions)."""
    layers, hidden, ffn = shape["layers"], shape["hidden"], shape["ffn"]
    key = shape["kv_heads"] * (hidden // shape["heads"])
    sources = {int(entry.rstrip("s")) for entry in plan.split("_")} if plan else range(layers)
    tensors = [("token_embd.weight", (shape["vocab"], hidden)), ("output_norm.weight", (hidden,)),
               ("output.weight", (shape["vocab"], hidden))]
    for i in range(layers):
        tensors += [(f"blk.{i}.attn_norm.weight", (hidden,)), (f"blk.{i}.attn_q.weight", (hidden, hidden))]
        if i in sources:
            tensors += [(f"blk.{i}.attn_k.weight", (key, hidden)), (f"blk.{i}.attn_v.weight", (key, hidden))]
        tensors += [(f"blk.{i}.attn_output.weight", (hidden, hidden)), (f"blk.{i}.ffn_norm.weight", (hidden,)),
                    (f"blk.{i}.ffn_gate.weight", (ffn, hidden)), (f"blk.{i}.ffn_up.weight", (ffn, hidden)),
                    (f"blk.{i}.ffn_down.weight", (hidden, ffn))]
    keys = {"context_length": 32768, "attention.layer_norm_rms_epsilon": 1e-5}
    return ("lckv-llama" if plan else "llama"), keys, tensors


def gemma4(shape, own_layers, period, wider):
    """The same for Gemma 4, where layers read the last own layer that has a window, or has none, as they do."""
    layers, hidden, inputs = shape["layers"], shape["hidden"], 256
    windows = [i % period != period - 1 for i in range(layers)]
    widths = [shape["ffn"] * (wider if i >= own_layers else 1) for i in range(layers)]
    tensors = [("token_embd.weight", (shape["vocab"], hidden)), ("output_norm.weight", (hidden,)),
               ("rope_freqs.weight", (256,)), ("per_layer_token_embd.weight", (shape["vocab"], inputs * layers)),
               ("per_layer_model_proj.weight", (inputs * layers, hidden)), ("per_layer_proj_norm.weight", (inputs,))]
    for i, (has_window, width) in enumerate(zip(windows, widths)):
        head = 256 if has_window else 512
        query, key = shape["heads"] * head, shape["kv_heads"] * head
        layer = {"attn_norm": (hidden,), "attn_q": (query, hidden), "attn_q_norm": (head,)}
        if i < own_layers:
            layer |= {"attn_k": (key, hidden), "attn_v": (key, hidden), "attn_k_norm": (head,)}
        layer |= {"attn_output": (hidden, query), "post_attention_norm": (hidden,), "ffn_norm": (hidden,),
                  "ffn_gate": (width, hidden), "ffn_up": (width, hidden), "ffn_down": (hidden, width),
                  "post_ffw_norm": (hidden,), "inp_gate": (inputs, hidden), "proj": (hidden, inputs),
                  "post_norm": (hidden,), "layer_output_scale": (1,)}
        tensors += [(f"blk.{i}.{name}.weight", dims) for name, dims in layer.items()]
    return "gemma4", {
        "context_length": 131072, "attention.layer_norm_rms_epsilon": 1e-6, "feed_forward_length": widths,
        "attention.key_length": 512, "attention.value_length": 512, "attention.key_length_swa": 256,
        "attention.value_length_swa": 256, "attention.sliding_window": 512,
        "attention.sliding_window_pattern": windows, "attention.shared_kv_layers": layers - own_layers,
        "embedding_length_per_layer_input": inputs, "rope.freq_base": 1e6, "rope.freq_base_swa": 1e4,
        "rope.dimension_count": 512, "rope.dimension_count_swa": 256, "final_logit_softcapping": 30.0}, tensors


def gemma3n(shape, own_layers, sparse_layers):
    """The same for Gemma 3n. Its layers all have keys and values in files, although the last ones read those of others."""
    layers, hidden, inputs, head = shape["layers"], shape["hidden"], 256, 256
    windows = [i % 5 != 4 for i in range(layers)]
    query, key = shape["heads"] * head, shape["kv_heads"] * head
    tensors = [("token_embd.weight", (shape["vocab"], hidden)), ("output_norm.weight", (hidden,)),
               ("per_layer_token_embd.weight", (shape["vocab"], inputs * layers)),
               ("per_layer_model_proj.weight", (inputs * layers, hidden)), ("per_layer_proj_norm.weight", (inputs,)),
               ("altup_proj.weight", (3, hidden, hidden)), ("altup_unembd_proj.weight", (3, hidden, hidden))]
    layer = {"attn_norm": (hidden,), "attn_q": (query, hidden), "attn_k": (key, hidden), "attn_v": (key, hidden),
             "attn_q_norm": (head,), "attn_k_norm": (head,), "attn_output": (hidden, query),
             "post_attention_norm": (hidden,), "ffn_norm": (hidden,), "ffn_gate": (shape["ffn"], hidden),
             "ffn_up": (shape["ffn"], hidden), "ffn_down": (hidden, shape["ffn"]), "post_ffw_norm": (hidden,),
             "inp_gate": (inputs, hidden), "proj": (hidden, inputs), "post_norm": (hidden,),
             "altup_router": (4, hidden), "altup_router_norm": (hidden,), "altup_predict_coef": (16, 4),
             "altup_correct_coef": (4, 4), "altup_correct_scale": (hidden,), "laurel_l": (LAUREL_RANK, hidden),
             "laurel_r": (hidden, LAUREL_RANK), "laurel_post_norm": (hidden,)}
    tensors += [(f"blk.{i}.{name}.weight", dims) for i in range(layers) for name, dims in layer.items()]
    quantile = 1.64485359  # of the normal distribution at 0.95
    return "gemma3n", {
        "context_length": 32768, "attention.layer_norm_rms_epsilon": 1e-6, "attention.key_length": head,
        "attention.value_length": head, "attention.sliding_window": 512,
        "attention.sliding_window_pattern": windows, "attention.shared_kv_layers": layers - own_layers,
        "embedding_length_per_layer_input": inputs, "altup.active_idx": 0, "altup.num_inputs": 4,
        "activation_sparsity_scale": [quantile if i < sparse_layers else -math.inf for i in range(layers)],
        "rope.freq_base": 1e6, "rope.freq_base_swa": 1e4, "final_logit_softcapping": 30.0}, tensors


def values_of(name, n):
    """Vectors are all ones, but three of four pairs of a head of Gemma 4's do not rotate."""
    values = [1.0 if name != "rope_freqs.weight" or i < n // 4 else 1e30 for i in range(n)]
    return struct.pack(f"<{n}f", *values)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("output")
    parser.add_argument("--preset", choices=PRESETS)
    parser.add_argument("--type", choices=[*TYPES, *MIXES], default="q4_0")
    for name in ("layers", "hidden", "heads", "kv-heads", "ffn", "vocab"):
        parser.add_argument("--" + name, type=int)
    parser.add_argument("--plan", help="a layer plan; standard if absent")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    names = ("layers", "hidden", "heads", "kv_heads", "ffn", "vocab")
    shape = dict(zip(names, PRESETS.get(options.preset, (None,) * len(names))))
    shape.update({n: getattr(options, n) for n in names if getattr(options, n) is not None})
    missing = [n for n in names if shape[n] is None]
    if missing:
        parser.error("give --preset, or also: " + ", ".join("--" + n.replace("_", "-") for n in missing))
    if options.preset in GEMMA4 | GEMMA3N and options.plan:
        parser.error(f"{options.preset} has a plan of its own")

    if options.preset in GEMMA4:
        architecture, keys, tensors = gemma4(shape, *GEMMA4[options.preset])
    elif options.preset in GEMMA3N:
        architecture, keys, tensors = gemma3n(shape, *GEMMA3N[options.preset])
    else:
        architecture, keys, tensors = llama(shape, options.plan)
    keys = {"block_count": shape["layers"], "embedding_length": shape["hidden"], "feed_forward_length": shape["ffn"],
            "attention.head_count": shape["heads"], "attention.head_count_kv": shape["kv_heads"],
            "vocab_size": shape["vocab"]} | keys
    metadata = {"general.architecture": architecture, "general.name": "random weights"}
    metadata |= {f"{architecture}.{key}": value for key, value in keys.items()}
    metadata["tokenizer.ggml.model"] = "no_vocab"  # other engines want this key in files without a tokenizer
    if options.plan:
        metadata |= {"lckv.layer_types": options.plan, "lckv.sliding_window": 1024}

    header = struct.pack("<4sIQQ", b"GGUF", 3, len(tensors), len(metadata))
    header += b"".join(entry(key, value) for key, value in metadata.items())
    offset, sizes, kinds = 0, [], []
    for name, dims in tensors:
        layer = int(name.split(".")[1]) if name.startswith("blk.") else -1
        kinds.append(type_of(name, len(dims), layer, shape["layers"], options.type))
        number, elements, size = TYPES[kinds[-1]]
        if dims[-1] % elements:
            parser.error(f"{name}: rows of {dims[-1]} elements cannot be {kinds[-1]}")
        header += text(name) + struct.pack("<I", len(dims)) + struct.pack(f"<{len(dims)}Q", *reversed(dims))
        header += struct.pack("<IQ", number, offset)
        count = 1
        for dim in dims:
            count *= dim
        sizes.append(count // elements * size)
        offset += -(-sizes[-1] // ALIGNMENT) * ALIGNMENT

    rng = random.Random(options.seed)
    pools = {
        kind: b"".join(random_block(rng, kind) for _ in range(POOL_BLOCKS)) * 64
        for kind in sorted({kind for (_, dims), kind in zip(tensors, kinds) if len(dims) > 1})
    }
    with open(options.output, "wb") as file:
        file.write(header + b"\0" * (-len(header) % ALIGNMENT))
        for (name, dims), size, kind in zip(tensors, sizes, kinds):
            if len(dims) == 1:
                file.write(values_of(name, dims[0]) + b"\0" * (-size % ALIGNMENT))
                continue
            left, pool = size, pools[kind]
            while left > 0:
                file.write(pool[:left])
                left -= min(left, len(pool))
            file.write(b"\0" * (-size % ALIGNMENT))


if __name__ == "__main__":
    main()
