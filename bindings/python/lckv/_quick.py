"""Calls of microseconds, which keep the GIL.

Giving it up and getting it back costs more than such a call takes, and where other Python threads are busy, each
getting it back may cost milliseconds. The loop of `Engine` makes several of these calls for each token. Those that look
at all logits of a large vocabulary take long enough to give it up: `suited` decides that.
"""

from __future__ import annotations

import ctypes

from . import _declarations as c
from ._library import library

NAMES = (
    "lckv_sampler_sample",
    "lckv_sampler_accept",
    "lckv_model_is_end_token",
    "lckv_detokenizer_push",
    "lckv_detokenizer_flush",
    "lckv_log_probabilities",
)


def load() -> ctypes.PyDLL:
    made = ctypes.PyDLL(library._name, handle=library._handle)
    for name in NAMES:
        function = getattr(made, name)
        function.restype, function.argtypes = c.FUNCTIONS[name]
    return made


quick = load()


def suited(n_vocab: int, operations: int) -> ctypes.CDLL:
    """Where to make a call that has so many operations for each logit."""

    return quick if n_vocab * operations <= 1 << 16 else library
