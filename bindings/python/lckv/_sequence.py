"""Sequences of tokens on their way through the loop of an engine."""

from __future__ import annotations

from array import array
from typing import Any, List, Optional, Tuple

from . import _declarations as c
from ._handles import Reference
from ._metrics import Counters
from ._request import Request, Wakes

NOWHERE = 1 << 62


class Sequence:
    """Tokens, how many of them a session has encoded, and what is done with what comes out of them.

    Those that are not encoded are *pending*: at first the whole prompt, later the one token that was chosen last. So
    there is no difference between a prompt and a step of decoding but a number, and none between a new sequence and
    one that lost its session and begins again.
    """

    can_reuse = True
    """Whether it may take over what the cache has of its tokens."""
    most = 1 << 30
    """The most tokens of it that a call may take, because of the memory for what it wants."""

    def __init__(self, request: Request, tokens: "array[int]") -> None:
        self.request = request
        self.tokens = tokens
        self.n_prompt = len(tokens)
        self.n_encoded = 0
        self.n_reused = 0
        self.session: Optional[Reference] = None
        self.followers: List[Sequence] = []
        """Sequences with the same prompt, which get forks of the session when it is encoded."""
        self.waits_for: Optional[Tuple[Sequence, int]] = None
        """A sequence that is about to encode tokens that this one could take over, and up to where."""
        self.pause_at = NOWHERE
        """Where a call must not go beyond, because another sequence waits for the tokens up to there."""
        self.has_begun = False
        self.is_over = False

    @property
    def n_pending(self) -> int:
        return len(self.tokens) - self.n_encoded

    def most_rows(self) -> int:
        """The most tokens of it that a call may take."""

        return min(self.most, self.pause_at - self.n_encoded)

    def begin_again(self) -> None:
        """The session is gone; the tokens stay."""

        self.session = None
        self.n_encoded = 0
        self.n_reused = 0

    def started(self, counters: Counters) -> None:
        """It has got its session for the first time."""

        counters.prompt_tokens += self.n_prompt
        counters.reused_tokens += self.n_reused

    def prepare(self, item: Any, n: int, row: int) -> None:
        """Says what it wants of a call with its next `n` tokens. `row` is the address of memory for a row of logits."""

        raise NotImplementedError

    def take(self, n: int, row: int, wakes: Wakes) -> int:
        """Takes what the call gave; `n_encoded` counts its tokens already. Gives the address of the last row."""

        raise NotImplementedError

    def follow(self, leader: Sequence) -> None:
        """Takes over what the leader has found out about the prompt."""

    def choose(self, row: int, wakes: Wakes) -> None:
        """Goes on from the logits of the leader."""

        raise NotImplementedError

    def end(self, reason: str, wakes: Wakes) -> None:
        """Ends it before its own end: "cancelled", "full" or "error"."""

        raise NotImplementedError


def want_nothing(item: Any) -> None:
    item.want = c.LCKV_WANT_NOTHING
    item.logits, item.logits_capacity = None, 0
    item.hidden, item.hidden_capacity = None, 0
