"""Writes */sinks.safetensors: logits of texts that go on beyond a context window with attention sinks.

    python make_sinks.py standard-llama lckv-w2 sandwich-middle cycle3-window mixattention yoco-windows

The oracle here is as direct as can be (NumPy float64, rounded to float32 at the end): keys are cached without rotation.
For each query the positions that its session keeps (the first S and the last W - S) are numbered anew from 0, the keys
are rotated for these numbers and the query for its own, and then section 2 of docs/semantics.md is computed on them.
Iterated encoding does the same with the keys of each pass.
"""
import sys

import numpy as np
from safetensors.numpy import save_file

from lckv_oracle import Oracle


class SinkOracle(Oracle):
    def __init__(self, directory, context_window, n_sinks):
        super().__init__(directory)
        self.N, self.S = context_window, n_sinks
        self.rotates = False

    def rotate(self, x, pos):
        """Oracle.layer() rotates for positions in the text; here only attend() rotates."""
        return super().rotate(x, pos) if self.rotates else x

    def attend(self, i, q, pos, K, V):
        rows = []
        for r, t in enumerate(pos):
            p = np.arange(min(t + 1, len(K)))
            kept = p[(p < self.S) | (p > t - (self.N - self.S))]
            own = min(t, self.N - 1)
            assert len(kept) in (own, own + 1)  # an upward layer's slot has no entry for t yet
            self.rotates = True
            keys = self.rotate(K[kept], np.arange(len(kept)))
            query = self.rotate(q[r:r + 1], np.array([own]))
            self.rotates = False
            rows.append(super().attend(i, query, np.array([own]), keys, V[kept]))
        return np.concatenate(rows)


N_TOKENS, SPLIT = 160, 91
# (W, S): several times shorter than the text, also with most of it sinks, and longer and shorter than sliding windows.
WINDOWS = [(24, 4), (12, 1), (40, 33), (120, 20)]
ROWS = np.array([0, 11, 12, 13, 24, 25, 30, 40, 41, 48, 60, 72, 91, 120, 121, 128, 159])

# In a short window, sandwich-middle is chaotic: a last bit grows from token to token, until float32 says nothing about
# the logits. Rows are stored as long as rounding all hidden states to float32 changes them by no more than this.
MOST_ROUNDING = 2e-5


class RoundedOracle(SinkOracle):
    def layer(self, *args):
        return super().layer(*args).astype("<f4").astype(np.float64)


def compute(kind, name, window, tokens):
    oracle = kind(name, *window)
    exact, _ = oracle.sequential(tokens)
    if not oracle.plan.cyclic:  # iterating gives the same
        return {"logits_exact": exact}
    begin, cache = oracle.iterate(tokens[:SPLIT], 3, 2)
    end, _ = oracle.iterate(tokens[SPLIT:], 3, 2, cache)
    return {"logits_exact": exact, "logits_split_m3b2": np.concatenate([begin, end])}


for name in sys.argv[1:]:
    tokens = np.random.default_rng(3).integers(3, SinkOracle(name, 2, 1).c["vocab_size"], N_TOKENS)
    arrays = {"tokens": tokens.astype("<i4"), "windows": np.array(WINDOWS, "<i4")}
    for n, window in enumerate(WINDOWS):
        logits = compute(SinkOracle, name, window, tokens)
        rounded = compute(RoundedOracle, name, window, tokens)
        change = np.max([abs(logits[array] - rounded[array]).max(1) for array in logits], axis=0)
        rows = ROWS[np.maximum.accumulate(change)[ROWS] <= MOST_ROUNDING]
        print(f"{name}: W = {window[0]}, S = {window[1]}: rows up to {rows[-1]}")
        assert rows[-1] > 2 * window[0] or rows[-1] == N_TOKENS - 1
        arrays[f"rows.{n}"] = rows.astype("<i4")
        for array in logits:
            arrays[f"{array}.{n}"] = logits[array][rows].astype("<f4")
    save_file(arrays, f"{name}/sinks.safetensors", {"split": str(SPLIT), "provenance": "make_sinks.py"})
