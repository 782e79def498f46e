"""Long calls, their callbacks, and what ends them.

**Ctrl-C.** Python runs signal handlers in the main thread, between two bytecodes, and a call of the library is one
bytecode. A main thread that computed a long prompt itself would not hear Ctrl-C until the end. So from the main
thread long calls go to a helper thread. The main thread waits for it, which Ctrl-C does interrupt; it then cancels
the call, waits until it has returned (or for a second Ctrl-C), and lets KeyboardInterrupt go on. In other threads,
which get no signals, and for single tokens, which take milliseconds, the call is made where it stands.

**Cancelling** must reach one's own call and no other on the same cache. Each call has a flag, which the library asks
for through its progress callback; when it is the call's turn on its cache (see _turns.py), it is also cancelled by
lckv_cache_cancel, which takes effect much sooner.

**Exceptions in callbacks** must not pass through the library. They are caught, end the call, and are raised again in
the caller when it has returned. No callback runs in the main thread: there Ctrl-C might raise KeyboardInterrupt at the
very first bytecode of a callback, where nothing can catch it.
"""

from __future__ import annotations

import contextvars
import os
import threading
from queue import SimpleQueue
from typing import Any, Callable, ClassVar, List, Optional, TypeVar

from . import _declarations as c
from ._errors import Cancelled

T = TypeVar("T")
Progress = Callable[[int, int], Any]


class Call:
    """One call of the library, which can be cancelled and whose callbacks may raise."""

    def __init__(self, cancel: Optional[Callable[[Call], None]] = None, tell: Optional[Progress] = None) -> None:
        self._cancel = cancel
        self._tell = tell
        self.is_cancelled = False
        self.exception: Optional[BaseException] = None

    def cancel(self) -> None:
        """Asks the call to end; again and again, because before it works on the cache nothing hears it."""

        self.is_cancelled = True
        if self._cancel is not None:
            self._cancel(self)

    def guard(self, function: Callable[..., Any], *arguments: Any) -> int:
        """Runs a callback. The result is 0 for the library to go on, and 1 if it raised, or the call was cancelled."""

        if self.exception is not None or self.is_cancelled:
            return 1
        try:
            function(*arguments)
        except BaseException as exception:  # whatever it is, it is raised again by run
            self.exception = exception
            return 1
        return 0

    def run(self, function: Callable[[], T]) -> T:
        """Makes the call here, and raises what a callback raised."""

        try:
            result = function()
        except BaseException as failure:
            if self.exception is not None:
                raise self.exception from (None if isinstance(failure, Cancelled) else failure)
            raise
        if self.exception is not None:
            raise self.exception
        return result

    @property
    def tells(self) -> bool:
        """Whether somebody wants to be told about the progress."""

        return self._tell is not None

    @property
    def progress(self) -> Any:
        """The library's progress callback, which also cancels the call; the options that get it keep it."""

        return c.lckv_progress_callback(self._progress)

    def _progress(self, _user: Optional[int], done: int, total: int) -> int:
        if self._tell is None:
            return int(self.is_cancelled)
        return self.guard(self._tell, done, total)


class _Worker:
    """A helper thread. Starting one takes longer than many a call, so a few of them wait for the next."""

    idle: ClassVar[List[_Worker]] = []
    MAX_IDLE = 4

    def __init__(self) -> None:
        self._jobs: SimpleQueue[Callable[[], None]] = SimpleQueue()

    @classmethod
    def take(cls, job: Callable[[], None]) -> None:
        """Gives a job to a thread."""

        try:
            worker = cls.idle.pop()
        except IndexError:
            worker = cls()
            worker._jobs.put(job)
            threading.Thread(target=worker._serve, name="lckv", daemon=True).start()
        else:
            worker._jobs.put(job)

    def _serve(self) -> None:
        while True:
            self._jobs.get()()
            if len(self.idle) >= self.MAX_IDLE:
                return
            self.idle.append(self)


os.register_at_fork(after_in_child=_Worker.idle.clear)  # a child has none of its parent's threads


class _Elsewhere:
    """A call in a helper thread."""

    def __init__(self, call: Call, function: Callable[[], Any], ended: Optional[Callable[[], None]] = None) -> None:
        self._claim = threading.Lock()  # whoever takes it decides whether the call is made
        self.done = threading.Event()
        self.result: Any = None
        self.exception: Optional[BaseException] = None

        def work() -> None:
            if not self._claim.acquire(blocking=False):
                return
            try:
                self.result = call.run(function)
            except BaseException as exception:
                self.exception = exception
            self.done.set()
            if ended is not None:
                ended()

        context = contextvars.copy_context()
        self._job: Optional[Callable[[], None]] = lambda: context.run(work)

    def start(self) -> None:
        """Begins. If a signal's handler raises in here, the call may be made, be about to, or never."""

        job, self._job = self._job, None  # it refers to this object
        assert job is not None
        _Worker.take(job)

    def has_ended(self) -> bool:
        """Whether the call has been made, or never will be: asking this gives up a call that has not begun."""

        return self.done.is_set() or self._claim.acquire(blocking=False)

    def get(self) -> Any:
        if self.exception is not None:
            try:
                raise self.exception
            finally:
                self.exception = None  # a cycle through the traceback would keep handles alive
        return self.result


def interruptible(call: Call, function: Callable[[], T]) -> T:
    """Makes a long call so that Ctrl-C ends it."""

    if threading.current_thread() is not threading.main_thread():
        return call.run(function)
    elsewhere = _Elsewhere(call, function)
    try:
        elsewhere.start()
        elsewhere.done.wait()
    except BaseException:
        _end(elsewhere, call)
        raise
    result: T = elsewhere.get()
    return result


def _end(elsewhere: _Elsewhere, call: Call) -> None:
    while not elsewhere.has_ended():
        try:
            call.cancel()
            elsewhere.done.wait(0.01)
        except BaseException:  # a second Ctrl-C: a callback may hang. The thread keeps all that the call uses
            return


async def awaitable(call: Call, function: Callable[[], T]) -> T:
    """Makes a call beside the event loop. If the task is cancelled, the call is, and has ended before the task does."""

    import asyncio  # takes longer than all else that this package imports

    loop = asyncio.get_running_loop()
    ended = asyncio.Event()

    def tell() -> None:
        try:
            loop.call_soon_threadsafe(ended.set)
        except RuntimeError:  # the loop is closed, and nobody waits any more
            pass

    elsewhere = _Elsewhere(call, function, tell)
    try:
        elsewhere.start()
        await ended.wait()
    except BaseException:
        while not elsewhere.has_ended():
            call.cancel()
            try:
                await asyncio.sleep(0.002)
            except asyncio.CancelledError:  # cancelled again; the call is ending already
                elsewhere.done.wait(0.002)
        raise
    result: T = elsewhere.get()
    return result
