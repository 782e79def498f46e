"""What a caller and the loop of an engine share about one request, and how the one waits for the other.

The loop never waits for callers. It appends to lists, and wakes whom it finds in other lists: a list's own operations
are all the locking that there is. A caller first enters itself, and then looks again whether it must wait at all, so
that nothing is missed.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional, Tuple, Union

if TYPE_CHECKING:
    import asyncio

    from ._scheduler import Scheduler

    Future = asyncio.Future[None]
else:
    Future = Any

Waiter = Union[threading.Lock, Tuple["asyncio.AbstractEventLoop", Future]]

_numbers = itertools.count(1)


def _set(futures: List[Future]) -> None:
    for future in futures:
        if not future.done():
            future.set_result(None)


class Wakes:
    """Whom the loop wakes at the end of a step, all at once: event loops are told once, and not for each task."""

    def __init__(self) -> None:
        self._locks: List[threading.Lock] = []
        self._futures: Dict[asyncio.AbstractEventLoop, List[Future]] = {}

    def add(self, waiters: List[Waiter]) -> None:
        """Takes all waiters out of a list."""

        while True:
            try:
                waiter = waiters.pop()
            except IndexError:  # looking first does not help: a waiter may leave meanwhile
                return
            if isinstance(waiter, tuple):
                self._futures.setdefault(waiter[0], []).append(waiter[1])
            else:
                self._locks.append(waiter)

    def flush(self) -> None:
        locks, self._locks = self._locks, []
        for lock in locks:
            lock.release()
        if self._futures:
            futures, self._futures = self._futures, {}
            for loop, waiting in futures.items():
                try:
                    loop.call_soon_threadsafe(_set, waiting)
                except RuntimeError:  # the loop is closed, and nobody waits any more
                    pass


def _leave(waiters: List[Waiter], waiter: Waiter) -> None:
    """Takes a waiter out of a list, if the loop has not done so, because it waits no more."""

    with contextlib.suppress(ValueError):
        waiters.remove(waiter)


def wait(waiters: List[Waiter], is_ready: Callable[[], bool], timeout: Optional[float]) -> bool:
    """Waits in a thread until it is ready; False if the time has passed. Ctrl-C interrupts it."""

    end = None if timeout is None else time.monotonic() + timeout
    while not is_ready():
        lock = threading.Lock()
        lock.acquire()
        waiters.append(lock)
        if is_ready():
            return True
        left = -1.0 if end is None else max(end - time.monotonic(), 0.0)
        is_woken = False
        try:
            is_woken = lock.acquire(timeout=min(left, threading.TIMEOUT_MAX))
        finally:
            if not is_woken:
                _leave(waiters, lock)
        if not is_woken:
            return is_ready()
    return True


async def await_it(waiters: List[Waiter], is_ready: Callable[[], bool]) -> None:
    """Waits in a task until it is ready."""

    import asyncio

    loop = asyncio.get_running_loop()
    while not is_ready():
        future = loop.create_future()
        waiters.append((loop, future))
        if is_ready():
            return
        try:
            await future
        finally:
            if not future.done() or future.cancelled():
                _leave(waiters, (loop, future))


class Request:
    """Sequences that were asked for together."""

    def __init__(self, scheduler: Scheduler, n_sequences: int, seconds: Optional[float]) -> None:
        self.id = next(_numbers)
        self._began = time.monotonic()
        self._deadline = None if seconds is None else self._began + seconds
        self._is_cancelled = False
        self._is_waiting = True
        """Whether it counts as waiting, which `max_queue` limits: until its first sequence has a session."""
        self._n_left = n_sequences
        """The sequences that go on."""
        self.error: Optional[BaseException] = None
        """Why the reason of a choice is "error"."""
        self._scheduler = scheduler
        self._enders: List[Waiter] = []

    @property
    def done(self) -> bool:
        """Whether all of it has ended."""

        return self._n_left == 0

    def cancel(self) -> None:
        """Ends the request, from any thread, at any time: its memory comes back by the next step."""

        if self._n_left > 0:
            self._is_cancelled = True
            self._scheduler.nudge()

    def _is_over(self, now: float) -> bool:
        """Whether it is to end, because somebody cancelled it or its time has passed."""

        return self._is_cancelled or (self._deadline is not None and now >= self._deadline)

    def _end_one(self, wakes: Wakes) -> None:
        """Tells that one of the sequences has ended. For the loop alone."""

        self._n_left -= 1
        if self._n_left == 0:
            wakes.add(self._enders)

    def _abandon(self, wakes: Wakes) -> None:
        """Ends all of it at once, because the loop itself has failed."""

        self._n_left = 1
        self._end_one(wakes)

    def _wait(self, timeout: Optional[float]) -> None:
        if not wait(self._enders, lambda: self._n_left == 0, timeout):
            raise TimeoutError(f"request {self.id} has not ended within {timeout} seconds")

    async def _await(self) -> None:
        await await_it(self._enders, lambda: self._n_left == 0)
