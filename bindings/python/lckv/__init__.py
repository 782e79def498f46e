"""lckv runs language models with a layer-condensed KV cache.

    import lckv

    model = lckv.Model("model.gguf")                 # weights, plan, tokenizer: shared by any number of threads
    cache = lckv.Cache(model, n_tokens=4096)         # memory for many sessions, and threads that compute
    session = cache.session()                        # one sequence of tokens
    for piece in session.generate("Once upon a time"):
        print(piece.text, end="", flush=True)

Objects are closed by ``with``, by `close`, or when nothing uses them any more, in any order. What the library cannot
do raises a subclass of `Error`. The GIL is free while it computes. NumPy is imported when arrays are asked for.
"""

from __future__ import annotations

from typing import Dict

from . import constraints
from ._cache import Cache, CacheEstimate, CacheOptions, CacheStats
from ._completion import Completion
from ._convert import ConvertReport, convert
from ._declarations import LCKV_VERSION_STRING as __version__
from ._detokenizer import Detokenizer
from ._engine import Engine
from ._errors import (
    BadFormat,
    BadPlan,
    BufferTooSmall,
    Busy,
    CacheFull,
    Cancelled,
    Error,
    Internal,
    InvalidArgument,
    IOError,
    Mismatch,
    OutOfMemory,
    OutOfWindow,
    Unsupported,
)
from ._evaluation import EvaluateReport, Evaluation, Item, Result
from ._generation import AsyncGeneration, Generation, Piece
from ._job import Choice, Event, Job, JobResult, TokenLogprob
from ._library import library as _loaded
from ._metrics import EngineMetrics, SessionView
from ._model import Message, Model, ModelInfo, ModelLayer, TokenInfo
from ._plan import Group, Layer, MemoryReport, Plan, PlanInfo, Slot, memory_estimate
from ._pool import Pool
from ._sampler import Sampler, log_probabilities
from ._saved import restore_sessions, save_sessions
from ._scheduler import EngineFull
from ._session import Session
from ._tiles import request_tiles

__all__ = [
    "AsyncGeneration",
    "BadFormat",
    "BadPlan",
    "BufferTooSmall",
    "Busy",
    "Cache",
    "CacheEstimate",
    "CacheFull",
    "CacheOptions",
    "CacheStats",
    "Cancelled",
    "Choice",
    "Completion",
    "ConvertReport",
    "Detokenizer",
    "Engine",
    "EngineFull",
    "EngineMetrics",
    "Error",
    "EvaluateReport",
    "Evaluation",
    "Event",
    "Generation",
    "Group",
    "IOError",
    "Internal",
    "InvalidArgument",
    "Item",
    "Job",
    "JobResult",
    "Layer",
    "MemoryReport",
    "Message",
    "Mismatch",
    "Model",
    "ModelInfo",
    "ModelLayer",
    "OutOfMemory",
    "OutOfWindow",
    "Piece",
    "Plan",
    "PlanInfo",
    "Pool",
    "Result",
    "Sampler",
    "Session",
    "SessionView",
    "Slot",
    "TokenInfo",
    "TokenLogprob",
    "Unsupported",
    "__version__",
    "constraints",
    "convert",
    "kernel_sets",
    "log_probabilities",
    "memory_estimate",
    "request_tiles",
    "restore_sessions",
    "save_sessions",
    "version",
]


def version() -> str:
    """The version of the library that was loaded; `__version__` is that of this package."""

    text: bytes = _loaded.lckv_version_string()
    return text.decode()


def kernel_sets() -> Dict[str, bool]:
    """The kernel sets of the library, slowest first, and whether this processor can run each."""

    sets: Dict[str, bool] = {}
    while True:
        name = _loaded.lckv_kernel_set_name(len(sets))
        if name is None:
            return sets
        sets[name.decode()] = bool(_loaded.lckv_kernel_set_available(name))
