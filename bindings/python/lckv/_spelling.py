"""The text of tokens that an engine generates: what `Detokenizer` and `Stops` do, with little work for each token."""

from __future__ import annotations

import ctypes
from typing import Any, List, Optional

from ._errors import check
from ._generation import Stops
from ._model import Model
from ._quick import quick


class Spelling:
    """Takes tokens and gives text that is complete, and not the beginning of a stop string."""

    def __init__(self, model: Model, continues: bool, stops: List[str]) -> None:
        self.stops: Optional[Stops] = Stops(stops) if stops else None
        has_text = model.info.has_tokenizer or len(stops) > 0  # stop strings need a tokenizer
        self._handle = model.detokenizer(continues=continues)._handle if has_text else None
        self._text = ctypes.c_void_p()
        self._length = ctypes.c_size_t()
        self._out = ctypes.byref(self._text), ctypes.byref(self._length)

    def push(self, token: int) -> str:
        """Takes a token, and gives the text that can be given out now."""

        if self._handle is None:
            return ""
        text = self._decode(quick.lckv_detokenizer_push(self._handle, token, *self._out))
        return text if self.stops is None else self.stops.push(text, False)

    def flush(self) -> str:
        """Gives the text that is left at the end."""

        text = "" if self._handle is None else self._decode(quick.lckv_detokenizer_flush(self._handle, *self._out))
        return text if self.stops is None else self.stops.push(text, True)

    @property
    def found(self) -> Optional[str]:
        """The stop string that has been found."""

        return None if self.stops is None else self.stops.stop

    def _decode(self, status: Any) -> str:
        if status:
            check(status)
        n, address = self._length.value, self._text.value
        return ctypes.string_at(address, n).decode("utf-8", "replace") if n and address else ""
