"""What goes into the next call of an engine.

A call has a row of every sequence that decodes, so nobody who waits for the next token is left out. Beside these,
prompts share as many rows as there are for them, the oldest first. A long prompt goes in over many calls.

How many rows that are is a compromise. The weights are read once for all rows of a call, so many rows encode prompts
fast; but those who decode wait for them. While somebody decodes, prompts get as many rows as take about
`prefill_seconds`, by the times of the calls before; while nobody does, `ALONE` times as many, because those who come
and go wait for the end of a call, too. They always get `FEWEST_ROWS`, and never more than `prefill_rows`: neither can
starve the other. The split changes no result, since logits are bit for bit those of each sequence alone.

Plans with upward layers are different: each pass takes one token of each prompt, or a window of them (docs/prefill.md).

- Encoded exactly, each sequence has as many tokens in a call as the one with the fewest, so that no pass is spent on
  one prompt alone, and one while anybody decodes. A call has as many passes as take about as long as above.
- With a window, what comes out depends on where calls begin. So a prompt goes in as a whole, and of what was generated
  (if the sequence begins again) one token a call, as it was the first time.
"""

from __future__ import annotations

from typing import List

from ._sequence import Sequence
from ._step import Step

FEWEST_ROWS = 32
FIRST_ROWS = 128
"""While it is not known how long rows take."""
ALONE = 4
MOST_PASSES = 64
"""Of an upward plan in a call."""


class Filling:
    """The policy, and what it has learnt about the machine."""

    def __init__(self, prefill_rows: int, prefill_seconds: float, is_upward: bool, window: int) -> None:
        self._most = prefill_rows
        self._seconds = prefill_seconds
        self._is_upward = is_upward
        self._window = window
        self._decode_seconds = 0.0  # of a call without prompts
        self._row_seconds = 0.0  # of a row of a prompt
        self._pass_seconds = 0.0  # of an upward plan
        self._n_prompt_rows = 0  # of the call at hand
        self._n_passes = 0

    def fill(self, step: Step, running: List[Sequence]) -> None:
        """Puts the next tokens of the running sequences into a call: of one at least."""

        self._n_prompt_rows = 0
        if self._is_upward and self._window == 1:
            n = self._n_passes = min(min(sequence.n_pending for sequence in running), self._passes())
            for sequence in running:
                step.add(sequence, min(n, sequence.most_rows()))
            return
        is_decoding = any(sequence.n_pending == 1 for sequence in running)
        room = self._prompt_rows(is_decoding)
        for sequence in running:
            n = sequence.n_pending
            if n > 1:
                if room <= 0:
                    continue
                n = self._part(sequence, room)
                room -= n
                self._n_prompt_rows += n
            step.add(sequence, n)

    def _part(self, sequence: Sequence, room: int) -> int:
        """How many pending tokens a call takes."""

        if not self._is_upward:
            return min(sequence.n_pending, room, sequence.most_rows())
        n = sequence.n_prompt - sequence.n_encoded
        return n if n > 0 else 1

    def _prompt_rows(self, is_decoding: bool) -> int:
        if self._row_seconds <= 0.0:
            return min(FEWEST_ROWS if is_decoding else FIRST_ROWS, self._most)
        seconds = self._seconds if is_decoding else ALONE * self._seconds
        return min(max(int(seconds / self._row_seconds), FEWEST_ROWS), self._most)

    def _passes(self) -> int:
        if self._pass_seconds <= 0.0:
            return 1
        return min(max(int(ALONE * self._seconds / self._pass_seconds), 1), MOST_PASSES)

    def learn(self, seconds: float) -> None:
        """Takes the time that the call took."""

        n = self._n_prompt_rows
        if self._n_passes > 0:
            one = seconds / self._n_passes
            self._pass_seconds += (0.3 if self._pass_seconds else 1.0) * (one - self._pass_seconds)
        elif n == 0:
            self._decode_seconds += 0.1 * (seconds - self._decode_seconds)
        elif n >= FEWEST_ROWS // 2:
            row = max(seconds - self._decode_seconds, 0.1 * seconds) / n
            self._row_seconds += (0.3 if self._row_seconds else 1.0) * (row - self._row_seconds)
