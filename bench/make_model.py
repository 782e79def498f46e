#!/usr/bin/env python3
"""Writes a GGUF file with random weights, of any shape, layer plan and element type.

    bench/make_model.py --preset tinyllama --type q4_0 tinyllama-q4_0.gguf
    bench/make_model.py --layers 12 --hidden 768 --heads 12 --kv-heads 12 --ffn 2048 --vocab 32000 \\
        --plan 0_10_10_10_10_10_10_10_10_10_10_11 --type q8_0 small.gguf

It needs only Python's standard library. The weights make no sense, but their size and layout do, so
the files serve to measure speed and memory. The same arguments give the same file.
"""

import argparse
import random
import struct

PRESETS = {  # layers, hidden, heads, kv heads, ffn, vocabulary
    "tinyllama": (22, 2048, 32, 4, 5632, 32000),
    "110m": (12, 768, 12, 12, 2048, 32000),
    "smollm2": (30, 576, 9, 3, 1536, 49152),
}
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
    if n_dims == 1:
        return "f32"
    eighth = layers // 8
    more = layer < eighth or layer >= 7 * layers // 8 or (layer - eighth) % 3 == 2
    larger = name == "output.weight" or (("attn_v" in name or "ffn_down" in name) and more)
    return "q6_k" if larger and kind in MIXES else MIXES.get(kind, kind)


def text(value):
    value = value.encode()
    return struct.pack("<Q", len(value)) + value


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

    layers, hidden, ffn = shape["layers"], shape["hidden"], shape["ffn"]
    head_dim = hidden // shape["heads"]
    key = shape["kv_heads"] * head_dim
    plan = options.plan or "_".join(map(str, range(layers)))
    sources = {int(entry.rstrip("s")) for entry in plan.split("_")}

    tensors = [("token_embd.weight", (shape["vocab"], hidden)), ("output_norm.weight", (hidden,)),
               ("output.weight", (shape["vocab"], hidden))]
    for i in range(layers):
        tensors += [(f"blk.{i}.attn_norm.weight", (hidden,)), (f"blk.{i}.attn_q.weight", (hidden, hidden))]
        if i in sources:
            tensors += [(f"blk.{i}.attn_k.weight", (key, hidden)), (f"blk.{i}.attn_v.weight", (key, hidden))]
        tensors += [(f"blk.{i}.attn_output.weight", (hidden, hidden)), (f"blk.{i}.ffn_norm.weight", (hidden,)),
                    (f"blk.{i}.ffn_gate.weight", (ffn, hidden)), (f"blk.{i}.ffn_up.weight", (ffn, hidden)),
                    (f"blk.{i}.ffn_down.weight", (hidden, ffn))]

    architecture = "lckv-llama" if options.plan else "llama"
    metadata = [("general.architecture", 8, architecture), ("general.name", 8, "random weights")]
    metadata += [(f"{architecture}.{k}", 4, v) for k, v in {
        "block_count": layers, "context_length": 32768, "embedding_length": hidden,
        "feed_forward_length": ffn, "attention.head_count": shape["heads"],
        "attention.head_count_kv": shape["kv_heads"], "vocab_size": shape["vocab"]}.items()]
    metadata += [(f"{architecture}.attention.layer_norm_rms_epsilon", 6, 1e-5)]
    metadata += [("tokenizer.ggml.model", 8, "no_vocab")]  # other engines want this key in files without a tokenizer
    if options.plan:
        metadata += [("lckv.layer_types", 8, plan), ("lckv.sliding_window", 4, 1024)]

    header = struct.pack("<4sIQQ", b"GGUF", 3, len(tensors), len(metadata))
    for name, kind, value in metadata:
        header += text(name) + struct.pack("<I", kind)
        header += text(value) if kind == 8 else struct.pack("<f" if kind == 6 else "<I", value)
    offset, sizes, kinds = 0, [], []
    for name, dims in tensors:
        layer = int(name.split(".")[1]) if name.startswith("blk.") else -1
        kinds.append(type_of(name, len(dims), layer, layers, options.type))
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
        for kind in sorted(set(kinds) - {"f32"}) or ["f32"]
    }
    with open(options.output, "wb") as file:
        file.write(header + b"\0" * (-len(header) % ALIGNMENT))
        for (_, dims), size, kind in zip(tensors, sizes, kinds):
            if len(dims) == 1:
                data = struct.pack("<f", 1.0) * dims[0]
                file.write(data + b"\0" * (-size % ALIGNMENT))
                continue
            left, pool = size, pools[kind]
            while left > 0:
                file.write(pool[:left])
                left -= min(left, len(pool))
            file.write(b"\0" * (-size % ALIGNMENT))


if __name__ == "__main__":
    main()
