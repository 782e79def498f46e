"""The log(probability) of tokens, and the most likely ones."""

from __future__ import annotations

from typing import Any, Tuple

from . import _arrays
from ._errors import check
from ._quick import suited

BLOCK = 256


class Likely:
    """Looks at rows of logits of one length; it has memory for one row."""

    def __init__(self, n_vocab: int) -> None:
        self._n = n_vocab
        self._log_probabilities = suited(n_vocab, 4).lckv_log_probabilities
        self._numpy = _arrays.numpy()
        padded = _arrays.empty(-(-n_vocab // BLOCK) * BLOCK)
        padded.fill(-self._numpy.inf)
        self._blocks = padded.reshape(-1, BLOCK)
        self._row = padded
        self._address = _arrays.address(padded)

    def look(self, address: int, token: int, k: int) -> Tuple[float, Tuple[Tuple[int, float], ...]]:
        """log(probability) of a token under the logits at an address, and the `k` most likely tokens with theirs."""

        check(self._log_probabilities(address, self._n, self._address))
        return float(self._row[token]), self._top(min(k, self._n)) if k else ()

    def _top(self, k: int) -> Tuple[Tuple[int, float], ...]:
        """The largest k numbers are in the k blocks whose largest numbers are the largest."""

        numpy = self._numpy
        n_blocks = len(self._blocks)
        blocks: Any = numpy.arange(n_blocks)
        if n_blocks > k:
            blocks = numpy.sort(numpy.argpartition(self._blocks.max(axis=1), n_blocks - k)[n_blocks - k :])
        rows = self._blocks[blocks].ravel()
        order = numpy.argsort(-rows, kind="stable")[:k]
        tokens = blocks[order // BLOCK] * BLOCK + order % BLOCK
        return tuple(zip(tokens.tolist(), rows[order].tolist()))
