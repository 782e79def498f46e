"""Tokens to text, one at a time."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any

from . import _declarations as c
from ._errors import check
from ._handles import Handle
from ._library import library
from ._structs import number

if TYPE_CHECKING:
    from ._model import Model


def detokenize_flags(special: bool, continues: bool) -> int:
    return (c.LCKV_DETOKENIZE_SPECIAL if special else 0) | (c.LCKV_DETOKENIZE_CONTINUES if continues else 0)


class Detokenizer(Handle):
    """Takes one token at a time, and never gives half a character.

    With `special`, special tokens give their text; otherwise they give nothing. `continues` says that the tokens go
    on from a text that is there already, so that a space at their start stays. It belongs to one thread at a time.

        >>> detokenizer = lckv.Detokenizer(model, continues=True)
        >>> text = "".join(detokenizer.push(token) for token in tokens) + detokenizer.flush()
    """

    _kind = "detokenizer"

    def __init__(self, model: Model, *, special: bool = False, continues: bool = False) -> None:
        detokenizer = ctypes.c_void_p()
        flags = detokenize_flags(special, continues)
        check(library.lckv_detokenizer_create(model._handle, flags, ctypes.byref(detokenizer)))
        self._own(detokenizer.value)

    def push(self, token: int) -> str:
        """Takes a token and gives the text that is complete now: perhaps none."""

        return self._text(library.lckv_detokenizer_push, number(ctypes.c_int32, "token", token))

    def flush(self) -> str:
        """Gives the text that is left at the end, and starts a new text."""

        return self._text(library.lckv_detokenizer_flush)

    def _text(self, call: Any, *arguments: Any) -> str:
        text, length = ctypes.c_void_p(), ctypes.c_size_t()
        check(call(self._handle, *arguments, ctypes.byref(text), ctypes.byref(length)))
        return ctypes.string_at(text.value, length.value).decode("utf-8", "replace") if text.value else ""
