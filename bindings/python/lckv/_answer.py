"""Answers: sequences that go on with tokens that are chosen, and with their text."""

from __future__ import annotations

import ctypes
import mmap
import time
from array import array
from dataclasses import dataclass
from typing import Any, List, Optional, Tuple

from . import _arrays
from . import _declarations as c
from ._arrays import Floats
from ._errors import check
from ._job import Choice, Event, Job, TokenLogprob, Top
from ._likely import Likely
from ._metrics import Counters
from ._model import Model
from ._quick import quick, suited
from ._request import Wakes
from ._sampler import Constraint, Sampler
from ._sequence import Sequence, want_nothing
from ._spelling import Spelling

SCORED_ROWS = 32
"""Tokens of a prompt in a call that asks for the logits of all of them."""


@dataclass(frozen=True)
class AnswerOptions:
    """What the choices of a job have in common."""

    max_tokens: Optional[int]
    ignore_end: bool
    echo: bool
    logprobs: Optional[int]
    is_greedy: bool
    counts: bool
    """Whether the sampler wants to know the tokens: for penalties."""
    likely: Optional[Likely]
    """What looks at the logits, if `logprobs` are asked for."""
    masked: Optional[Floats]
    """Memory for a row of logits, if there is a constraint. All answers of an engine share both: its loop, which has
    one answer at a time choose, is the only one to use them."""


class Answer(Sequence):
    """One choice of a job."""

    def __init__(
        self,
        job: Job,
        index: int,
        tokens: "array[int]",
        model: Model,
        options: AnswerOptions,
        sampler: Sampler,
        stops: List[str],
        constraint: Optional[Constraint],
    ) -> None:
        """The choices of a job may share their `tokens`: those that follow another get their own when they begin."""

        super().__init__(job, tokens)
        info = model.info
        self.index = index
        self._job = job
        self._counters = job._scheduler.counters
        self._model = model
        self._n_vocab = info.n_vocab
        self._model_handle = model._handle
        self._options = options
        self._sampler = sampler._handle
        self._sample = suited(info.n_vocab, 1 if options.is_greedy else 16).lckv_sampler_sample
        self._constraint = constraint
        self._likely = options.likely
        self._masked = options.masked
        self._token = ctypes.c_int32()
        self._out = ctypes.byref(self._token)
        continues = info.has_tokenizer and not model._begins_text(tokens[-1])
        self._spelling = Spelling(model, continues, stops)
        self._texts: List[str] = []
        self._logprobs: List[TokenLogprob] = []
        self._is_echoed = not options.echo
        self._scores: List[Tuple[float, Top]] = []
        self._scored_rows: Optional[mmap.mmap] = None
        if options.echo and self._likely is not None:  # the prompt is to be looked at, all of it
            self.can_reuse, self.most = False, SCORED_ROWS

    # ---- Calls ----

    def started(self, counters: Counters) -> None:
        if self.index == 0:
            super().started(counters)
            self._job.n_reused = self.n_reused

    def prepare(self, item: Any, n: int, row: int) -> None:
        want_nothing(item)
        if not self.can_reuse:
            if self._scored_rows is None:
                self._scored_rows = mmap.mmap(-1, 4 * SCORED_ROWS * self._n_vocab)
            item.want = c.LCKV_WANT_ALL
            item.logits, item.logits_capacity = self._scored_row(0), n * self._n_vocab
        elif n == self.n_pending:
            self._scored_rows = None
            item.want = c.LCKV_WANT_LAST
            item.logits, item.logits_capacity = row, self._n_vocab

    def take(self, n: int, row: int, wakes: Wakes) -> int:
        if not self.can_reuse:
            self._score(n)
            row = self._scored_row(n - 1)
        if self.n_pending == 0:
            self.choose(row, wakes)
        return row

    def begin_again(self) -> None:
        super().begin_again()
        if not self.can_reuse:
            self._scores.clear()

    # ---- The prompt ----

    def _scored_row(self, i: int) -> int:
        assert self._scored_rows is not None
        return ctypes.addressof(ctypes.c_char.from_buffer(self._scored_rows)) + 4 * self._n_vocab * i

    def _score(self, n: int) -> None:
        """Looks at how likely the tokens of the prompt are; the last row is that of the first token behind it."""

        assert self._likely is not None
        k = self._options.logprobs or 0
        first = self.n_encoded - n + 1
        for i in range(min(n, self.n_prompt - first)):
            self._scores.append(self._likely.look(self._scored_row(i), self.tokens[first + i], k))
        if self.n_pending == 0:
            self._know(self._scores)

    def _know(self, scores: List[Tuple[float, Top]]) -> None:
        self._scores = scores
        self.can_reuse, self.most = True, Sequence.most

    def follow(self, leader: Sequence) -> None:
        self.tokens = leader.tokens[:]
        if not self.can_reuse and isinstance(leader, Answer):
            self._know(leader._scores)

    def _echo(self, wakes: Wakes) -> None:
        """Gives out the prompt."""

        self._is_echoed = True
        scores: List[Tuple[Optional[float], Top]] = [(None, ())]
        scores += self._scores or [(None, ())] * (self.n_prompt - 1)
        spelling = Spelling(self._model, False, [])
        for i in range(self.n_prompt):
            token = self.tokens[i]
            text = spelling.push(token)
            if i == self.n_prompt - 1:
                text += spelling.flush()
            self._give(text, token, *scores[i], None, wakes)

    # ---- The answer ----

    def choose(self, row: int, wakes: Wakes) -> None:
        """Chooses a token from the logits at an address, which stay as they are."""

        if not self._is_echoed:
            self._echo(wakes)
        options, address = self._options, row
        if options.max_tokens == 0:
            self.end("length", wakes)
            return
        if self._constraint is not None:
            assert self._masked is not None
            _arrays.copied(row, self._n_vocab, self._masked)
            self._constraint.mask(self._masked)
            address = _arrays.address(self._masked)
        status = self._sample(self._sampler, address, self._n_vocab, self._out)
        if status:
            check(status)
        token = self._token.value
        logprob: Optional[float] = None
        top: Top = ()
        if self._likely is not None:
            logprob, top = self._likely.look(row, token, options.logprobs or 0)
        if options.counts:
            check(quick.lckv_sampler_accept(self._sampler, token))
        if self._constraint is not None:
            self._constraint.accept(token)
        self._append(token, logprob, top, wakes)

    def _append(self, token: int, logprob: Optional[float], top: Top, wakes: Wakes) -> None:
        options, job = self._options, self._job
        self.tokens.append(token)
        job.n_generated += 1
        self._counters.generated_tokens += 1
        if job.seconds_to_first is None:
            job.seconds_to_first = time.monotonic() - job._began
            self._counters.first_tokens += 1
            self._counters.first_token_seconds += job.seconds_to_first
        reason: Optional[str] = None
        if not options.ignore_end and quick.lckv_model_is_end_token(self._model_handle, token):
            reason = "end"
        text = self._spelling.push(token)
        if reason is None and self._spelling.found is not None:
            reason = "string"
        if reason is None and len(self.tokens) - self.n_prompt == options.max_tokens:
            reason = "length"
        if reason is None:
            self._give(text, token, logprob, top, None, wakes)
        else:
            self._finish(text, token, logprob, top, reason, wakes)

    def _give(
        self, text: str, token: int, logprob: Optional[float], top: Top, reason: Optional[str], wakes: Wakes
    ) -> None:
        self._texts.append(text)
        if self._likely is not None:
            self._logprobs.append(TokenLogprob(token, logprob, top))
        self._job._deliver(Event(self.index, text, token, logprob, top, reason), wakes)

    def end(self, reason: str, wakes: Wakes) -> None:
        self._finish("", None, None, (), reason, wakes)

    def _finish(
        self, text: str, token: Optional[int], logprob: Optional[float], top: Top, reason: str, wakes: Wakes
    ) -> None:
        """The last event, with the text that is left."""

        job = self._job
        self.is_over = True
        text += self._spelling.flush()
        if token is not None:
            self._give(text, token, logprob, top, reason, wakes)
        else:
            self._texts.append(text)
            job._deliver(Event(self.index, text, None, None, (), reason), wakes)
        tokens = self.tokens if self._options.echo else self.tokens[self.n_prompt :]
        job.choices[self.index] = Choice(
            self.index,
            "".join(self._texts),
            tokens.tolist(),
            reason,
            self._spelling.found if reason == "string" else None,
            None if self._likely is None else self._logprobs,
        )
        job.seconds = time.monotonic() - job._began
        job._end_one(wakes)
