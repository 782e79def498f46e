"""Who has a session, who waits for one, and in which order they get it."""

from __future__ import annotations

import ctypes
from collections import deque
from typing import TYPE_CHECKING, Callable, Deque, List, Optional

from . import _declarations as c
from ._cache import Cache
from ._errors import CacheFull, Error, check
from ._handles import Reference
from ._library import library
from ._sequence import NOWHERE, Sequence
from ._step import Step

if TYPE_CHECKING:
    from array import array

WORTH = 32
"""A sequence waits for another one to encode what it could take over, if that are so many tokens."""


def common(a: "array[int]", b: "array[int]") -> int:
    """How many tokens two texts have in common at their beginning."""

    low, high = 0, min(len(a), len(b))
    while low < high:
        middle = (low + high + 1) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


class Admission:
    """The sequences of an engine. They belong to the thread of the loop; others may look at copies of the lists."""

    def __init__(
        self,
        cache: Cache,
        step: Step,
        reuses: bool,
        began: Callable[[Sequence], None],
        fail: Callable[[Sequence, BaseException], None],
    ) -> None:
        plan = cache.model.plan
        self.running: List[Sequence] = []
        """Those that have sessions, the youngest last."""
        self.waiting: Deque[Sequence] = deque()
        self._cache = cache._handle
        self._n_slots = 1 if plan is None else plan.info.n_slots
        self._max_sessions = cache.stats.max_sessions
        self._step = step
        self._reuses = reuses
        self._began = began
        self._fail = fail
        self._is_full = False  # nothing more fits until a sequence has ended

    def admit(self) -> None:
        """Gives sessions to those that wait, in the order in which they came, until one does not fit."""

        skipped: List[Sequence] = []
        for sequence in self.running:
            sequence.pause_at = NOWHERE
        while self.waiting and not self._is_full and len(self.running) < self._max_sessions:
            sequence = self.waiting.popleft()
            if self._waits_for_another(sequence):
                skipped.append(sequence)
                if len(skipped) >= self._max_sessions:
                    break
            elif not self._begin(sequence):
                self.waiting.appendleft(sequence)
                self._is_full = True
        for sequence in skipped:
            if sequence.waits_for is not None:
                leader, n = sequence.waits_for
                leader.pause_at = min(leader.pause_at, n)
        self.waiting.extendleft(reversed(skipped))
        if self.waiting and not self.running:
            self._is_full = False  # what it was full of is gone

    def _waits_for_another(self, sequence: Sequence) -> bool:
        """Whether the sequence waits until a running one has encoded what it could take over."""

        if sequence.waits_for is None:
            return False
        other, n = sequence.waits_for
        if other.session is not None and not other.is_over and other.n_encoded < n:
            return True
        sequence.waits_for = None
        return False

    def _begin(self, sequence: Sequence) -> bool:
        """Gives a sequence its session, which begins with what the cache has of its tokens. False if it must wait."""

        session = ctypes.c_void_p()
        try:
            check(library.lckv_session_create(self._cache, ctypes.byref(session)))
            assert session.value is not None
            sequence.session = Reference(session.value, library.lckv_session_release)
            if self._reuses and sequence.can_reuse:
                self._take_over(sequence)
        except CacheFull as full:
            return self._refuse(sequence, full)
        except Error as error:
            self._fail(sequence, error)
            sequence.session = None
            return True
        if self._find_leader(sequence):
            sequence.begin_again()
            self.waiting.appendleft(sequence)
            return True
        if self.running and not self._has_room(sequence):
            return self._refuse(sequence, None)
        self.running.append(sequence)
        self._began(sequence)
        return True

    def _take_over(self, sequence: Sequence) -> None:
        n = ctypes.c_size_t()
        tokens = sequence.tokens.buffer_info()
        check(library.lckv_session_reuse(sequence.session, *tokens, ctypes.byref(n)))
        sequence.n_encoded = sequence.n_reused = n.value

    def _refuse(self, sequence: Sequence, full: Optional[CacheFull]) -> bool:
        sequence.begin_again()
        if self.running or full is None:
            return False
        self._fail(sequence, full)
        return True

    def _find_leader(self, sequence: Sequence) -> bool:
        """Whether a running sequence is about to encode tokens that this one could take over: worth waiting for."""

        if not self._reuses or not sequence.can_reuse:
            return False
        for other in self.running:
            if other.n_pending > 1:
                n = common(sequence.tokens, other.tokens)
                if n > other.n_encoded and n >= sequence.n_encoded + WORTH:
                    sequence.waits_for = other, n
                    return True
        return False

    def _has_room(self, sequence: Sequence) -> bool:
        """Whether the pages suffice for all that is pending, and for some growth."""

        sequences = [*self.running, sequence]
        status = self._step.cost(sequences)
        report = self._step.report
        growth = self._n_slots * len(sequences)
        return bool(status == c.LCKV_OK and report.pages_needed + growth <= report.pages_free)

    def fork(self, leader: Sequence) -> List[Sequence]:
        """Gives the followers of a sequence, whose prompt is encoded now, forks of its session, as far as they fit."""

        followers, leader.followers = leader.followers, []
        begun: List[Sequence] = []
        for follower in followers:
            follower.follow(leader)
        for follower in followers:
            session = ctypes.c_void_p()
            is_full = len(self.running) >= self._max_sessions
            if is_full or library.lckv_session_fork(leader.session, ctypes.byref(session)) != c.LCKV_OK:
                break
            assert session.value is not None
            follower.session = Reference(session.value, library.lckv_session_release)
            follower.n_encoded = follower.n_reused = leader.n_encoded
            follower.has_begun = True
            self.running.append(follower)
            begun.append(follower)
        self.waiting.extendleft(reversed(followers[len(begun) :]))  # they take the prompt over later
        return begun

    def preempt(self) -> None:
        """The youngest gives its session up, and begins again when another has ended."""

        sequence = self.running.pop()
        sequence.begin_again()
        self.waiting.appendleft(sequence)
        self._is_full = True

    def sweep(self) -> None:
        """Forgets the running sequences that are over, and gives their sessions back."""

        n = len(self.running)
        for sequence in self.running:
            if sequence.is_over:
                sequence.session = None
        self.running = [sequence for sequence in self.running if not sequence.is_over]
        if len(self.running) < n:
            self._is_full = False

    def sweep_waiting(self) -> None:
        """Forgets those that are over before they have begun."""

        if any(sequence.is_over for sequence in self.waiting):
            self.waiting = deque(sequence for sequence in self.waiting if not sequence.is_over)
