"""Engines: many requests at once over one cache, from any number of threads and tasks."""

from __future__ import annotations

import atexit
import functools
import os
import random
import weakref
from array import array
from typing import TYPE_CHECKING, Any, Callable, List, Mapping, Optional, Sequence, Union

from . import _arrays
from ._answer import Answer, AnswerOptions
from ._arrays import Floats
from ._cache import Cache
from ._embedding import POOLINGS, EmbeddedText, EmbeddingRequest
from ._errors import InvalidArgument
from ._figures import Figures
from ._filling import Filling
from ._free_memory import available_bytes, byte_count
from ._job import Job
from ._likely import Likely
from ._metrics import EngineMetrics, SessionView
from ._model import Model
from ._sampler import Constraint, Sampler
from ._scheduler import Scheduler
from ._session import Prompt, Stop
from ._step import Step
from ._tokens import token_array

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._cache import CacheOptions
    from ._sequence import Sequence as Tokens

MAX_SESSIONS = 64


def _size(model: Model, options: CacheOptions) -> int:
    """Half of the memory that is free, or what as many texts as possible take if each is as long as a text may be."""

    context = model.info.context_length or 4096
    most = Cache.estimate(model, context, n_tokens=context * options["max_sessions"], **options)  # type: ignore[misc]
    return min(most.page_bytes_total + most.scratch_bytes + most.table_bytes, available_bytes() // 2)


class Engine:
    """Computes many requests at once, in one cache that it owns, and in a thread of its own.

        >>> with lckv.Engine(model, memory="8GiB") as engine:
        ...     print(engine.submit("Once upon a time", max_tokens=50).result().text)

    Each step computes a token for every request that is decoding, and encodes parts of prompts beside them, so the
    weights are read once for everybody. All methods may be called from any thread. What requests begin with in common
    is computed once. When the memory is used up, the youngest give way and go on later; no answer is lost.

    At temperature 0, and with a seed, an answer is the same whatever else the engine computes. Options:

    - `memory`: bytes, or text such as "8GiB", for keys and values, tables and scratch together. Without it, half of
      what is free, or less if the model could not use so much. `n_tokens` may be given instead
    - `max_queue`: the most requests that wait; beyond, `submit` raises `EngineFull`
    - `prefill_rows`: the most tokens of prompts in a step, and `prefill_seconds`: about how long those who decode wait
      for prompts in a step
    - `window`, `tolerance`: for plans with upward layers, whose prompts are encoded exactly otherwise. In a window
      they take less time; prompts are then not shared, unless `reuse_tolerance` says that near is good enough
    - further ones are those of `Cache`: `max_sessions` (64 here), `kv_dtype`, `n_threads`, ...

    A process that was forked has no loop: its `submit` raises. Make an engine after the fork.
    """

    def __init__(
        self,
        model: Model,
        memory: Union[int, str, None] = None,
        *,
        max_queue: int = 1024,
        prefill_rows: int = 512,
        prefill_seconds: float = 0.25,
        window: int = 1,
        tolerance: float = 0.0,
        **cache_options: Unpack[CacheOptions],
    ) -> None:
        if max_queue < 1 or prefill_rows < 1 or window < 1:
            raise ValueError("max_queue, prefill_rows and window are at least 1")
        options = cache_options.copy()
        options.setdefault("max_sessions", MAX_SESSIONS)
        options.setdefault("max_rows", prefill_rows + options["max_sessions"])
        options["max_logit_rows"] = 1  # the engine has memory of its own for them
        plan, info = model.plan, model.info
        is_upward = plan is not None and plan.info.n_upward > 0
        if is_upward and window > 1:
            options.setdefault("reuse_tolerance", -1.0)
        if memory is not None:
            options["budget_bytes"] = byte_count(memory)
        elif "budget_bytes" not in options and "n_tokens" not in options:
            options["budget_bytes"] = _size(model, options)
        self._model = model
        self._n_vocab = info.n_vocab
        self._cache = Cache(model, **options)
        stats = self._cache.stats
        self._figures = Figures(model, self._cache)
        reuses = options.get("reuse", True) and not (is_upward and window > 1 and options["reuse_tolerance"] < 0)
        step = Step(self._cache._handle, stats.max_sessions, info.n_vocab, window, tolerance)
        filling = Filling(prefill_rows, prefill_seconds, is_upward, window)
        self._scheduler = Scheduler(self._cache, filling, max_queue, step, reuses)
        self._process = os.getpid()
        self._finalizer = weakref.finalize(self, self._scheduler.stop)
        self._finalizer.atexit = False
        _open.add(self)

    @property
    def model(self) -> Model:
        """The model."""

        return self._model

    @property
    def max_tokens(self) -> int:
        """The most tokens that a text of its own could have, prompt and answer, as far as pages go."""

        return self._figures.max_tokens

    # ---- Requests ----

    def submit(
        self,
        prompt: Prompt,
        *,
        max_tokens: Optional[int] = 256,
        stop: Stop = (),
        n: int = 1,
        temperature: float = 0.0,
        top_k: int = 0,
        top_p: float = 1.0,
        min_p: float = 0.0,
        seed: Optional[int] = None,
        repetition_penalty: float = 1.0,
        frequency_penalty: float = 0.0,
        presence_penalty: float = 0.0,
        logit_bias: Optional[Mapping[int, float]] = None,
        logprobs: Optional[int] = None,
        echo: bool = False,
        ignore_end: bool = False,
        constraint: Optional[Callable[[], Constraint]] = None,
        deadline: Optional[float] = None,
    ) -> Job:
        """Asks for an answer to a prompt, and returns at once.

            >>> job = engine.submit(model.chat(messages), max_tokens=200, temperature=0.7, stop="\\n\\n")
            >>> for event in job:
            ...     print(event.text, end="", flush=True)

        `prompt` is text or tokens. Options:

        - `max_tokens`: None is no limit; with 0, only the prompt is computed
        - `stop`: strings before the first of which the text ends
        - `n`: so many choices; the prompt is computed once
        - `temperature` to `logit_bias`: see `Sampler`. Without a `seed`, it is drawn; choice i has ``seed + i``
        - `logprobs`: log-probabilities of every token, and of the so many that were most likely in its place
        - `echo`: the prompt is given out first; with `logprobs`, its tokens have theirs
        - `ignore_end`: the text goes on after the model's own end
        - `constraint`: makes, for each choice, an object that says which tokens may come: see `lckv.constraints`
        - `deadline`: seconds after which it is cancelled, with the text so far

        Raises `EngineFull` if too many requests wait, and `InvalidArgument` if the prompt can never fit.
        """

        if os.getpid() != self._process:
            raise RuntimeError("an engine works in the process that made it, and this is a fork of it")
        if n < 1 or (max_tokens is not None and max_tokens < 0) or (logprobs is not None and logprobs < 0):
            raise ValueError("n is at least 1, max_tokens and logprobs at least 0")
        tokens = self._tokens(prompt)
        drawn = random.getrandbits(63) if seed is None else seed
        stops = [stop] if isinstance(stop, str) else list(stop)
        counts = repetition_penalty not in (0.0, 1.0) or frequency_penalty != 0.0 or presence_penalty != 0.0
        likely = None if logprobs is None else self._likely
        masked = None if constraint is None else self._masked
        options = AnswerOptions(max_tokens, ignore_end, echo, logprobs, temperature == 0.0, counts, likely, masked)
        job = Job(self._scheduler, n, deadline, self)
        job.n_prompt = len(tokens)
        answers: List[Answer] = []
        for index in range(n):
            sampler = Sampler(
                temperature,
                top_k=top_k,
                top_p=top_p,
                min_p=min_p,
                repetition_penalty=repetition_penalty,
                frequency_penalty=frequency_penalty,
                presence_penalty=presence_penalty,
                logit_bias=logit_bias,
                seed=(drawn + index) % 2**64,
            )
            made = None if constraint is None else constraint()
            answers.append(Answer(job, index, tokens, self._model, options, sampler, stops, made))
        answers[0].followers = [*answers[1:]]
        self._scheduler.submit(job, [answers[0]])
        return job

    def retry_after(self) -> float:
        """The seconds, an estimate, after which it may be worth to try again what raised `EngineFull`."""

        return self._scheduler.retry_after()

    def embed(self, inputs: Sequence[Prompt], *, pooling: str = "mean", normalize: bool = True) -> Floats:
        """A vector for each text (or row of tokens): float32 [len(inputs), hidden_size].

        It is the "mean" of the hidden states after the final norm, or that of the "last" token; with `normalize`,
        made one long.
        """

        return self._embedding(inputs, pooling, normalize).result()

    async def aembed(self, inputs: Sequence[Prompt], *, pooling: str = "mean", normalize: bool = True) -> Floats:
        """`embed` for asyncio."""

        return await self._embedding(inputs, pooling, normalize).aresult()

    def _embedding(self, inputs: Sequence[Prompt], pooling: str, normalize: bool) -> EmbeddingRequest:
        if os.getpid() != self._process:
            raise RuntimeError("an engine works in the process that made it, and this is a fork of it")
        if isinstance(inputs, str):
            raise TypeError("embed takes a list of texts")
        if pooling not in POOLINGS:
            raise InvalidArgument(f"pooling is {pooling!r}; expected 'mean' or 'last'")
        rows = [self._tokens(text) for text in inputs]
        request = EmbeddingRequest(self._scheduler, len(rows), self._model.info.hidden_size, self)
        if rows:
            texts: List[Tokens] = [EmbeddedText(request, i, row, pooling, normalize) for i, row in enumerate(rows)]
            self._scheduler.submit(request, texts)
        return request

    @functools.cached_property
    def _likely(self) -> Likely:
        return Likely(self._n_vocab)

    @functools.cached_property
    def _masked(self) -> Floats:
        return _arrays.empty(self._n_vocab)

    def _tokens(self, prompt: Prompt) -> "array[int]":
        """The tokens of a prompt that can be computed."""

        tokens = token_array(self._model.prompt(prompt) if isinstance(prompt, str) else prompt)
        if not tokens:
            raise InvalidArgument("the prompt has no tokens")
        wrong = next((token for token in (min(tokens), max(tokens)) if not 0 <= token < self._n_vocab), None)
        if wrong is not None:
            raise InvalidArgument(f"{wrong} is no token of the model, which has {self._n_vocab}")
        if len(tokens) > self.max_tokens:
            raise InvalidArgument(
                f"the prompt has {len(tokens)} tokens, and the cache has room for {self.max_tokens}: give the engine "
                "more memory"
            )
        return tokens

    # ---- Figures ----

    def metrics(self) -> EngineMetrics:
        """The figures of the engine, at any time."""

        return self._figures.metrics(self._scheduler)

    def sessions(self) -> List[SessionView]:
        """What is being computed, the oldest first, and then what waits."""

        scheduler = self._scheduler
        return [self._figures.view(sequence) for sequence in [*scheduler.running, *scheduler.waiting]]

    # ---- The end ----

    def close(self, finish: bool = True, timeout: Optional[float] = None) -> None:
        """Takes no more requests and ends: those that go on are finished, or cancelled without `finish`.

        After `timeout` seconds the rest is cancelled. `submit` raises ValueError from now on.
        """

        if os.getpid() == self._process:
            self._scheduler.close(finish, timeout)

    @property
    def closed(self) -> bool:
        """Whether it takes no more requests."""

        return self._scheduler.is_closed

    @property
    def failure(self) -> Optional[BaseException]:
        """Why the engine ended by itself, which is a defect: nothing is computed any more. None as long as it works."""

        return self._scheduler.failure

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, kind: Any, *_: object) -> None:
        self.close(finish=kind is None)

    def __repr__(self) -> str:
        n, waiting = len(self._scheduler.running), self._scheduler.n_waiting
        return f"<lckv.Engine, {'closed' if self.closed else f'{n} sequences running, {waiting} requests waiting'}>"


_open: weakref.WeakSet[Engine] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    """Ends the loops while Python still runs."""

    for engine in list(_open):
        engine.close(finish=False)
