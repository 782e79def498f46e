"""Writes */windows.safetensors: logits of prompts that are so long that windowed slots forget.

    python make_windows.py cycle3-window mixattention yoco-windows

The other golden prompts have 40 tokens, which no cache with the default rollback of 64 ever forgets. Here the first
pages of the windowed slots are given back while the prompt is encoded. All numbers come from the oracle (NumPy float64,
rounded to float32 at the end), which keeps every position and masks.
"""
import sys

import numpy as np
from safetensors.numpy import save_file

from lckv_oracle import Oracle

N_TOKENS, SPLIT = 330, 201
# Around the ends of pages of 64 and of tiles of 128, around the split, and the end.
ROWS = np.array([0, 63, 64, 71, 127, 128, 135, 136, 191, 192, 200, 201, 202, 208, 255, 256, 264, 320, 328, 329])

for name in sys.argv[1:]:
    oracle = Oracle(name)
    tokens = np.random.default_rng(7).integers(3, oracle.c["vocab_size"], N_TOKENS)
    exact, _ = oracle.sequential(tokens)
    begin, cache = oracle.iterate(tokens[:SPLIT], 3, 2)
    end, _ = oracle.iterate(tokens[SPLIT:], 3, 2, cache)
    arrays = {
        "tokens": tokens.astype("<i4"),
        "rows": ROWS.astype("<i4"),
        "logits_exact": exact[ROWS].astype("<f4"),
    }
    if oracle.plan.cyclic:  # other plans give the same
        arrays["logits_split_m3b2"] = np.concatenate([begin, end])[ROWS].astype("<f4")
    save_file(arrays, f"{name}/windows.safetensors", {"split": str(SPLIT), "provenance": "lckv_oracle.py"})
