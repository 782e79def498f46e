"""Checkpoints to GGUF files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Optional

from . import _declarations as c
from ._calls import Call, Progress, interruptible
from ._errors import check
from ._library import library
from ._model import log_callback
from ._structs import Path, choice, dtype_number, encoded, new, path_bytes, read


@dataclass(frozen=True)
class ConvertReport:
    n_tensors: int
    n_kept_f16: int
    """Matrices in f16, which could not take the wanted type; the log says why."""
    file_bytes: int


def convert(
    input: Path,
    output: Path,
    *,
    plan: Optional[str] = None,
    dtype: Optional[str] = None,
    init: Optional[str] = None,
    sliding_window: int = 0,
    packed: bool = False,
    kernel_set: Optional[str] = None,
    mixture: bool = False,
    log: Optional[Callable[[str], Any]] = None,
    progress: Optional[Progress] = None,
) -> ConvertReport:
    """Writes the model at `input` (as `Model` opens it) to a GGUF file.

    `plan` gives it a layer plan, for training to start from; `init` says where keys and values of a source layer come
    from ("mean" over all layers that read it, or "copy": its own). `dtype` is "f32", "f16", "bf16", "q8_0", "q4_0",
    "q4_1", "q5_0", "q5_1", "q4_k", "q5_k" or "q6_k", with `mixture` the usual one of k-quants. `packed` files are
    mapped when they are opened, and only lckv reads them. `output` is replaced only when all has been written.

        >>> lckv.convert("SmolLM2-135M", "smol.gguf", dtype="q8_0")
    """

    call = Call(tell=progress)
    options = new(
        c.lckv_convert_options,
        plan=None if plan is None else encoded(plan),
        dtype=dtype_number(dtype),
        init=choice("init", init, {"mean": c.LCKV_CONVERT_MEAN, "copy": c.LCKV_CONVERT_COPY}),
        log=log_callback(call, log),
        progress=call.progress,
        sliding_window=sliding_window,
        packed=packed,
        kernel_set=None if kernel_set is None else encoded(kernel_set),
        mixture=mixture,
    )
    report = new(c.lckv_convert_report)
    source, target = path_bytes(input), path_bytes(output)
    interruptible(call, lambda: check(library.lckv_convert(source, target, options, report)))
    return read(ConvertReport, report)
