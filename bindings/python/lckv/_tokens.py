"""Tokens: numbers of 32 bits, in anything that Python has for a row of numbers."""

from __future__ import annotations

import ctypes
import operator
from array import array
from typing import TYPE_CHECKING, Any, Callable, List, Sequence, Union

from . import _declarations as c
from ._errors import check

if TYPE_CHECKING:
    from typing_extensions import Buffer

    Tokens = Union[Sequence[int], Buffer]
else:
    Tokens = Any

_INTEGERS = "bBhHiIlLqQ"


def token_array(tokens: Tokens) -> "array[int]":
    """The tokens as the library takes them: ``buffer_info()`` is their address and their number."""

    if isinstance(tokens, (str, bytes, bytearray)):
        raise TypeError("tokens are numbers; Model.tokenize makes them of text")
    made = array("i")
    try:
        view = memoryview(tokens)  # type: ignore[arg-type]
    except TypeError:
        values = [operator.index(token) for token in tokens]  # type: ignore[union-attr]
    else:
        kind = view.format.lstrip("@=<")
        if view.ndim != 1 or kind not in _INTEGERS:
            raise TypeError(
                f"tokens are a row of integers, not an array of {view.ndim} dimensions and type {view.format!r}"
            )
        if view.itemsize == 4 and kind in "il" and view.contiguous:
            made.frombytes(view.tobytes())
            return made
        values = view.tolist() if view.format == kind else list(tokens)  # type: ignore[arg-type]
    try:
        made.extend(values)
    except OverflowError:
        wrong = next(value for value in values if not -(2**31) <= value < 2**31)
        raise ValueError(f"{wrong} is no token: tokens have 32 bits") from None
    return made


def room(n: int) -> "array[int]":
    return array("i", bytes(4 * n))


def written_tokens(call: Callable[..., int], *arguments: Any, guess: int = 256) -> List[int]:
    """The tokens of a function that writes to (tokens, capacity, n_tokens)."""

    n, capacity = ctypes.c_size_t(), guess
    while True:
        tokens = room(capacity)
        status = call(*arguments, tokens.buffer_info()[0], capacity, ctypes.byref(n))
        if status != c.LCKV_BUFFER_TOO_SMALL:
            check(status)
            return tokens[: n.value].tolist()
        capacity = n.value
