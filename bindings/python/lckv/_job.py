"""Jobs: what `Engine.submit` gives, and what comes out of it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, AsyncGenerator, Deque, Generator, Iterator, List, NamedTuple, Optional, Tuple

from ._request import Request, Waiter, Wakes, await_it, wait

if TYPE_CHECKING:
    from ._scheduler import Scheduler

Top = Tuple[Tuple[int, float], ...]


class Event(NamedTuple):
    """A token of one of the choices of a job, or its end.

    `text` is what is complete now: whole characters, perhaps none, and never the beginning of a stop string. The last
    event of a choice has a `reason`; its `token` is None if the choice did not end with a token.
    """

    index: int  # type: ignore[assignment]  # hides the method of tuples, which nobody needs here
    text: str
    token: Optional[int]
    logprob: Optional[float]
    """log(probability) of the token, if the job asked for it; None for the first token of a prompt, too."""
    top: Top
    """The most likely tokens and their log(probability), most likely first, as many as the job asked for."""
    reason: Optional[str]
    """None, or why the choice has ended: "end" (the model's own end), "length", "string" (a stop string), "full" (the
    cache, or the longest text that the model allows), "cancelled", or "error" (see `Job.error`)."""


class TokenLogprob(NamedTuple):
    """A token, its log(probability), and the tokens that were most likely in its place."""

    token: int
    logprob: Optional[float]
    top: Top


@dataclass(frozen=True)
class Choice:
    """One answer to a prompt. With `echo`, text, tokens and logprobs begin with those of the prompt."""

    index: int
    text: str
    tokens: List[int]
    """An end token is among them."""
    reason: str
    """As of `Event`."""
    stop: Optional[str]
    """The stop string that was found."""
    logprobs: Optional[List[TokenLogprob]]


@dataclass(frozen=True)
class JobResult:
    """All choices of a job, and its figures."""

    choices: List[Choice]
    n_prompt: int
    n_reused: int
    """Tokens of the prompt that the cache had already."""
    n_generated: int
    """Tokens of all choices together."""
    seconds_to_first: Optional[float]
    """From `Engine.submit` to the first token; None if there was none."""
    seconds: float

    @property
    def text(self) -> str:
        """The text of the first choice."""

        return self.choices[0].text

    def __str__(self) -> str:
        return self.text


class Job(Request):
    """A prompt whose answers are being computed: an iterator, or an asynchronous one, of `Event`.

        >>> for event in engine.submit("Once upon a time", max_tokens=50):
        ...     print(event.text, end="")

    Leaving the loop before the end cancels the job. `result` gives all at once. A job may be waited for by any number
    of threads and tasks, but each event goes to one of them.
    """

    def __init__(self, scheduler: Scheduler, n: int, seconds: Optional[float], owner: Any) -> None:
        super().__init__(scheduler, n, seconds)
        self.choices: List[Optional[Choice]] = [None] * n
        self.n_prompt = 0
        self.n_reused = 0
        self.n_generated = 0
        self.seconds_to_first: Optional[float] = None
        self.seconds = 0.0
        self._owner = owner  # an engine goes on as long as somebody has one of its jobs
        self._events: Deque[Event] = deque()
        self._readers: List[Waiter] = []

    def _deliver(self, event: Event, wakes: Wakes) -> None:
        """Gives an event out. For the loop alone."""

        self._events.append(event)
        if self._readers:
            wakes.add(self._readers)

    def _end_one(self, wakes: Wakes) -> None:
        super()._end_one(wakes)
        if self._n_left == 0:
            self._owner = None
            wakes.add(self._readers)

    # ---- Reading ----

    def _is_ready(self) -> bool:
        return bool(self._events) or self._n_left == 0

    def __iter__(self) -> Generator[Event, None, None]:
        try:
            while not self._is_read():
                wait(self._readers, self._is_ready, None)
                yield from self._take()
            self._check()
        finally:
            self._leave()

    async def __aiter__(self) -> AsyncGenerator[Event, None]:
        try:
            while not self._is_read():
                await await_it(self._readers, self._is_ready)
                for event in self._take():
                    yield event
            self._check()
        finally:
            self._leave()

    def _is_read(self) -> bool:
        return self._n_left == 0 and not self._events  # in this order: the last event comes before the end

    def _take(self) -> Iterator[Event]:
        """The events that are there. Other readers may take some of them."""

        while True:
            try:
                event = self._events.popleft()
            except IndexError:
                return
            yield event

    def _check(self) -> None:
        """Raises the error of an engine that has failed itself, so that there are no last events."""

        if self.error is not None and None in self.choices:
            raise self.error

    def _leave(self) -> None:
        if self._n_left > 0:
            self.cancel()

    def result(self, timeout: Optional[float] = None) -> JobResult:
        """Waits for the end and gives all choices. Raises `TimeoutError` after `timeout` seconds; the job goes on.

        If a choice has ended by an error, it is raised.
        """

        self._wait(timeout)
        return self._result()

    async def aresult(self) -> JobResult:
        """`result` for asyncio. If the task that waits is cancelled, the job is, too."""

        try:
            await self._await()
        finally:
            self._leave()
        return self._result()

    def _result(self) -> JobResult:
        if self.error is not None:
            raise self.error
        choices = [choice for choice in self.choices if choice is not None]
        return JobResult(choices, self.n_prompt, self.n_reused, self.n_generated, self.seconds_to_first, self.seconds)

    def __repr__(self) -> str:
        return f"<lckv.Job {self.id}, {self.n_generated} tokens, {'done' if self.done else 'going on'}>"
