"""One step of an engine: a call of lckv_evaluate, its items and their rows of logits, in memory that is used again."""

from __future__ import annotations

import ctypes
import mmap
from typing import Any, List, Tuple

from . import _declarations as c
from ._handles import Reference
from ._library import library
from ._sequence import Sequence, want_nothing
from ._structs import new


class Step:
    """Items as the library takes them. They belong to the thread of the loop."""

    def __init__(self, cache: Reference, max_items: int, n_vocab: int, window: int, tolerance: float) -> None:
        self._cache = cache
        self._items = (c.lckv_item * max_items)()
        self._views: List[Any] = list(self._items)
        self._size = ctypes.sizeof(c.lckv_item)
        # The system provides this memory when rows are written.
        self._memory = mmap.mmap(-1, 4 * n_vocab * max_items)
        first = ctypes.addressof(ctypes.c_char.from_buffer(self._memory))
        self._rows = [first + 4 * n_vocab * i for i in range(max_items)]
        self._options = new(c.lckv_evaluate_options, window=window, tolerance=tolerance)
        self.report: Any = new(c.lckv_evaluate_report)
        self.taken: List[Tuple[Sequence, int, int]] = []
        """The sequences of the call, the tokens of each that it takes, and the addresses of their rows."""

    def clear(self) -> None:
        self.taken = []

    def add(self, sequence: Sequence, n: int) -> None:
        """Adds the next `n` tokens of a sequence, which must stay as they are until the call is over."""

        i = len(self.taken)
        item, row = self._views[i], self._rows[i]
        sequence.prepare(item, n, row)
        self._fill(item, sequence, n)
        self.taken.append((sequence, n, row))

    def evaluate(self) -> int:
        """Makes the call, and gives its status. The GIL is free meanwhile."""

        arguments = self._cache, self._items, self._size, len(self.taken), self._options, self.report
        return int(library.lckv_evaluate(*arguments))

    def cost(self, sequences: List[Sequence]) -> int:
        """What it would take to encode all that is pending: the status; `report` has the pages."""

        for item, sequence in zip(self._views, sequences):
            want_nothing(item)
            self._fill(item, sequence, sequence.n_pending)
        arguments = self._cache, self._items, self._size, len(sequences), self._options, self.report
        return int(library.lckv_evaluate_cost(*arguments))

    def _fill(self, item: Any, sequence: Sequence, n: int) -> None:
        assert sequence.session is not None
        item.session = sequence.session.address
        item.tokens = sequence.tokens.buffer_info()[0] + 4 * sequence.n_encoded
        item.n_tokens = n
