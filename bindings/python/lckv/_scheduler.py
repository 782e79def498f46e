"""The loop of an engine: who gets a session, what goes into the next call, and what happens when the cache is full.

It is the loop that docs/server.md explains. One thread runs it and owns the cache; others reach it through a queue.

    while there is anything to do:
        end what was cancelled
        give sessions to sequences that wait             (_admission.py)
        put the next tokens of all of them into one call (_filling.py)
        let each take what came out of it
"""

from __future__ import annotations

import threading
import time
from collections import deque
from queue import Empty, SimpleQueue
from typing import List, Optional

from . import _declarations as c
from ._admission import Admission
from ._cache import Cache
from ._errors import Error, InvalidArgument, Unsupported, check
from ._filling import Filling
from ._library import library
from ._metrics import Counters
from ._request import Request, Wakes
from ._sequence import Sequence
from ._step import Step

PATIENCE = 3
"""Calls that fail for no fault of an item are made again so many times."""
TICK = 0.02
"""Seconds between two looks at the deadlines."""


class EngineFull(Error):
    """As many requests wait as may: try again later (`Engine.retry_after`)."""


class Scheduler:
    """Runs sequences in a cache that nobody else uses."""

    def __init__(self, cache: Cache, filling: Filling, max_queue: int, step: Step, reuses: bool) -> None:
        self.counters = Counters()
        self._handle = cache._handle
        self._sequences = Admission(cache, step, reuses, self._began, self._fail)
        self._filling = filling
        self._step = step
        self._max_queue = max_queue
        self._inbox: SimpleQueue[Optional[List[Sequence]]] = SimpleQueue()
        self._wakes = Wakes()
        self._n_waiting = 0  # of those that have come out of the inbox
        self._lock = threading.Lock()  # of the two members that follow, and of adding to the inbox
        self.is_closed = False
        self.failure: Optional[BaseException] = None
        self._is_ending = False  # all is to be cancelled
        self._is_nudged = False  # something was cancelled
        self._n_timed = 0  # requests with a deadline
        self._looked_at = 0.0
        self._n_failures = 0
        self._interval = 0.0  # between the ends of two requests, while others waited
        self._ended_at: Optional[float] = None
        self._thread = threading.Thread(target=self._run, name="lckv engine", daemon=True)
        self._thread.start()

    # ---- From any thread ----

    @property
    def running(self) -> List[Sequence]:
        """A copy of the list of those that have sessions, the youngest last."""

        return list(self._sequences.running)

    @property
    def waiting(self) -> List[Sequence]:
        """A copy of the list of those that wait for a session."""

        return list(self._sequences.waiting)

    @property
    def n_waiting(self) -> int:
        """The requests that wait: those that the loop knows of, and what it has not looked at yet."""

        return self._n_waiting + self._inbox.qsize()

    def submit(self, request: Request, sequences: List[Sequence]) -> None:
        with self._lock:
            if self.failure is not None:
                raise RuntimeError("the engine has failed") from self.failure
            if self.is_closed:
                raise ValueError("the engine is closed")
            if self.n_waiting >= self._max_queue:
                self.counters.refused += 1
                raise EngineFull(f"{self.n_waiting} requests wait already; try again in {self.retry_after():.1f} s")
            self._inbox.put(sequences)

    def nudge(self) -> None:
        """Makes the loop look at what was cancelled."""

        self._is_nudged = True
        if self._inbox.empty():  # anything else in it wakes the loop, too
            self._inbox.put(None)

    def retry_after(self) -> float:
        """The seconds in which those who wait now are likely to have begun."""

        return min(max(self._interval * self.n_waiting, 1.0), 60.0)

    def close(self, finish: bool, timeout: Optional[float]) -> None:
        with self._lock:
            self.is_closed = True
        if threading.current_thread() is self._thread:
            self.stop()
            return
        if finish:
            self.nudge()
            self._thread.join(timeout)
        if self._thread.is_alive():
            self.stop()
        while self._thread.is_alive():  # a call may be about to begin, and does not hear a cancel yet
            library.lckv_cache_cancel(self._handle)
            self._thread.join(0.01)

    def stop(self) -> None:
        """Tells the loop to cancel all and to end, without waiting for it."""

        self.is_closed = self._is_ending = True
        self.nudge()

    # ---- The loop ----

    def _run(self) -> None:
        sequences = self._sequences
        try:
            while self._receive():
                self._drop()
                sequences.admit()
                if sequences.running and not self._is_ending:
                    self._compute()
                self._wakes.flush()
        except BaseException as error:  # a defect: nobody may wait for ever
            self._break(error)

    def _receive(self) -> bool:
        """Takes what has come, and waits for it if there is nothing to do. False at the end."""

        while True:
            is_idle = not self._sequences.running and not self._sequences.waiting
            if is_idle and self.is_closed and self._inbox.empty():
                return False
            try:
                sequences = self._inbox.get(block=is_idle)
            except Empty:
                return True
            if sequences is not None:
                self._n_waiting += 1
                self._sequences.waiting.extend(sequences)
                self._n_timed += sequences[0].request._deadline is not None

    def _drop(self) -> None:
        """Ends what was cancelled, or whose time has passed."""

        now = time.monotonic()
        if not self._is_nudged and (self._n_timed == 0 or now < self._looked_at + TICK):
            return
        self._is_nudged, self._looked_at = False, now
        for sequence in [*self.running, *self.waiting]:
            if self._is_ending or sequence.request._is_over(now):
                sequence.request._is_cancelled = True
                self._end(sequence, "cancelled")
        self._sequences.sweep()
        self._sequences.sweep_waiting()

    def _end(self, sequence: Sequence, reason: str) -> None:
        """Ends a sequence before its own end."""

        followers, sequence.followers = sequence.followers, []
        for one in [sequence, *followers]:
            if not one.is_over:
                one.end(reason, self._wakes)
                one.is_over = True
                self._count_end(one.request)

    def _fail(self, sequence: Sequence, error: BaseException) -> None:
        """Ends a sequence by an error, and with it all of its request."""

        request = sequence.request
        if request.error is None:
            request.error = error
        request._is_cancelled = self._is_nudged = True
        self._end(sequence, "error")

    def _count_end(self, request: Request) -> None:
        """Counts a request whose last sequence has ended."""

        self._stop_waiting(request)
        if request._n_left > 0:
            return
        counters, now = self.counters, time.monotonic()
        self._n_timed -= request._deadline is not None
        if request.error is not None:
            counters.failed += 1
        elif request._is_cancelled:
            counters.cancelled += 1
        else:
            counters.done += 1
        if self.n_waiting > 0 and self._ended_at is not None:
            self._interval += 0.2 * (now - self._ended_at - self._interval)
        self._ended_at = now

    def _began(self, sequence: Sequence) -> None:
        """Counts a sequence that has got its session."""

        self._stop_waiting(sequence.request)
        if not sequence.has_begun:
            sequence.has_begun = True
            sequence.started(self.counters)

    def _stop_waiting(self, request: Request) -> None:
        if request._is_waiting:
            request._is_waiting = False
            self._n_waiting -= 1

    def _break(self, error: BaseException) -> None:
        sequences = self._sequences
        with self._lock:
            self.is_closed, self.failure = True, error
        while True:
            try:
                sequences.waiting.extend(self._inbox.get(block=False) or ())
            except Empty:
                break
        for sequence in [*sequences.running, *sequences.waiting]:
            for one in [sequence, *sequence.followers]:
                if not one.is_over:
                    one.request.error = error
                    one.request._abandon(self._wakes)
        sequences.running, sequences.waiting = [], deque()
        self._wakes.flush()

    # ---- Computing ----

    def _compute(self) -> None:
        """One step. If the call fails, nothing has changed."""

        step = self._step
        step.clear()
        self._filling.fill(step, self._sequences.running)
        began = time.perf_counter()
        status = step.evaluate()
        seconds = time.perf_counter() - began
        if status == c.LCKV_OK:
            self._n_failures = 0
            self._filling.learn(seconds)
            self.counters.steps += 1
            self.counters.step_seconds += seconds
            self.counters.step_rows += step.report.n_tokens
            self._take_results()
        elif status == c.LCKV_CACHE_FULL:
            self._make_room()
        elif status != c.LCKV_CANCELLED:
            self._blame(status)
        self._sequences.sweep()

    def _take_results(self) -> None:
        for sequence, n, _ in self._step.taken:
            sequence.n_encoded += n
        for sequence, n, row in self._step.taken:
            followers = self._sequences.fork(sequence) if sequence.followers and sequence.n_pending == 0 else ()
            try:
                row = sequence.take(n, row, self._wakes)
                if sequence.is_over:
                    self._count_end(sequence.request)
                for sequence in followers:
                    sequence.choose(row, self._wakes)
                    if sequence.is_over:
                        self._count_end(sequence.request)
            except Exception as error:  # of a constraint, say
                self._fail(sequence, error)

    def _make_room(self) -> None:
        """The youngest gives way. If it is alone, it has all that there is."""

        running = self._sequences.running
        if len(running) == 1:
            self._end_full(running[0], None)
        else:
            self._sequences.preempt()
            self.counters.preemptions += 1

    def _end_full(self, sequence: Sequence, error: Optional[Error]) -> None:
        if len(sequence.tokens) > sequence.n_prompt:
            self._end(sequence, "full")
        else:
            n = sequence.n_prompt
            self._fail(sequence, error or InvalidArgument(f"the prompt has {n} tokens, more than the cache holds"))

    def _blame(self, status: int) -> None:
        """Ends the sequence that made a call fail. If none did, the call is made again, and then the youngest ends."""

        try:
            check(status)
        except Error as error:
            failed = self._step.report.failed_item
            if failed >= 0 and isinstance(error, Unsupported):  # as long as the model's rotation allows
                self._end_full(self._step.taken[failed][0], error)
            elif failed >= 0:
                self._fail(self._step.taken[failed][0], error)
            elif self._n_failures < PATIENCE:
                self._n_failures += 1
                time.sleep(0.05 * self._n_failures)
            else:
                self._n_failures = 0
                self._fail(self._sequences.running[-1], error)
