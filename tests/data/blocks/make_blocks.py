#!/usr/bin/env python3
"""Makes blocks.safetensors: blocks of every quantised type, the values that the PyPI package gguf gives them, and
what its quantisers make of some floats; and the values that ml_dtypes gives to the bytes of F8_E4M3.

    python3 -m venv v && v/bin/pip install gguf==0.19.0 ml_dtypes safetensors && v/bin/python make_blocks.py

Arrays: bytes.TYPE (uint8) and values.TYPE (float32); floats (float32) and quantized.TYPE (uint8).
"""

import os

import ml_dtypes
import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, quants
from safetensors.numpy import save_file

# The halves of a block, by their offsets; mxfp4 has an exponent instead.
TYPES = {
    "q8_0": [0],
    "q4_0": [0],
    "q4_1": [0, 2],
    "q5_0": [0],
    "q5_1": [0, 2],
    "q2_K": [80, 82],
    "q3_K": [108],
    "q4_K": [0, 2],
    "q5_K": [0, 2],
    "q6_K": [208],
    "iq4_nl": [0],
    "iq4_xs": [0],
    "mxfp4": [],
}
QUANTISED = ["q8_0", "q4_0", "q4_1", "q5_0", "q5_1"]
EXTREME = [0x0000, 0x8000, 0x0001, 0x83FF, 0x0400, 0x7BFF, 0xFBFF]  # zeros, denormals, the largest
EXPONENTS = [0, 1, 2, 3, 126, 127, 128, 250]


def random_blocks(rng, kind, n):
    size = GGML_QUANT_SIZES[GGMLQuantizationType[kind.upper()]][1]
    blocks = rng.integers(0, 256, (n, size), dtype=np.uint8)
    for at in TYPES[kind]:
        halves = rng.normal(0, 0.05, n).astype(np.float16)
        blocks[:, at : at + 2] = halves.view(np.uint8).reshape(n, 2)
    if kind == "mxfp4":
        blocks[:, 0] = rng.integers(110, 130, n)
    return blocks


def extreme_blocks(rng, kind):
    """All bits of the numbers off, on, and random, with extreme scales."""
    blocks = random_blocks(rng, kind, 3 * len(EXTREME))
    blocks[0::3], blocks[1::3] = 0, 255
    for at in TYPES[kind]:
        halves = np.array([h for h in EXTREME for _ in range(3)], dtype=np.uint16)
        blocks[:, at : at + 2] = halves.view(np.uint8).reshape(-1, 2)
    if kind == "mxfp4":
        blocks[:, 0] = np.resize(EXPONENTS, len(blocks))
    return blocks


def main():
    rng = np.random.default_rng(27)
    arrays = {}
    for kind in TYPES:
        number = GGMLQuantizationType[kind.upper()]
        long = GGML_QUANT_SIZES[number][0] == 256
        extreme = extreme_blocks(rng, kind)
        blocks = np.concatenate([random_blocks(rng, kind, 3 if long else 11), extreme[:: 4 if long else 1]])
        arrays["bytes." + kind] = blocks.reshape(-1)
        arrays["values." + kind] = quants.dequantize(blocks, number).reshape(-1).astype(np.float32)
    every = np.array([byte for byte in range(256) if byte % 128 != 127], dtype=np.uint8)  # but NaN
    arrays["bytes.f8_e4m3"] = every
    arrays["values.f8_e4m3"] = every.view(ml_dtypes.float8_e4m3fn).astype(np.float32)
    floats = rng.normal(0, 1, (24, 32)).astype(np.float32)
    floats[1] *= 1e-7  # scales become denormal halves
    floats[2] *= 1e4
    floats[3] = 0
    floats[4] = 0.37
    floats[5] = np.abs(floats[5])
    floats[6] = -np.abs(floats[6])
    floats[7, 1:] = 0
    floats[8] = np.arange(32) - 16
    floats[9] = (np.arange(32) - 16) / 2
    arrays["floats"] = floats.reshape(-1)
    for kind in QUANTISED:
        arrays["quantized." + kind] = quants.quantize(floats, GGMLQuantizationType[kind.upper()]).reshape(-1)
    save_file(arrays, os.path.join(os.path.dirname(os.path.abspath(__file__)), "blocks.safetensors"))


if __name__ == "__main__":
    main()
