"""Text, piece by piece.

The loop is that of lckv_generate, made of the calls that it is made of, so that the cache is free between two steps.
`Session.complete` is lckv_generate itself; the tests hold the two side by side.
"""

from __future__ import annotations

import ctypes
import time
from array import array
from typing import AsyncIterator, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from . import _arrays, _evaluation
from . import _declarations as c
from ._calls import Call, awaitable
from ._detokenizer import Detokenizer
from ._errors import CacheFull, Cancelled, Error, Unsupported
from ._evaluation import Item
from ._library import library
from ._sampler import Sampler
from ._session import Prompt, Session, Stop
from ._tokens import token_array


class Piece(NamedTuple):
    """A token, with the text that is complete now: perhaps none. What is left at the end comes with token None."""

    text: str
    token: Optional[int]


class Stops:
    """Ends a text before the first of some strings. Text that may be the beginning of one is held back."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = list(stops)
        if "" in self._stops:
            raise ValueError("a stop string is empty")
        self._held = ""
        self.found = False
        self.stop: Optional[str] = None
        """The string that was found."""

    def push(self, text: str, is_last: bool) -> str:
        """Takes text and gives what can be given out now."""

        if self.found:
            return ""
        text = self._held + text
        places = [(place, stop) for place, stop in ((text.find(stop), stop) for stop in self._stops) if place >= 0]
        if places:
            place, self.stop = min(places, key=lambda found: found[0])
            self.found, self._held = True, ""
            return text[:place]
        n_held = 0 if is_last else self._beginning(text)
        self._held = text[len(text) - n_held :]
        return text[: len(text) - n_held]

    def _beginning(self, text: str) -> int:
        longest = max(map(len, self._stops), default=1) - 1
        for n in range(min(longest, len(text)), 0, -1):
            if any(stop.startswith(text[len(text) - n :]) for stop in self._stops):
                return n
        return 0


class Steps:
    """The loop, one step at a time, and how it stands."""

    def __init__(
        self,
        session: Session,
        prompt: Prompt,
        max_tokens: Optional[int],
        sampler: Optional[Sampler],
        stop: Stop,
        ignore_end: bool,
        prefill: Optional[str],
        window: int,
        tolerance: float,
    ) -> None:
        if max_tokens is not None and max_tokens < 1:
            raise ValueError(f"max_tokens is {max_tokens}; expected at least 1, or None for no limit")
        self.tokens: List[int] = []
        self.texts: List[str] = []
        self.reason: Optional[str] = None
        self.n_prompt = 0
        self.prompt_seconds = 0.0
        self.decode_seconds = 0.0
        self._session = session
        self._cache = session.cache
        self._model = self._cache.model
        self._prompt = token_array(session._prompt(prompt))
        self._max_tokens = max_tokens
        self._sampler = Sampler() if sampler is None else sampler
        self._stops = Stops([stop] if isinstance(stop, str) else stop)
        self._ignore_end = ignore_end
        self._logits = array("f", bytes(4 * session._shared.n_vocab))  # others may use those that the cache holds
        self._row = _arrays.writable(self._logits)
        self._next_token = _evaluation.NextToken(session, self._logits)
        self._prefill = prefill
        self._window = window
        self._tolerance = tolerance
        self._detokenizer: Optional[Detokenizer] = None
        if self._model.info.has_tokenizer or self._stops._stops:
            last = self._prompt[-1] if self._prompt else session._last_token()
            begins = last < 0 or self._model._begins_text(last)
            self._detokenizer = self._model.detokenizer(continues=not begins)
        self._has_begun = False
        self._again: Optional[Tuple[int, List[int]]] = None  # without a prompt: the last token, and where it goes
        self._before: Optional[Tuple[int, int]] = None  # the tokens given and the session's length before an append
        self._n_appended = 0  # of the tokens given, those that the session has, or that it has no room for
        self._n_spelled = 0  # of the tokens given, those that the detokenizer has
        self._undelivered: Optional[Piece] = None
        self._is_finished = False

    def call(self) -> Call:
        """A call of a step, to be cancelled from elsewhere."""

        return self._session._shared.call(self._cache._handle)

    def step(self, call: Call) -> Optional[Piece]:
        """Computes the next piece, or finds one that was not delivered; None at the end.

        Cancelling, or a signal's handler that raises, may end a step between any two bytecodes. The next step then
        goes on from there: what it must know is written down by single assignments.
        """

        if self._undelivered is None and not self._is_finished:
            self._undelivered = self._piece(call)
        return self._undelivered

    def take(self) -> Optional[Piece]:
        """The piece of the step before, which is delivered with this."""

        piece, self._undelivered = self._undelivered, None
        return piece

    def _piece(self, call: Call) -> Optional[Piece]:
        if self._n_spelled == len(self.tokens):
            if not self._has_begun:
                start = time.perf_counter()
                try:
                    self._begin(call)
                finally:
                    self.prompt_seconds += time.perf_counter() - start
            start = time.perf_counter()
            try:
                if self.reason is None and self._n_appended < len(self.tokens):
                    self._go_on(call)
                if self.reason is None:
                    self._choose()
            finally:
                self.decode_seconds += time.perf_counter() - start
        return self._spell() if self._n_spelled < len(self.tokens) else self._finish()

    def _begin(self, call: Call) -> None:
        if not self._prompt:
            self._session._shared.turns.work(call, lambda: self._take_logits(call))
        elif self._append(self._prompt.tolist(), call, self._prefill, self._window, self._tolerance):
            self.n_prompt = len(self._prompt)
        self._has_begun = True

    def _take_logits(self, call: Call) -> None:
        """Takes the logits behind the last token, which the cache holds, or computes them again."""

        session = self._session
        if self._again is None:
            handle, length = session._handle, session.length
            pointer, n = ctypes.c_void_p(), ctypes.c_size_t()
            status = library.lckv_session_logits(handle, ctypes.byref(pointer), ctypes.byref(n))
            if status == c.LCKV_OK and pointer.value is not None:
                size = 4 * len(self._logits)
                ctypes.memmove(self._logits.buffer_info()[0], pointer.value + (n.value - 1) * size, size)
                return
            if length == 0:
                raise ValueError("a session without tokens needs a prompt")
            self._again = length - 1, session.read_tokens(length - 1, length)
        length, last = self._again
        if session.length > length:
            session.truncate(length)
        self._evaluate(last, call, None, 0, 0.0)

    def _go_on(self, call: Call) -> None:
        """Appends the token that was given last."""

        try:
            self._append(self.tokens[self._n_appended :], call, None, 0, 0.0)
        except (CacheFull, Unsupported):  # the latter: the text is as long as the model's rotation allows
            self.reason = "full"
        self._n_appended = len(self.tokens)

    def _append(self, tokens: List[int], call: Call, prefill: Optional[str], window: int, tolerance: float) -> bool:
        """Appends tokens, if a step that was interrupted has not; whether the text goes on."""

        length = self._session.length
        if self._before is None or self._before[0] != len(self.tokens):
            self._before = len(self.tokens), length
        if length >= self._before[1] + len(tokens):
            return True
        try:
            return self._evaluate(tokens, call, prefill, window, tolerance)
        except Error:  # nothing has changed
            self._before = None
            raise

    def _evaluate(self, tokens: List[int], call: Call, prefill: Optional[str], window: int, tolerance: float) -> bool:
        """Appends tokens; whether it was not cancelled by somebody, which ends the text and is no failure."""

        try:
            if len(tokens) == 1 and prefill is None and not call.tells:
                self._next_token.append(tokens[0], call)
            else:
                options = _evaluation.options(prefill, 0, 0, window, tolerance)
                _evaluation.evaluate(self._cache, [Item(self._session, tokens, out=self._logits)], options, call)
        except Cancelled:
            if call.is_cancelled:  # by the caller, who may go on later
                raise
            self.reason = "cancelled"
        return self.reason is None

    def _choose(self) -> None:
        token = self._sampler._sample_row(*self._row[:2])
        self._sampler.accept(token)
        self.tokens.append(token)

    def _spell(self) -> Piece:
        """The piece of the last token."""

        token = self.tokens[-1]
        if not self._ignore_end and self._model.is_end(token):
            self.reason = "end"
        text = "" if self._detokenizer is None else self._detokenizer.push(token)
        self._n_spelled = len(self.tokens)
        return self._piece_of(text, token, len(self.tokens) == self._max_tokens)

    def _piece_of(self, text: str, token: Optional[int], is_full: bool) -> Piece:
        text = self._stops.push(text, token is None)
        if self._stops.found and self.reason is None:
            self.reason = "string"
        if is_full and self.reason is None:
            self.reason = "length"
        self.texts.append(text)
        return Piece(text, token)

    def _finish(self) -> Optional[Piece]:
        """The text that is left, once."""

        left = "" if self._detokenizer is None else self._detokenizer.flush()
        piece = self._piece_of(left, None, False)
        self._is_finished = True
        return piece if piece.text else None

    def close(self) -> None:
        if self.reason is None:
            self.reason = "callback"
        self._is_finished = True
        self._undelivered = None


class _Generating:
    """What generations tell about themselves."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps

    @property
    def reason(self) -> Optional[str]:
        """Why the text ended: "length", "end", "string" (a stop string), "callback" (it was closed), "full" (the
        cache is full, or the text as long as the model allows) or "cancelled" (by `Cache.cancel`); None if it goes on.
        """

        return self._steps.reason

    @property
    def tokens(self) -> List[int]:
        """The tokens so far; an end token is among them."""

        return list(self._steps.tokens)

    @property
    def text(self) -> str:
        """The text so far."""

        return "".join(self._steps.texts)

    @property
    def n_prompt(self) -> int:
        """The number of tokens of the prompt, once it is encoded."""

        return self._steps.n_prompt

    @property
    def prompt_seconds(self) -> float:
        """The time that encoding the prompt took."""

        return self._steps.prompt_seconds

    @property
    def decode_seconds(self) -> float:
        """The time that the other steps took."""

        return self._steps.decode_seconds


class Generation(_Generating, Iterator[Piece]):
    """A text that is being generated: see `Session.generate`."""

    def __next__(self) -> Piece:
        self._steps.step(self._steps.call())
        piece = self._steps.take()
        if piece is None:
            raise StopIteration
        return piece

    def read(self) -> str:
        """Generates to the end, and gives the whole text."""

        for _ in self:
            pass
        return self.text

    def close(self) -> None:
        """Ends the text here."""

        self._steps.close()

    def __enter__(self) -> Generation:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncGeneration(_Generating, AsyncIterator[Piece]):
    """A text that is being generated beside an event loop: see `Session.agenerate`."""

    async def __anext__(self) -> Piece:
        call, steps = self._steps.call(), self._steps
        await awaitable(call, lambda: steps.step(call))
        piece = steps.take()
        if piece is None:
            raise StopAsyncIteration
        return piece

    async def read(self) -> str:
        """Generates to the end, and gives the whole text."""

        async for _ in self:
            pass
        return self.text

    async def aclose(self) -> None:
        """Ends the text here."""

        self._steps.close()

    async def __aenter__(self) -> AsyncGeneration:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
