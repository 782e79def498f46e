"""Embeddings: one vector for each text, of the hidden states after the final norm."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Any, List, Optional

from . import _arrays
from . import _declarations as c
from ._arrays import Floats
from ._request import Request, Wakes
from ._sequence import Sequence, want_nothing

if TYPE_CHECKING:
    from ._scheduler import Scheduler

POOLINGS = ("mean", "last")


class EmbeddingRequest(Request):
    """Texts whose vectors are asked for together."""

    def __init__(self, scheduler: Scheduler, n_texts: int, hidden_size: int, owner: Any) -> None:
        super().__init__(scheduler, n_texts, None)
        self.vectors = _arrays.empty(n_texts, hidden_size)
        self._owner = owner

    def result(self) -> Floats:
        try:
            self._wait(None)
        finally:
            self._leave()
        return self._result()

    async def aresult(self) -> Floats:
        try:
            await self._await()
        finally:
            self._leave()
        return self._result()

    def _leave(self) -> None:
        if self._n_left > 0:
            self.cancel()

    def _result(self) -> Floats:
        if self.error is not None:
            raise self.error
        return self.vectors


class EmbeddedText(Sequence):
    """One text."""

    def __init__(
        self, request: EmbeddingRequest, index: int, tokens: "array[int]", pooling: str, normalize: bool
    ) -> None:
        super().__init__(request, tokens)
        self._vector: Floats = request.vectors[index]
        self._is_mean = pooling == "mean"
        self._normalize = normalize
        self._rows: Optional[Floats] = None
        self._vector.fill(0.0)
        self.can_reuse = not self._is_mean  # the mean needs the hidden states of all tokens

    def begin_again(self) -> None:
        super().begin_again()
        self._vector.fill(0.0)

    def prepare(self, item: Any, n: int, row: int) -> None:
        want_nothing(item)
        if self._is_mean:
            item.want = c.LCKV_WANT_HIDDEN_ALL
        elif n == self.n_pending:
            item.want = c.LCKV_WANT_HIDDEN
        else:
            return
        self._rows = _arrays.empty(n if self._is_mean else 1, self._vector.size)
        item.hidden, item.hidden_capacity = _arrays.address(self._rows), self._rows.size

    def take(self, n: int, row: int, wakes: Wakes) -> int:
        rows: List[Floats] = [] if self._rows is None else list(self._rows)
        self._rows = None
        for hidden in rows:  # one after another, so that the sum does not depend on the calls
            self._vector += hidden
        if self.n_pending == 0:
            if self._is_mean:
                self._vector /= self.n_prompt
            if self._normalize:
                length = float(_arrays.numpy().linalg.norm(self._vector))
                self._vector /= length if length > 0.0 else 1.0
            self.end("end", wakes)
        return row

    def end(self, reason: str, wakes: Wakes) -> None:
        request = self.request
        self.is_over = True
        if reason == "cancelled" and request.error is None:
            from ._errors import Cancelled

            request.error = Cancelled("the engine was closed, or the request cancelled")
        request._end_one(wakes)
