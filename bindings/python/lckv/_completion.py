"""A whole text in one call: lckv_generate."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any, Callable, List, Optional

from . import _declarations as c
from ._calls import interruptible
from ._evaluation import PREFILLS
from ._library import library
from ._sampler import Sampler
from ._session import STOP_REASONS, Prompt, Session, Stop
from ._structs import UNLIMITED, choice, encoded, name_of, new, read
from ._tokens import token_array


@dataclass(frozen=True)
class Completion:
    """A text that was generated, and how."""

    text: str
    tokens: List[int]
    reason: str
    """As of `Generation`: "length", "end", "string", "callback", "full" or "cancelled"."""
    n_prompt: int
    n_generated: int
    prompt_seconds: float
    decode_seconds: float
    n_prompt_rows: int
    n_prompt_passes: int
    window: int
    tolerance: float
    residual: float

    def __str__(self) -> str:
        return self.text


def complete(
    session: Session,
    prompt: Prompt,
    max_tokens: Optional[int],
    sampler: Optional[Sampler],
    stop: Stop,
    ignore_end: bool,
    prefill: Optional[str],
    window: int,
    tolerance: float,
    on_token: Optional[Callable[[str, Optional[int]], Any]],
) -> Completion:
    if max_tokens is not None and max_tokens < 1:
        raise ValueError(f"max_tokens is {max_tokens}; expected at least 1, or None for no limit")
    cache, handle = session.cache, session._handle
    array = token_array(session._prompt(prompt))
    chooser = Sampler() if sampler is None else sampler
    call = cache._shared.call(cache._handle)
    tokens: List[int] = []
    texts: List[bytes] = []
    is_stopped = False

    def take(token: int, text: bytes) -> None:
        nonlocal is_stopped
        texts.append(text)
        if token >= 0:
            tokens.append(token)
            chooser._tell(token)
        if on_token is not None and (text or token >= 0):
            is_stopped = bool(on_token(text.decode("utf-8", "replace"), token if token >= 0 else None))

    def callback(_user: Optional[int], token: int, text: Optional[int], length: int) -> int:
        piece = ctypes.string_at(text, length) if text and length else b""
        return call.guard(take, token, piece) or int(is_stopped)

    pointer = c.lckv_token_callback(callback)
    names = [encoded(text) for text in ([stop] if isinstance(stop, str) else stop)]
    stops = (c.lckv_string * len(names))(*(c.lckv_string(name, len(name)) for name in names))
    options = new(
        c.lckv_generate_options,
        max_tokens=UNLIMITED if max_tokens is None else max_tokens,
        stops=ctypes.addressof(stops) if names else None,
        n_stops=len(names),
        ignore_end=ignore_end,
        prefill=choice("prefill", prefill, PREFILLS),
        callback=pointer,
        window=window,
        tolerance=tolerance,
    )
    report = new(c.lckv_generate_report)

    def work() -> None:
        arguments = handle, chooser._handle, *array.buffer_info(), options, report
        chooser._run(call, lambda: cache._shared.work(call, library.lckv_generate, *arguments))

    interruptible(call, work)
    text = b"".join(texts).decode("utf-8", "replace")
    return read(Completion, report, text=text, tokens=tokens, reason=name_of(report.reason, STOP_REASONS))
