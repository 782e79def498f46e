"""Whose turn it is to work on a cache.

The library can let calls wait for each other, but a main thread that waits in there is deaf to Ctrl-C. So the package
makes caches that do not wait, and calls queue here, in the order in which they came. A wait here can be interrupted,
and it is always known which call is working, so that cancelling reaches one's own call and no other.

A signal handler may raise in the main thread between any two bytecodes. Therefore the queue is all that there is to
know: its head is working, the others wait, and every change of it is one step of Python's own.
"""

from __future__ import annotations

import threading
from typing import Callable, List, TypeVar

from ._calls import Call
from ._errors import Busy, Cancelled
from ._handles import Reference
from ._library import library

T = TypeVar("T")


class _Turn:
    """A call's place in the queue."""

    __slots__ = ("call", "thread", "has_come")

    def __init__(self, call: Call) -> None:
        self.call = call
        self.thread = threading.get_ident()
        self.has_come = threading.Event()


class Turns:
    """The queue of a cache. Without `waits`, a call that is not the only one raises `Busy`."""

    def __init__(self, waits: bool) -> None:
        self._waits = waits
        self._lock = threading.Lock()
        self._queue: List[_Turn] = []

    def work(self, call: Call, function: Callable[[], T]) -> T:
        """Calls the function when the call's turn has come."""

        queue = self._queue[:1]
        if queue and queue[0].thread == threading.get_ident():
            return function()  # it is a part of the working call, or in a callback, where the library is busy
        turn = _Turn(call)
        try:
            self._enter(turn)
            return function()
        finally:
            try:
                self._leave(turn)
            finally:  # if a signal's handler has raised in there
                self._leave(turn)

    def _enter(self, turn: _Turn) -> None:
        with self._lock:
            if self._queue and not self._waits:
                raise Busy("another call is working on this cache; wait for it, or cancel it")
            self._queue.append(turn)
            if self._queue[0] is turn:
                return
        turn.has_come.wait()
        if turn.call.is_cancelled:
            raise Cancelled("the call was cancelled while it waited for its turn")

    def _leave(self, turn: _Turn) -> None:
        with self._lock:
            if turn in self._queue:
                self._queue.remove(turn)
            if self._queue:
                self._queue[0].has_come.set()

    def canceller(self, cache: Reference) -> Callable[[Call], None]:
        """What cancels a call, which works on the cache, or waits, or does neither yet."""

        def cancel(call: Call) -> None:
            with self._lock:
                for turn in self._queue:
                    if turn.call is call:
                        turn.has_come.set()
                if self._queue and self._queue[0].call is call:
                    library.lckv_cache_cancel(cache)

        return cancel
